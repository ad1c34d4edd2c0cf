"""A tiny model that learns a few samples by heart: choosing them, learning, and asking it."""

import time
from collections import defaultdict
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from intercog_model.backbone.attention import DenseAttend
from intercog_model.backbone.autoencoder import AutoEncoder
from intercog_model.backbone.bagel import encode_images
from intercog_model.config import debug_config
from intercog_model.data.chain_text import first_text, second_text
from intercog_model.data.draws import Draws
from intercog_model.data.example import GroundingExample
from intercog_model.data.plans import PlanBuilder, SequenceConfig
from intercog_model.data.shards import list_shards, open_uri, read_shard
from intercog_model.data.tokenizer import ByteTokenizer
from intercog_model.grounding.config import DEBUG_HEADS, GroundingConfig
from intercog_model.grounding.features import RandomPatchFeatures
from intercog_model.grounding.heads import GroundingHeads
from intercog_model.grounding.reconstruction import mask_iou
from intercog_model.inference.chain import ChainSettings, run_chain
from intercog_model.inference.guidance import NO_GUIDANCE
from intercog_model.inference.pipeline import Pipeline
from intercog_model.inference.sampler import SamplerSettings
from intercog_model.packing.masks import dense_masks
from intercog_model.packing.pack import pack
from intercog_model.packing.resize import SizeRule, resize, to_pixels
from intercog_model.training.build import random_debug_models
from intercog_model.training.objective import (
    MASK_TERMS,
    InterCog,
    ObjectiveConfig,
    TrainingBatch,
    term_counts,
    total_loss,
)

