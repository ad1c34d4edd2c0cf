"""A run's plan in numbers: what fits, how long it takes, what its checkpoints weigh, and what was assumed."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from intercog_model.backbone.layers import Recompute
from intercog_model.checkpoint import read_config
from intercog_model.config import FLAVORS, BagelConfig
from intercog_model.errors import ConfigurationError
from intercog_model.grounding.config import DEBUG_HEADS, HeadSizes
from intercog_model.training.build import require_replicas
from intercog_model.training.config import TrainConfig
from intercog_model.training.devices import Gpu
from intercog_model.training.plan_memory import MemoryPlan, plan_memory
from intercog_model.training.plan_packs import planned_packs

UNSEEN = 5.0
"""GB assumed for what no plan can see."""

PUBLISHED_MFU = {"full": (0.1789, "BAGEL's own trainer"), "less": (0.2369, "Megatron-Bridge")}
"""Of training BAGEL on H100s, as the verification card of Megatron-Bridge has it (2026-08-31), and by what.

BAGEL's own recomputes all layers and averages weights; Megatron-Bridge recomputes 23 of 28 and averages none.
"""

GB = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumed:
    """Share of the GPUs' peak that training is taken to reach while it computes, and where that is from."""

    mfu: float
    origin: str

    @classmethod
    def of(cls, measured: float | None, recompute: Recompute) -> Self:
        """The measured share, or the published one of a like run; ConfigurationError where it is no share."""
        if measured is None:
            mfu, trainer = PUBLISHED_MFU["full" if recompute == "full" else "less"]
            return cls(mfu=mfu, origin=f"assumed: what {trainer} is published to reach for BAGEL")
        if not 0 < measured <= 1:
            raise ConfigurationError(f"--mfu {measured}: should be above 0 and at most 1")
        return cls(mfu=measured, origin="measured, as given by --mfu")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """Of one configuration on one number of GPUs."""

    gpus: int
    replicas: int  # copies of the model among them
    gpu: Gpu
    memory: MemoryPlan
    assumed: Assumed
    samples: str
    packs: int
    rows: int  # of the longest pack
    flops: float  # of one step over all GPUs
    slowest: float  # FLOPs of one step on a GPU that waits for the slowest in every round
    steps: int
    picture_bytes: int  # of one step's decoded samples, on every process

    @property
    def gigabytes(self) -> float:
        """On one GPU at the peak, with what cannot be seen."""
        return self.memory.peak / GB + UNSEEN

    @property
    def fits(self) -> bool:
        """Whether that is no more than the GPU has."""
        return self.gigabytes <= self.gpu.gigabytes

    @property
    def work_share(self) -> float:
        """Share of the GPUs' computing time in which they have a pack that counts."""
        return self.flops / (self.gpus * self.slowest)

    @property
    def seconds(self) -> float:
        """Of one step."""
        return self.slowest / (self.gpu.tflops * 1e12 * self.assumed.mfu)


def plan_run(config: TrainConfig, gpus: int, gpu: Gpu, assumed: Assumed) -> RunPlan:
    """The plan of a configuration; ConfigurationError where no run can be made of it."""
    if gpus < 1:
        raise ConfigurationError(f"--gpus {gpus}: should be 1 or more")
    require_replicas(config, gpus)
    model = _sizes(config)
    sizes = DEBUG_HEADS if config.model.flavor == "debug" else HeadSizes()
    packs = planned_packs(config, model, sizes)
    work = {id(members): packs.work(members) for members in packs.step.packs}
    shares = [packs.step.share(rank, gpus) for rank in range(gpus)]
    rounds = zip(*([work[id(members)][1] for members, _ in share] for share in shares), strict=True)
    longest = sorted(packs.step.packs, key=lambda members: -work[id(members)][0])
    batches = [packs.batch(members) for members in longest[: min(2, len(shares[0]))]]
    return RunPlan(
        gpus=gpus,
        replicas=config.run.replicas,
        gpu=gpu,
        memory=plan_memory(config, model, sizes, packs, batches, gpus),
        assumed=assumed,
        samples=packs.origin,
        packs=len(packs.step.packs),
        rows=max(rows for rows, _ in work.values()),
        flops=sum(flops for _, flops in work.values()),
        slowest=sum(max(each) for each in rounds),
        steps=config.optim.steps,
        picture_bytes=packs.picture_bytes(),
    )


def _sizes(config: TrainConfig) -> BagelConfig:
    folder = Path(config.model.checkpoint)
    if config.model.checkpoint and folder.is_dir():
        try:
            return read_config(folder)
        except (OSError, ValueError, KeyError) as error:
            raise ConfigurationError(f"model.checkpoint: {config.model.checkpoint!r}: {error}") from error
    return FLAVORS[config.model.flavor]()


def report(plans: list[RunPlan]) -> str:
    """A Markdown table with a column for each plan, and what it rests on."""
    first = plans[0]
    rows: list[tuple[str, list[str]]] = [("GPUs", [f"{p.gpus} x {p.gpu.part}" for p in plans])]
    rows.append(("copies of the model (run.replicas)", [str(p.replicas) for p in plans]))
    for kind in first.memory.kinds:
        rows.append((f"GPU memory, {kind}, GB", [f"{p.memory.kinds[kind] / GB:.2f}" for p in plans]))
    rows += [
        ("not to be seen here, GB, assumed", [f"{UNSEEN:.0f}" for _ in plans]),
        ("GPU memory at the peak, GB", [f"{p.gigabytes:.1f}" for p in plans]),
        ("fits", [f"{'yes' if p.fits else 'NO'}, {p.gpu.gigabytes:g} GB" for p in plans]),
        (
            "host memory per process: checkpoint being written, GB",
            [f"{p.memory.staging / GB:.1f}" for p in plans],
        ),
        ("- pictures and packs of two steps, GB", [f"{_data(p):.1f}" for p in plans]),
        ("packs a step; rows of the longest", [f"{p.packs}; {p.rows}" for p in plans]),
        ("PFLOP a step, over all GPUs", [f"{p.flops / 1e15:.3g}" for p in plans]),
        (
            "share of the GPUs' time with work, else waiting for the longest pack",
            [f"{p.work_share:.2f}" for p in plans],
        ),
        ("seconds a step", [f"{p.seconds:.3g}" for p in plans]),
        (f"hours for {first.steps} steps", [f"{p.seconds * p.steps / 3600:.3g}" for p in plans]),
        ("a checkpoint, GB", [f"{p.memory.checkpoint / GB:.1f}" for p in plans]),
    ]
    lines = [f"| {name} | {' | '.join(cells)} |" for name, cells in rows]
    lines.insert(1, "| --- " * (len(plans) + 1) + "|")
    notes = [
        "",
        f"Samples: {first.samples}.",
        f"MFU {first.assumed.mfu:.3g} of {first.gpu.tflops:g} TFLOP/s, {first.assumed.origin}.",
        "Not to be seen here: CUDA context, NCCL, workspaces of kernels, fragmentation.",
        "FLOPs are the model's, without recomputation, ViT and autoencoder, as in the training log.",
    ]
    return "\n".join(lines + notes)


def _data(plan: RunPlan) -> float:
    return 2 * (plan.picture_bytes + plan.memory.packs) / GB
