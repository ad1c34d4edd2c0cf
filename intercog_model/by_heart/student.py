"""A trained tiny model that is asked: its losses, its masks, and its own chain for an instruction."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from intercog_model.backbone.attention import DenseAttend
from intercog_model.backbone.bagel import BackboneOutput, encode_images
from intercog_model.by_heart.start import taught
from intercog_model.data.example import GroundingExample
from intercog_model.grounding.reconstruction import mask_iou
from intercog_model.inference.chain import ChainResult, ChainSettings, run_chain
from intercog_model.inference.guidance import NO_GUIDANCE
from intercog_model.inference.pipeline import Pipeline
from intercog_model.inference.sampler import SamplerSettings
from intercog_model.packing.masks import dense_masks
from intercog_model.training.build import Parts
from intercog_model.training.objective import MASK_TERMS, TrainingBatch, term_counts

POINTS = 10  # time points of the sampler


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Student:
    """The parts of a run, with the weights that are examined, and the samples that it learned."""

    parts: Parts
    examples: Sequence[GroundingExample]

    def backbone(self, example: GroundingExample, step: int) -> tuple[TrainingBatch, BackboneOutput]:
        """One sample with the draws of `step`, and what the network makes of it."""
        parts = self.parts
        batch = parts.planner.batch((example,), step)
        clean = encode_images(parts.vae, batch.packed, parts.model.bagel.config.latent_patch_size)
        return batch, parts.model.run_backbone(batch, clean, DenseAttend(dense_masks(batch.packed)))

    @torch.no_grad()
    def losses(self, step: int) -> dict[str, float]:
        """Mean of each term over all samples, with the draws of `step`."""
        model, vae = self.parts.model, self.parts.vae
        sums, counts = defaultdict[str, float](float), defaultdict[str, float](float)
        for example in self.examples:
            batch = self.parts.planner.batch((example,), step)
            clean = encode_images(vae, batch.packed, model.bagel.config.latent_patch_size)
            for name, value in model(batch, clean, DenseAttend(dense_masks(batch.packed))).items():
                sums[name] += float(value)
            for name, number in term_counts(batch, model.config).items():
                counts[name] += number
        return {name: sums[name] / counts[name] for name in sums if counts.get(name)}

    @torch.no_grad()
    def wrong_tokens(self, example: GroundingExample, step: int) -> int:
        """Text tokens whose most likely value is not the taught one, everything before them given."""
        batch, out = self.backbone(example, step)
        return int((out.logits.argmax(dim=1) != batch.packed.ce_labels).sum())

    @torch.no_grad()
    def mask_overlaps(
        self, example: GroundingExample, step: int, zero: Sequence[str] = ()
    ) -> dict[str, float]:
        """IoU by source at the logits' resolution, with the draws of `step`.

        The conditioning of the sources in `zero` (of `MASK_TERMS`) is set to zero behind its projector.
        """
        batch, out = self.backbone(example, step)
        model, aim = self.parts.model, batch.targets[0]
        if aim is None:
            raise ValueError(f"{example.key} has no target")
        logits, goal = model.mask_logits(batch, 0, out, zero=zero), model.mask_goal(aim)
        return {name: mask_iou(logits[name], goal) for name in MASK_TERMS}

    def chain(self, example: GroundingExample, seed: int) -> ChainResult:
        """The whole chain from picture and instruction: T1, V and T2 are the model's own."""
        builder = self.parts.planner.builder
        pipeline = Pipeline(
            model=self.parts.model.bagel.eval(),
            vae=self.parts.vae,
            tokenizer=builder.tokenizer,
            vae_rule=builder.sequence.vae_rule,
            vit_rule=builder.sequence.vit_rule,
        )
        longest = max(len(builder.tokenizer.encode(t)[0]) for e in self.examples for t in self.texts(e))
        settings = ChainSettings(
            sampler=SamplerSettings(points=POINTS, guidance=NO_GUIDANCE), max_tokens=longest + 20
        )
        return run_chain(pipeline, example.source, example.instruction, settings, seed)

    def texts(self, example: GroundingExample) -> tuple[str, str]:
        """T1 and T2 as they were taught."""
        return taught(example, self.parts.planner.builder.tokenizer)
