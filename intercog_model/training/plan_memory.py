"""Memory of a training step before anybody starts one: the run's own step, with tensors that hold no values.

The trainer, the objective and the sharding are the run's; processes, collectives and values are not there. PyTorch's
`FSDPMemTracker` adds up what every operation allocates and frees.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor, distributed
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed._tools.fsdp2_mem_tracker import FSDPMemTracker

from intercog_model.backbone.attention import FlexAttend
from intercog_model.backbone.autoencoder import AutoEncoder
from intercog_model.backbone.bagel import Bagel
from intercog_model.config import BagelConfig
from intercog_model.grounding.config import HeadSizes
from intercog_model.grounding.heads import GroundingHeads
from intercog_model.training.build import Parts, network_to_train
from intercog_model.training.checkpoints import trained_tensors
from intercog_model.training.config import TrainConfig
from intercog_model.training.loop import Trainer
from intercog_model.training.objective import TrainingBatch
from intercog_model.training.plan_packs import PlannedPacks
from intercog_model.training.run_record import RunRecord
from intercog_model.training.sharding import local, process_mesh, shard
from intercog_model.training.step_feed import ReadyStep

KINDS = {
    "parameters": ("Sharded Param", "Buffer"),
    "gathered parameters": ("Unsharded Param", "All Gather"),
    "gradients": ("Sharded Grad", "Unsharded Grad", "Reduce Scatter"),
    "optimizer": ("OptState",),
    "activations": ("Activation",),
    "temporary": ("Temp",),
}
"""Kinds of memory by the tracker's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPlan:
    """Bytes of one process at the moment of a step when it holds most."""

    kinds: dict[str, int]  # on the GPU
    packs: int  # of all packs given, of which a GPU holds one at a time
    staging: int  # host memory of a checkpoint that is being written
    checkpoint: int  # files of a checkpoint, over all processes

    @property
    def peak(self) -> int:
        """On the GPU."""
        return sum(self.kinds.values())


