"""The packs that a plan is made with: those of the run's first step, or of photographs of a stated size."""

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from intercog_model.backbone.bagel import Bagel
from intercog_model.config import BagelConfig
from intercog_model.data.chain_text import Sections
from intercog_model.data.draws import Draws
from intercog_model.data.example import (
    CaptionExample,
    EditExample,
    Example,
    GroundingExample,
    TextToImageExample,
    UnderstandingExample,
)
from intercog_model.data.mixture import Mixture, used_sources
from intercog_model.data.plans import DryBuilder, PlanBuilder
from intercog_model.data.shards import Kind
from intercog_model.data.tokenizer import BpeTokenizer, ByteTokenizer, Tokenizer
from intercog_model.errors import ConfigurationError
from intercog_model.grounding.config import HeadSizes
from intercog_model.grounding.heads import GroundingHeads
from intercog_model.packing.pack import pack
from intercog_model.training.build import network_to_train
from intercog_model.training.config import TrainConfig
from intercog_model.training.flops import RowFlops, row_flops
from intercog_model.training.inputs import reads_features, source_digest
from intercog_model.training.objective import TrainingBatch
from intercog_model.training.step_plan import StepPlan, StepPlanner

PHOTOGRAPH = (2250, 1500)
WORDS = {"instruction": 16, "scene": 60, "target": 40, "edit": 30, "result": 30}
"""Tokens of each text of a sample of stated size."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlannedPacks:
    """One step's samples as the run would pack them."""

    planner: StepPlanner
    step: StepPlan
    flops: RowFlops
    origin: str  # what the samples are, for the reader of the plan

    def batch(self, members: tuple[Example, ...]) -> TrainingBatch:
        """The pack of these samples as tensors on the meta device, which have a shape and nothing else."""
        planner = self.planner
        builder = planner.builder
        dry = DryBuilder(builder.model, builder.sequence, builder.tokenizer)
        built = [dry.build(one, Draws(planner.seed, one.key, self.step.step)) for one in members]
        with torch.device("meta"):
            return TrainingBatch(
                packed=pack([b.sample for b in built], builder.model),
                targets=tuple(b.target for b in built),
                features=tuple(
                    planner.features.features(b.target.key, b.target.image)
                    if planner.features and b.target
                    else None
                    for b in built
                ),
            )

    def work(self, members: tuple[Example, ...]) -> tuple[int, float]:
        """Rows of a pack and floating-point operations of a step with it, as the training log counts them."""
        packed = self.batch(members).packed
        return packed.length, self.flops.of(packed)

    def picture_bytes(self) -> int:
        """Of the decoded pictures and masks of the step's samples."""
        found = 0
        for example in (example for members in self.step.packs for example in members):
            for name in ("source", "grounded", "edited", "image"):
                picture = getattr(example, name, None)
                found += picture.width * picture.height * 3 if picture is not None else 0
            found += example.mask.nbytes if isinstance(example, GroundingExample) else 0
        return found


def planned_packs(config: TrainConfig, model: BagelConfig, sizes: HeadSizes) -> PlannedPacks:
    """The first step of the configured sources where all can be read, else of photographs of a stated size."""
    checkpoint = Path(config.model.checkpoint) if config.model.checkpoint else None
    published = checkpoint is not None and (checkpoint / "tokenizer.json").is_file()
    tokenizer: Tokenizer = BpeTokenizer(checkpoint) if checkpoint and published else ByteTokenizer()
    mixture: Any
    try:
        for source in used_sources(config.sources):
            source_digest(source)
        mixture, origin = Mixture(list(config.sources), config.run.seed), "of the configured sources"
    except ConfigurationError as error:
        mixture = StatedSizes(config, unit=" car" if published else "c")
        width, height = config.sequence.vae_rule.size(*PHOTOGRAPH)
        origin = (
            f"photographs of {PHOTOGRAPH[0]} x {PHOTOGRAPH[1]} pixels, {width} x {height} for the "
            f"autoencoder, with texts of {sum(WORDS.values())} tokens, since the sources cannot be read ({error})"
        )
    planner = StepPlanner(
        mixture,
        PlanBuilder(model, config.sequence, tokenizer),
        EmptyFeatures(sizes) if reads_features(config) else None,
        seed=config.run.seed,
        samples=config.optim.samples_per_step,
        max_tokens=config.optim.max_tokens,
    )
    with torch.device("meta"):
        bagel, heads = Bagel(model), GroundingHeads(model.llm.hidden_size, sizes)
    network = network_to_train(replace(config, run=replace(config.run, compile=False)), bagel, heads)
    return PlannedPacks(planner=planner, step=planner.plan(0), flops=row_flops(network), origin=origin)


class EmptyFeatures:
    """Image features that have a shape alone; see `ImageFeatures`."""

    def __init__(self, sizes: HeadSizes) -> None:
        self.shape = (sizes.width, sizes.grid, sizes.grid)

    def features(self, key: str, image: Image.Image) -> Tensor:
        """Zeros [C, g, g]."""
        return torch.zeros(self.shape)


class StatedSizes:
    """Samples of one size in the place of a mixture: kinds come by the sources' weights, in turn."""

    def __init__(self, config: TrainConfig, *, unit: str) -> None:
        self.sources, self.seed = used_sources(config.sources), config.run.seed
        self.texts = {name: unit * count for name, count in WORDS.items()}
        self.picture = Image.new("RGB", PHOTOGRAPH, "gray")
        self.mask = np.zeros(PHOTOGRAPH[::-1], dtype=bool)
        self.mask[: PHOTOGRAPH[1] // 4, : PHOTOGRAPH[0] // 4] = True
        self.broken: Counter[str] = Counter()
        self.reasons: dict[str, str] = {}
        self.taken = 0

    def take(self) -> Example:
        """The next sample."""
        self.taken += 1
        key = f"stated-{self.taken}"
        share = Draws(self.seed, key, 0).uniform("source") * sum(source.weight for source in self.sources)
        kind = self.sources[-1].kind
        for source in self.sources:
            share -= source.weight
            if share < 0:
                kind = source.kind
                break
        return self._example(kind, key)

    def leave_out(self, key: str, reason: str) -> None:
        """See `Mixture`."""
        self.broken[key] += 1
        self.reasons[key] = reason

    def state(self) -> dict[str, Any]:
        """See `Mixture`."""
        return {"taken": self.taken}

    def _example(self, kind: Kind, key: str) -> Example:
        picture, texts = self.picture, self.texts
        if kind == "edit":
            return EditExample(key=key, source=picture, instruction=texts["instruction"], edited=picture)
        if kind == "text_to_image":
            return TextToImageExample(key=key, caption=texts["scene"], image=picture)
        if kind == "captions":
            return CaptionExample(key=key, caption=texts["scene"], image=picture)
        if kind == "understanding":
            question, answer = texts["instruction"], texts["scene"]
            return UnderstandingExample(key=key, image=picture, question=question, answer=answer)
        sections = Sections(**{name: texts[name] for name in ("scene", "target", "edit", "result")})
        return GroundingExample(
            key=key,
            source=picture,
            instruction=texts["instruction"],
            sections=sections,
            grounded=picture,
            mask=self.mask,
            edited=picture,
        )
