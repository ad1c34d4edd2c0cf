"""Validation on the split of a release that training doesn't read: losses, mask overlaps, and a few pictures.

Noise and times are functions of a sample's key alone, so that figures of two steps, of two runs, or of two numbers of
processes differ by the weights only. Training is left as it was, bit by bit.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace

import torch
from torch import Tensor, nn
from torch.distributed.fsdp import register_fsdp_forward_method

from intercog_model.backbone.attention import Attend
from intercog_model.backbone.bagel import encode_images
from intercog_model.data.draws import Draws
from intercog_model.data.example import Example, GroundingExample
from intercog_model.data.plans import PlanBuilder, SequenceConfig
from intercog_model.data.shards import BrokenSample, read_split
from intercog_model.data.tokenizer import TextError
from intercog_model.inference.chain import ChainResult, ChainSettings, run_chain
from intercog_model.inference.pipeline import Pipeline
from intercog_model.inference.sampler import SamplerSettings
from intercog_model.packing.pack import pack
from intercog_model.packing.plan import Sample, TextItem
from intercog_model.statement import chain_of
from intercog_model.training.build import Parts
from intercog_model.training.config import TrainConfig
from intercog_model.training.inputs import validation_releases
from intercog_model.training.objective import MASK_TERMS, OVERLAPS, TrainingBatch, term_counts
from intercog_model.training.sharding import MovingAverage, local, sum_over_ranks, world

TIMES = (0.2, 0.4, 0.6, 0.8)
"""Flow times of V and O, as the network sees them: 0 is the picture, 1 is noise."""
NO_STEP = -1
"""The step that draws of validation are made for; training has none of that number."""
TERMS = ("ce", "mse", "tv", "vv", *MASK_TERMS)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ValidationResult:
    """What one validation found, the same on every process but for `left_out`.

    Attributes:
        values: means by name: `loss` and its terms, `mse_20` and the like at a time in percent, `iou_text`, `iou_v`
            and `iou_o` of the three masks, and how many `samples` they are of.
        pictures: chains by sample key, drawn with the model's own texts.
        left_out: why samples that this process was to measure are not among them, by key.
    """

    values: dict[str, float]
    pictures: dict[str, ChainResult]
    left_out: dict[str, str]


class FixedDraws(Draws):
    """Draws of one sample at one flow time."""

    def __init__(self, key: str, time: float, shift: float) -> None:
        super().__init__(0, key, NO_STEP)
        u = time / (shift - (shift - 1) * time)  # undoes the shift toward noise
        self.raw = math.log(u / (1 - u))

    def normal(self, purpose: str, *shape: int) -> Tensor:
        """Standard normal, but the same number for every time."""
        return torch.full(shape, self.raw) if purpose.startswith("time ") else super().normal(purpose, *shape)


class Validator:
    """Validates a network as often as it is asked to; holds no samples in between.

    Args:
        attend: how rows of a pack attend to one another, as in training.

    Raises:
        ConfigurationError: no release that is trained on has a validation split of its own.
    """

    def __init__(
        self,
        config: TrainConfig,
        parts: Parts,
        device: torch.device,
        attend: Callable[[TrainingBatch], Attend],
    ) -> None:
        self.config, self.parts, self.device, self.attend = config, parts, device, attend
        self.releases = validation_releases(config)
        builder = parts.planner.builder
        self.builder = PlanBuilder(builder.model, _whole(builder.sequence), builder.tokenizer)
        register_fsdp_forward_method(parts.model, "run")

    @torch.no_grad()
    def validate(self, *, pictures: int) -> ValidationResult:
        """All figures of the network as it is; every process has to call it.

        Args:
            pictures: how many chains are drawn, of the first samples; each is drawn by all processes together.
        """
        left_out = dict[str, str]()
        values = self._figures(left_out)
        drawn = dict[str, ChainResult]()
        for example in self._samples(pictures, lambda _number: True):
            if isinstance(example, GroundingExample):
                try:
                    drawn[example.key] = self._chain(example)
                except (FloatingPointError, TextError) as error:
                    left_out[example.key] = f"no picture: {error}"
        return ValidationResult(values=values, pictures=drawn, left_out=left_out)

    def _samples(self, count: int, wanted: Callable[[int], bool]) -> Iterator[Example | BrokenSample | None]:
        """The first samples over all releases; None for those not wanted, by number."""
        number = 0

        def is_wanted(_number: int) -> bool:
            return wanted(number)

        for release in self.releases:
            for sample in read_split(release, "validation", count - number, is_wanted):
                yield sample
                number += 1

    def _figures(self, left_out: dict[str, str]) -> dict[str, float]:
        """Each process measures its own samples; all of them pass the network equally often, as sharding asks."""
        rank, ranks = world()
        count, own = 0, dict[int, list[dict[str, float]]]()
        for number, sample in enumerate(
            self._samples(self.config.validation.samples, lambda n: n % ranks == rank)
        ):
            count = number + 1
            if isinstance(sample, BrokenSample):
                left_out[sample.key] = sample.reason
            elif isinstance(sample, GroundingExample):
                try:
                    own[number] = self._measure(sample)
                except TextError as error:
                    left_out[sample.key] = str(error)
        for _ in range((-(-count // ranks) - len(own)) * len(TIMES)):
            self._filler_pass()
        # one process has a number, the others add zero: sums over samples have one order for any number of processes
        names = [f"{name}{of}" for name in (*TERMS, *OVERLAPS.values()) for of in ("", "/count")]
        table = {
            f"{number}/{time}/{name}": own[number][time].get(name, 0.0) if number in own else 0.0
            for number in range(count)
            for time in range(len(TIMES))
            for name in names
        }
        done = {f"{number}/done": float(number in own) for number in range(count)}
        table = sum_over_ranks(table | done, self.device)

        def mean(name: str, times: range) -> float | None:
            cells = [f"{number}/{time}/{name}" for number in range(count) for time in times]
            total = math.fsum(table[f"{cell}/count"] for cell in cells)
            return math.fsum(table[cell] for cell in cells) / total if total else None

        every = range(len(TIMES))
        means = {name: mean(name, every) for name in (*TERMS, *OVERLAPS.values())}
        means |= {f"mse_{TIMES[i] * 100:.0f}": mean("mse", range(i, i + 1)) for i in every}
        found = {name: value for name, value in means.items() if value is not None}
        weigh = self.parts.model.config.weight
        loss = math.fsum(weigh(name) * found[name] for name in TERMS if name in found)
        return {"loss": loss, **found, "samples": math.fsum(table[name] for name in done)}

    def _measure(self, example: GroundingExample) -> list[dict[str, float]]:
        """Sums by name at each time, and beside each what it is a sum of, by the name with `/count`.

        Raises:
            TextError: no pack can be made of the sample.
        """
        shift, limit = self.config.loss.timestep_shift, self.config.optim.max_tokens
        draws = [FixedDraws(example.key, time, shift) for time in TIMES]
        rows = self.builder.length(example, draws[0])
        if rows > limit:
            raise TextError(f"{rows} rows, {limit} at most")
        batches = [self.parts.planner.packed([self.builder.build(example, drawn)]) for drawn in draws]
        clean = self._clean(batches[0])  # the times differ in what is added to it
        found = list[dict[str, float]]()
        for batch in batches:
            counts = term_counts(batch, self.parts.model.config)
            counts |= {OVERLAPS[term]: counts[term] for term in OVERLAPS if term in counts}
            sums = self._sums(batch, clean)
            values = {name: float(sums[name]) for name in counts if counts[name]}
            found.append(values | {f"{name}/count": value for name, value in counts.items()})
        return found

    def _filler_pass(self) -> None:
        """The shortest pack through the network; nothing is read from it."""
        item = TextItem(ids=(0,), loss=True)
        packed = pack([Sample(key="filler", items=(item,))], self.builder.model)
        batch = TrainingBatch(packed=packed, targets=(None,), features=(None,))
        self._sums(batch, self._clean(batch))

    def _clean(self, batch: TrainingBatch) -> Tensor:
        patch, padded = self.builder.model.latent_patch_size, self.config.run.padded_vae_batches
        moved = batch.to(self.device)
        return encode_images(self.parts.vae, moved.packed, patch, padded=padded)

    def _sums(self, batch: TrainingBatch, clean_NC: Tensor) -> dict[str, Tensor]:
        moved = batch.to(self.device)
        sums: dict[str, Tensor] = self.parts.model(moved, clean_NC, self.attend(moved), overlaps=True)
        return sums

    def _chain(self, example: GroundingExample) -> ChainResult:
        sequence, settings = self.builder.sequence, self.config.validation
        pipeline = Pipeline(
            model=self.parts.model.bagel,
            vae=self.parts.vae,
            tokenizer=self.builder.tokenizer,
            vae_rule=sequence.vae_rule,
            vit_rule=sequence.vit_rule,
        )
        chain = ChainSettings(
            **asdict(chain_of(sequence)),
            sampler=SamplerSettings(points=settings.points),
            max_tokens=settings.max_tokens,
        )
        return self.parts.model.run(
            lambda: run_chain(pipeline, example.source, example.instruction, chain, seed=0)
        )


def _whole(sequence: SequenceConfig) -> SequenceConfig:
    """The sequence with nothing dropped."""
    return replace(sequence, drop_text=0.0, drop_vae=0.0, drop_vit=0.0, drop_chain=0.0)


@contextmanager
def averaged(model: nn.Module, average: MovingAverage) -> Iterator[None]:
    """The averages in place of the parameters for as long as the block lasts.

    Values change places one tensor at a time, which takes no memory and gives every bit back.
    """
    _exchange(model, average)
    try:
        yield
    finally:
        _exchange(model, average)


@torch.no_grad()
def _exchange(model: nn.Module, average: MovingAverage) -> None:
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            ours, theirs = local(parameter.detach()), local(average.values[name])
            kept = ours.clone()
            ours.copy_(theirs)
            theirs.copy_(kept)