class _FlexMemory(torch.autograd.Function):
    """What compiled FlexAttention keeps and returns; it cannot itself run without values."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        out, lse = torch.empty_like(q), q.new_empty(q.shape[:-1], dtype=torch.float32)
        ctx.save_for_backward(q, k, v, out, lse)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v, out, lse = ctx.saved_tensors
        delta = torch.empty_like(lse)
        found = torch.empty_like(q), torch.empty_like(k), torch.empty_like(v)
        del delta, out
        return found


def _flex_memory(q: Tensor, k: Tensor, v: Tensor, **_: Any) -> Tensor:
    return cast("Tensor", _FlexMemory.apply(q, k, v))  # type: ignore[no-untyped-call]


class _PlannedFlex(FlexAttend):
    def __init__(self, padded_length: int) -> None:
        self.padded_length, self.block_mask = padded_length, None  # type: ignore[assignment]
        self.attend = _flex_memory


class _PeakTracker(FSDPMemTracker):
    """The tracker, of the step's peak alone: to find that of each module, too, takes a third of a plan's time."""

    def _update_peak_stats(self, peak_state: Any) -> None:
        for device, held in self._curr_mem_snap.items():
            if self._peak_mem.get(device, 0) < held["Total"]:
                self._peak_mem[device] = held["Total"]
                self._peak_mem_snap[device] = dict(held)


class _PlannedTrainer(Trainer):
    """The trainer, without reading a value, since there are none."""

    tracker: FSDPMemTracker

    def _accumulate(
        self, batch: TrainingBatch, counts: dict[str, float], *, counted: bool
    ) -> dict[str, Tensor]:
        self.tracker.reset_mod_stats()
        return super()._accumulate(batch, counts, counted=counted)

    def _number(self, value: Tensor) -> float:
        return 1.0

    def _summed(self, values: dict[str, float]) -> dict[str, float]:
        return dict(values)


def plan_memory(
    config: TrainConfig,
    model: BagelConfig,
    sizes: HeadSizes,
    packs: PlannedPacks,
    batches: list[TrainingBatch],
    gpus: int,
) -> MemoryPlan:
    """A step of one of `gpus` processes with these batches, after one that gave the optimizer its state.

    Layers are not compiled: fused ones hold no more.
    """
    config = replace(config, run=replace(config.run, compile=False, digest_every_step=False))
    with fake_processes(gpus):
        mesh = process_mesh("cpu", config.run.replicas)
        with FakeTensorMode():
            parts = _parts(config, model, sizes, packs)
            shard(parts.model, mesh, bf16=config.run.bf16)
            record = RunRecord(identity={}, numerics={}, operation={})
            trainer = _PlannedTrainer(config, parts, torch.device("cpu"), record)
            if config.run.attention == "flex":
                trainer.attend = lambda batch: _PlannedFlex(
                    -(-max(batch.packed.length, config.optim.max_tokens) // 128) * 128
                )
            fake = [_without_values(batch, {}) for batch in batches]
            ready = ReadyStep(
                plan=packs.step,
                batches=tuple((batch, True) for batch in fake),
                position=packs.planner.position(),
            )
            return _tracked(trainer, ready)


def _tracked(trainer: _PlannedTrainer, ready: ReadyStep) -> MemoryPlan:
    # the fused optimizer is counted wrongly: the plain one holds the same state, and the peak is read before it steps
    for group in trainer.optimizer.param_groups:
        group |= {"fused": False, "foreach": False}
    model, vae = trainer.parts.model, trainer.parts.vae
    trainer.tracker = tracker = _PeakTracker(model, trainer.optimizer)
    average, encoder = list(trainer.average.values.values()), [*vae.parameters(), *vae.buffers()]
    inputs = _tensors([batch for batch, _ in ready.batches])
    tracker.track_inputs((average, encoder, inputs))
    trainer.position = ready.position
    with tracker:  # a state as a step leaves it
        trained = [p for group in trainer.optimizer.param_groups for p in group["params"]]
        for parameter in trained:
            parameter.grad = torch.zeros_like(parameter)
        # DTensor finds out once how an operation is sharded, on whole tensors without values, which would be counted
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        trainer.optimizer.step()
        trainer.optimizer.zero_grad()
    found: list[dict[str, int]] = []

    def at_peak(*_: Any) -> None:
        snapshot = next(iter(tracker.get_tracker_snapshot("peak").values()))
        found.append({getattr(kind, "value", kind): count for kind, count in snapshot.items()})
        trainer.optimizer.zero_grad()  # nothing is left to step with, which takes as long as a pack

    trainer.optimizer.register_step_pre_hook(at_peak)
    with tracker:
        trainer._train_step(ready)
    kinds = {name: sum(found[0][kind] for kind in parts) for name, parts in KINDS.items()}
    kinds |= {"moving average": _bytes(average), "autoencoder": _bytes(encoder)}
    kinds["pack"] = max(_bytes(_tensors([batch])) for batch, _ in ready.batches)
    saved = list(trained_tensors(model, trainer.optimizer, trainer.average).values())
    return MemoryPlan(
        kinds=kinds,
        packs=_bytes(inputs),
        staging=_bytes(saved),
        checkpoint=sum(value.numel() * value.element_size() for value in saved),
    )


def _parts(config: TrainConfig, model: BagelConfig, sizes: HeadSizes, packs: PlannedPacks) -> Parts:
    vae = AutoEncoder(model.vae).eval().requires_grad_(False)
    if config.run.vae_bf16:
        for parameter in vae.encoder.parameters():
            parameter.data = parameter.data.bfloat16()
    network = network_to_train(config, Bagel(model), GroundingHeads(model.llm.hidden_size, sizes))
    return Parts(model=network, vae=vae, planner=packs.planner)


@contextmanager
def fake_processes(count: int) -> Iterator[None]:
    """A process group of `count` of which this is the first and the others are not there."""
    from torch.testing._internal.distributed.fake_pg import FakeStore  # noqa: PLC0415 - it registers a backend

    store = FakeStore()
    distributed.init_process_group("fake", store=store, rank=0, world_size=count)
    try:
        yield
    finally:
        distributed.destroy_process_group()


def _without_values(value: Any, known: dict[int, Tensor]) -> Any:
    """A copy whose tensors have a shape and nothing else; what was one tensor stays one."""
    if isinstance(value, Tensor):
        if id(value) not in known:
            known[id(value)] = torch.empty(value.shape, dtype=value.dtype, device="cpu")
        return known[id(value)]
    if isinstance(value, list | tuple):
        return type(value)(_without_values(item, known) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        parts = {field.name: _without_values(getattr(value, field.name), known) for field in fields(value)}
        return replace(value, **parts)
    return value


def _tensors(value: Any) -> list[Tensor]:
    """Every tensor in a tree of batches, once."""
    if isinstance(value, Tensor):
        return [value]
    parts: list[Any] = []
    if isinstance(value, list | tuple):
        parts = list(value)
    elif is_dataclass(value) and not isinstance(value, type):
        parts = [getattr(value, field.name) for field in fields(value)]
    found = {id(tensor): tensor for part in parts for tensor in _tensors(part)}
    return list(found.values())


def _bytes(tensors: list[Tensor]) -> int:
    """On this process."""
    return sum(local(tensor).numel() * tensor.element_size() for tensor in tensors)
