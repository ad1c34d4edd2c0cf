"""A tiny model that learns a few samples by heart: building it, learning, and asking it."""

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from intercog_model.backbone.attention import DenseAttend
from intercog_model.backbone.bagel import BackboneOutput, encode_images
from intercog_model.config import debug_config
from intercog_model.data.draws import Draws
from intercog_model.data.example import GroundingExample
from intercog_model.data.plans import PlanBuilder
from intercog_model.grounding.config import DEBUG_HEADS, GroundingConfig
from intercog_model.grounding.features import RandomPatchFeatures
from intercog_model.grounding.heads import GroundingHeads
from intercog_model.grounding.reconstruction import mask_iou
from intercog_model.inference.chain import ChainResult, ChainSettings, run_chain
from intercog_model.inference.guidance import NO_GUIDANCE
from intercog_model.inference.pipeline import Pipeline
from intercog_model.inference.sampler import SamplerSettings
from intercog_model.packing.masks import dense_masks
from intercog_model.packing.pack import pack
from intercog_model.packing.resize import to_pixels
from intercog_model.training.build import random_debug_models
from intercog_model.training.by_heart_samples import SEQUENCE, shrunk, taught, word_tokenizer
from intercog_model.training.objective import (
    MASK_TERMS,
    InterCog,
    ObjectiveConfig,
    TrainingBatch,
    term_counts,
    total_loss,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OverfitSettings:
    """How long and how fast to learn; a step takes `per_step` samples in turn."""

    steps: int = 1300
    minutes: float = 13.0  # learning stops here at the latest
    per_step: int = 4
    lr: float = 2e-3
    warmup: int = 30
    vae_steps: int = 300
    vae_batch: int = 6
    vae_lr: float = 2e-3
    # quiet image features: loud ones tell the photograph, and the decoder then learns its masks from them before
    # the hidden states say anything, and keeps one of them when the conditioning is zeroed
    feature_scale: float = 0.1
    seed: int = 0
    points: int = 10  # time points of the sampler in the examination


class Overfit:
    """A debug model on a fixed set of samples."""

    def __init__(self, examples: list[GroundingExample], settings: OverfitSettings) -> None:
        torch.manual_seed(settings.seed)
        self.examples = [shrunk(example) for example in examples]
        self.tokenizer = word_tokenizer(self.examples)
        debug = debug_config()
        self.config = replace(debug, llm=replace(debug.llm, vocab_size=self.tokenizer.size))
        self.settings = settings
        bagel, self.vae = random_debug_models(self.config)
        objective = ObjectiveConfig(grounding=GroundingConfig())
        self.model = InterCog(bagel, GroundingHeads(self.config.llm.hidden_size, DEBUG_HEADS), objective)
        self.builder = PlanBuilder(self.config, SEQUENCE, self.tokenizer)
        self.features = RandomPatchFeatures(DEBUG_HEADS.width, DEBUG_HEADS.grid, scale=settings.feature_scale)

    def fit_autoencoder(self) -> float:
        """Teach the autoencoder the pictures first, as the real one comes trained; its last squared error."""
        s, groups = self.settings, defaultdict[torch.Size, list[Tensor]](list)
        for example in self.examples:
            for picture in (example.source, example.grounded, example.edited):
                pixels = to_pixels(picture)
                groups[pixels.shape].append(pixels)
        optimizer = torch.optim.Adam(self.vae.parameters(), lr=s.vae_lr)
        error = torch.zeros(())
        for step in range(s.vae_steps):
            optimizer.param_groups[0]["lr"] = s.vae_lr * (1 - 0.95 * step / s.vae_steps)
            group = list(groups.values())[step % len(groups)]
            first = step * s.vae_batch
            images = torch.stack([group[(first + i) % len(group)] for i in range(s.vae_batch)])
            latent = self.vae.scale(self.vae.encoder(images).chunk(2, dim=1)[0])
            error = (self.vae.decode(latent) - images).square().mean()
            spread = latent.mean().square() + (latent.std() - 1).square()  # the flow expects unit latents
            (error + 0.1 * spread).backward()
            optimizer.step()
            optimizer.zero_grad()
        self.vae.requires_grad_(False)
        return float(error.detach())

    def batch(self, examples: Sequence[GroundingExample], step: int) -> TrainingBatch:
        """A pack with noises and times of that step."""
        built = [self.builder.build(e, Draws(self.settings.seed, e.key, step)) for e in examples]
        return TrainingBatch(
            packed=pack([b.sample for b in built], self.config),
            targets=tuple(b.target for b in built),
            features=tuple(
                self.features.features(b.target.key, b.target.image) if b.target else None for b in built
            ),
        )

    def run(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """Sums of the loss terms."""
        clean = encode_images(self.vae, batch.packed, self.config.latent_patch_size)
        sums: dict[str, Tensor] = self.model(batch, clean, DenseAttend(dense_masks(batch.packed)))
        return sums

    def learn(self) -> int:
        """Steps until the settings' end; how many were made."""
        s = self.settings
        optimizer = torch.optim.AdamW(self.model.parameters(), lr=s.lr, betas=(0.9, 0.95), weight_decay=0)
        started = time.monotonic()
        for step in range(s.steps):
            spent = (time.monotonic() - started) / 60
            if spent > s.minutes:
                return step
            share = max(step / s.steps, spent / s.minutes)
            for group in optimizer.param_groups:
                group["lr"] = s.lr * min(1, (step + 1) / s.warmup) * min(1, 0.02 + 1.6 * (1 - share))
            first = step * s.per_step
            members = [self.examples[(first + i) % len(self.examples)] for i in range(s.per_step)]
            batch = self.batch(members, step)
            counts, sums = term_counts(batch, self.model.config), self.run(batch)
            loss = total_loss(sums, counts, self.model.config)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            if step % 50 == 0:
                means = "  ".join(f"{n} {float(v.detach()) / counts[n]:.3f}" for n, v in sums.items())
                print(f"step {step}  minutes {spent:.1f}  {means}", flush=True)
        return s.steps

    def backbone(self, example: GroundingExample, step: int) -> tuple[TrainingBatch, BackboneOutput]:
        """One sample with the draws of `step`, and what the network makes of it."""
        batch = self.batch([example], step)
        clean = encode_images(self.vae, batch.packed, self.config.latent_patch_size)
        return batch, self.model.run_backbone(batch, clean, DenseAttend(dense_masks(batch.packed)))

    @torch.no_grad()
    def losses(self, step: int) -> dict[str, float]:
        """Mean of each term over all samples, with the draws of `step`."""
        sums, counts = defaultdict[str, float](float), defaultdict[str, float](float)
        for example in self.examples:
            batch = self.batch([example], step)
            for name, value in self.run(batch).items():
                sums[name] += float(value)
            for name, number in term_counts(batch, self.model.config).items():
                counts[name] += number
        return {name: sums[name] / counts[name] for name in sums if counts[name]}

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
        logits = self.model.mask_logits(batch, 0, out, zero=zero)
        aim = batch.targets[0]
        if aim is None:
            raise ValueError(f"{example.key} has no target")
        goal = self.model.mask_goal(aim)
        return {name: mask_iou(logits[name], goal) for name in MASK_TERMS}

    def chain(self, example: GroundingExample, seed: int) -> ChainResult:
        """The whole chain from picture and instruction: T1, V and T2 are the model's own."""
        pipeline = Pipeline(
            model=self.model.bagel.eval(),
            vae=self.vae,
            tokenizer=self.tokenizer,
            vae_rule=SEQUENCE.vae_rule,
            vit_rule=SEQUENCE.vit_rule,
        )
        longest = max(len(self.tokenizer.encode(t)[0]) for e in self.examples for t in self.texts(e))
        settings = ChainSettings(
            sampler=SamplerSettings(points=self.settings.points, guidance=NO_GUIDANCE),
            max_tokens=longest + 20,
        )
        return run_chain(pipeline, example.source, example.instruction, settings, seed)

    def texts(self, example: GroundingExample) -> tuple[str, str]:
        """T1 and T2 as they were taught."""
        return taught(example, self.tokenizer)