SEQUENCE = SequenceConfig(
    drop_text=0.0,
    drop_vae=0.0,
    drop_vit=0.0,
    vae_rule=SizeRule(max_side=48, min_side=24, stride=4),
    vit_rule=SizeRule(max_side=56, min_side=28, stride=14),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OverfitSettings:
    """How long and how fast to learn; a step takes `per_step` samples in turn."""

    steps: int = 1000
    minutes: float = 13.0  # learning stops here at the latest
    per_step: int = 2
    lr: float = 2e-3
    vae_steps: int = 300
    seed: int = 0
    points: int = 10  # time points of the sampler in the examination


def choose(release: str, count: int) -> list[GroundingExample]:
    """Samples of a release: photographs with several targets first, so that a picture alone does not tell its mask."""
    groups: dict[str, list[GroundingExample]] = defaultdict(list)
    for uri in list_shards(release, "grounding"):
        with open_uri(uri) as stream:
            for item in read_shard(stream, "grounding"):
                if isinstance(item, GroundingExample):
                    groups[photograph(item)].append(item)
    ordered = sorted(groups.values(), key=lambda group: -len({target(e) for e in group}))
    chosen = [example for group in ordered for example in group][:count]
    if len(chosen) < count:
        raise ValueError(f"{release}: {len(chosen)} samples, {count} were asked for")
    return chosen


def photograph(example: GroundingExample) -> str:
    """Id of the photograph in a key `<sid>-t0-p0`."""
    return example.key.partition("-")[0]


def target(example: GroundingExample) -> str:
    """Photograph and target of a key."""
    return example.key.rpartition("-")[0]


def at_vae_size(example: GroundingExample) -> GroundingExample:
    """The example with its pictures resized by the VAE rule; the mask stays as fine as it was."""
    return replace(
        example,
        source=resize(example.source, SEQUENCE.vae_rule),
        grounded=resize(example.grounded, SEQUENCE.vae_rule),
        edited=resize(example.edited, SEQUENCE.vae_rule),
    )


class Overfit:
    """A debug model on a fixed set of samples."""

    def __init__(self, examples: list[GroundingExample], settings: OverfitSettings) -> None:
        torch.manual_seed(settings.seed)
        config = debug_config()
        # inference makes the ViT picture from the VAE-sized one, training from the raw one; at these sizes that
        # is a visible difference, so the raw pictures are VAE-sized from the start and both see the same
        self.examples = [at_vae_size(example) for example in examples]
        self.settings, self.config = settings, config
        bagel, self.vae = random_debug_models()
        objective = ObjectiveConfig(grounding=GroundingConfig())
        self.model = InterCog(bagel, GroundingHeads(config.llm.hidden_size, DEBUG_HEADS), objective)
        self.builder = PlanBuilder(config, SEQUENCE, ByteTokenizer())
        self.features = RandomPatchFeatures(DEBUG_HEADS.width, DEBUG_HEADS.grid)

    def fit_autoencoder(self) -> float:
        """Teach the autoencoder the pictures first, as the real one comes trained; its last squared error."""
        pictures = [p for e in self.examples for p in (e.source, e.grounded, e.edited)]
        pixels = [to_pixels(resize(p, SEQUENCE.vae_rule)) for p in pictures]
        optimizer = torch.optim.Adam(self.vae.parameters(), lr=2e-3)
        error = torch.zeros(())
        for step in range(self.settings.vae_steps):
            image = pixels[step * 7 % len(pixels)][None]
            latent = self._latent(self.vae, image)
            error = (self.vae.decode(latent) - image).square().mean()
            spread = latent.mean().square() + (latent.std() - 1).square()  # the flow expects unit latents
            (error + 0.1 * spread).backward()
            optimizer.step()
            optimizer.zero_grad()
        self.vae.requires_grad_(False)
        return float(error.detach())

    @staticmethod
    def _latent(vae: AutoEncoder, image: Tensor) -> Tensor:
        return vae.scale(vae.encoder(image).chunk(2, dim=1)[0])

    def batch(self, examples: list[GroundingExample], step: int) -> TrainingBatch:
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
        return self.model(batch, clean, DenseAttend(dense_masks(batch.packed)))

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
                group["lr"] = s.lr * min(1, (step + 1) / 30) * min(1, 0.02 + 1.6 * (1 - share))
            first = step * s.per_step
            members = [self.examples[(first + i) % len(self.examples)] for i in range(s.per_step)]
            batch = self.batch(members, step)
            loss = total_loss(self.run(batch), term_counts(batch, self.model.config), self.model.config)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            if step % 50 == 0:
                print(f"step {step}  minutes {spent:.1f}  loss {float(loss):.4f}", flush=True)
        return s.steps

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
    def mask_overlaps(self, example: GroundingExample, step: int, *, zero: bool) -> dict[str, float]:
        """IoU by source at the logits' resolution, with the draws of `step`; `zero` takes the conditioning away."""
        batch = self.batch([example], step)
        clean = encode_images(self.vae, batch.packed, self.config.latent_patch_size)
        out = self.model.run_backbone(batch, clean, DenseAttend(dense_masks(batch.packed)))
        logits = self.model.mask_logits(batch, 0, out, zero=tuple(MASK_TERMS) if zero else ())
        goal_of = batch.targets[0]
        if goal_of is None:
            raise ValueError(f"{example.key} has no target")
        goal = self.model.mask_goal(goal_of)
        return {name: mask_iou(value, goal) for name, value in logits.items()}

    def pipeline(self) -> Pipeline:
        """The learned model for the chain."""
        return Pipeline(
            model=self.model.bagel.eval(),
            vae=self.vae,
            tokenizer=self.builder.tokenizer,
            vae_rule=SEQUENCE.vae_rule,
            vit_rule=SEQUENCE.vit_rule,
        )

    def chain(self, example: GroundingExample, seed: int) -> tuple[str, str]:
        """T1 and T2 of the chain, with V drawn by the model."""
        sampler = SamplerSettings(points=self.settings.points, guidance=NO_GUIDANCE)
        settings = ChainSettings(sampler=sampler)
        result = run_chain(self.pipeline(), example.source, example.instruction, settings, seed)
        return result.first_text, result.second_text

    def texts(self, example: GroundingExample) -> tuple[str, str]:
        """T1 and T2 as they were taught."""
        tokenizer, tags = self.builder.tokenizer, SEQUENCE.think_tags
        pair = (make(example.sections, tokenizer, tags) for make in (first_text, second_text))
        first, second = (tokenizer.decode(list(text.ids)) for text in pair)
        return first, second
