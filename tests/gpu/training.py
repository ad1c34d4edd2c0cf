"""`python -m tests.gpu.training`: attention, training steps and their memory on one GPU, with random weights and data.

Three sections, each printed as soon as it is measured: FlexAttention beside dense attention, forward and backward; a
few full-width layers in the trainer's own step beside a plain loop; the planned peak of memory beside the measured one.
``--debug`` is for a CPU. Segment Anything's decoder is left out, and with it the mask losses: neither it nor pydantic
nor obstore is needed.
"""

from __future__ import annotations

import gc
import json
import platform
import sys
import time
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.profiler import ProfilerActivity, profile, record_function


def _without_storage() -> None:
    """Stands in for obstore where it is not installed: checkpoints import it, and none is saved or read here."""
    names = {
        "obstore": (),
        "obstore.exceptions": ("AlreadyExistsError", "BaseError", "PreconditionError"),
        "obstore.store": ("LocalStore", "from_url"),
    }
    for name, members in names.items():
        module = sys.modules[name] = types.ModuleType(name)
        vars(module).update({member: type(member, (Exception,), {}) for member in members})


try:
    installed = find_spec("obstore") is not None
except ImportError:
    installed = False
if not installed:
    _without_storage()

from intercog_model.backbone.attention import DenseAttend, FlexAttend  # noqa: E402
from intercog_model.backbone.autoencoder import AutoEncoder  # noqa: E402
from intercog_model.backbone.bagel import Bagel, encode_images  # noqa: E402
from intercog_model.backbone.layers import set_recompute  # noqa: E402
from intercog_model.config import FLAVORS, BagelConfig  # noqa: E402
from intercog_model.data.mixture import SourceConfig  # noqa: E402
from intercog_model.data.plans import SequenceConfig  # noqa: E402
from intercog_model.grounding import heads  # noqa: E402
from intercog_model.grounding.config import DEBUG_HEADS, GroundingConfig, HeadSizes  # noqa: E402
from intercog_model.packing.masks import dense_masks, flex_mask  # noqa: E402
from intercog_model.packing.resize import DEBUG_VAE_RULE, DEBUG_VIT_RULE  # noqa: E402
from intercog_model.training.build import Parts, network_to_train  # noqa: E402
from intercog_model.training.config import ModelSource, OptimConfig, RunConfig, TrainConfig  # noqa: E402
from intercog_model.training.devices import device_name, peak_flops  # noqa: E402
from intercog_model.training.loop import Trainer  # noqa: E402
from intercog_model.training.objective import TrainingBatch, term_counts, total_loss  # noqa: E402
from intercog_model.training.plan_memory import plan_memory  # noqa: E402
from intercog_model.training.plan_packs import PlannedPacks, planned_packs  # noqa: E402
from intercog_model.training.run_record import RunRecord  # noqa: E402
from intercog_model.training.sharding import process_mesh, shard  # noqa: E402
from intercog_model.training.step_feed import ReadyStep  # noqa: E402
from tests.gpu.device_arguments import measuring_parser, usable_device  # noqa: E402
from tests.intercog_model.allocator_events import most_held  # noqa: E402

GB = 1e9
STEPS = 5  # measured, after two that compile and warm up
Figures = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What all sections measure: a model, its configuration and a pack of it."""

    config: TrainConfig
    model: BagelConfig
    sizes: HeadSizes
    device: torch.device
    packs: PlannedPacks
    batch: TrainingBatch

    @classmethod
    def of(cls, device: torch.device, layers: int, *, debug: bool) -> Bench:
        """Full-width layers in bf16 for a GPU, or tiny ones in float32 for a CPU."""
        flavor = FLAVORS["debug" if debug else "released"]()
        model = replace(flavor, llm=replace(flavor.llm, num_hidden_layers=layers))
        cuda = device.type == "cuda"
        rules: Figures = {"vae_rule": DEBUG_VAE_RULE, "vit_rule": DEBUG_VIT_RULE} if debug else {}
        drops = {"drop_text": 0.0, "drop_vae": 0.0, "drop_vit": 0.0, "drop_chain": 0.0}
        config = TrainConfig(
            # the flavor names weights that are not asked for here
            model=ModelSource(flavor="debug" if debug else "released", features="random"),
            sequence=SequenceConfig(**drops, **rules),
            grounding=GroundingConfig(weight_mask=0.0),
            optim=OptimConfig(samples_per_step=1, max_tokens=4096 if debug else 24576, warmup_steps=0),
            run=RunConfig(
                out="unused",
                attention="flex" if cuda else "dense",
                bf16=cuda,
                vae_bf16=cuda,
                compile=cuda,
                activation_checkpointing="full",
            ),
            sources=(SourceConfig(name="random", kind="grounding", uri="none"),),
        )
        sizes = DEBUG_HEADS if debug else HeadSizes()
        packs = planned_packs(config, model, sizes)
        batch = packs.planner.batch(packs.step.packs[0], 0)
        return cls(config=config, model=model, sizes=sizes, device=device, packs=packs, batch=batch)


def attention(bench: Bench) -> Figures:
    """Output and gradients of FlexAttention and dense attention over the pack, beside dense ones of more digits."""
    llm, packed, device = bench.model.llm, bench.batch.packed, bench.device
    cuda = device.type == "cuda"
    length = -(-packed.length // 128) * 128
    flex = FlexAttend(flex_mask(packed, length, device), compiled=cuda)
    dense = DenseAttend([mask.to(device) for mask in dense_masks(packed)])
    torch.manual_seed(0)
    shapes = [(packed.length, count, llm.head_dim) for count in _heads(bench)]
    exact = [torch.randn(shape, device=device) for shape in shapes]
    grad = torch.randn(shapes[0], device=device)
    kind = torch.bfloat16 if cuda else torch.float32

    def run(attend: Any, dtype: torch.dtype, *, back: bool) -> list[Tensor]:
        given = [x.to(dtype, copy=True).requires_grad_(back) for x in exact]
        out: Tensor = attend(0, *given)
        if back:
            out.backward(grad.to(dtype))
        return [out.detach(), *(x.grad for x in given if x.grad is not None)]

    expected = run(dense, torch.float32 if cuda else torch.float64, back=True)
    # FlexAttention refuses its backward pass on a CPU
    ways = {"flex": (flex, cuda), "dense": (dense, True)}
    found: Figures = {"rows": packed.length, "type": str(kind).removeprefix("torch.")}
    for name, (attend, back) in ways.items():
        given = run(attend, kind, back=back)
        for part, a, b in zip(("output", "queries", "keys", "values"), given, expected, strict=False):
            found[f"{name}: largest error of {part}, relative"] = float(
                (a.float() - b).abs().max() / b.abs().max()
            )
        found[f"{name}: seconds forward"] = _seconds(lambda a=attend: run(a, kind, back=False), device)
        if back:
            found[f"{name}: seconds forward and backward"] = _seconds(
                lambda a=attend: run(a, kind, back=True), device
            )
    return found


def _heads(bench: Bench) -> tuple[int, int, int]:
    llm = bench.model.llm
    return llm.num_attention_heads, llm.num_key_value_heads, llm.num_key_value_heads


def speed(bench: Bench) -> Figures:
    """Tokens a second and MFU of the trainer's step, by what is computed again, and of the plain loop."""
    found: Figures = {"layers": bench.model.llm.num_hidden_layers, "rows": bench.batch.packed.length}
    flops = 0.0
    for recompute in ("full", "selective"):
        seconds, flops = _trainer_seconds(bench, recompute)
        _free(bench.device)
        found |= _rates(f"trainer, recompute {recompute}", bench, seconds, flops)
    return found | _rates("plain loop", bench, _seconds(plain_step(bench), bench.device), flops)


def _trainer_seconds(bench: Bench, recompute: str) -> tuple[float, float]:
    """Of a step, and its operations."""
    with trainer_of(bench, recompute) as (trainer, ready):
        return _seconds(lambda: trainer._train_step(ready), bench.device), trainer.flops.of(
            bench.batch.packed
        )


def _free(device: torch.device) -> None:
    """Two networks with their moments do not fit beside each other."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def _rates(name: str, bench: Bench, seconds: float, flops: float) -> Figures:
    rates = {"seconds a step": seconds, "tokens a second": bench.batch.packed.length / seconds}
    peak = peak_flops(bench.device)
    rates |= {"MFU": flops / seconds / peak} if peak else {}
    return {f"{name}: {key}": value for key, value in rates.items()}


def memory(bench: Bench) -> Figures:
    """The most that the second step holds, as planned and as measured: by the GPU's allocator, or the CPU's events."""
    cuda = bench.device.type == "cuda"
    events = profile(activities=[ProfilerActivity.CPU], profile_memory=True)
    with nullcontext() if cuda else events, trainer_of(bench, "full") as (trainer, ready):
        trainer._train_step(ready)
        if cuda:
            torch.cuda.synchronize(bench.device)
            torch.cuda.reset_peak_memory_stats(bench.device)
        with record_function("second step"):
            trainer._train_step(ready)
        measured = torch.cuda.max_memory_allocated(bench.device) if cuda else 0
    measured = measured or most_held(events, "second step")
    batches = [bench.packs.batch(bench.packs.step.packs[0])]
    plan = plan_memory(bench.config, bench.model, bench.sizes, bench.packs, batches, 1)
    # on a CPU the pack is not moved: it was there before the profile began
    planned = plan.peak if cuda else plan.peak - plan.kinds["pack"]
    return {
        "planned GB": planned / GB,
        "measured GB": measured / GB,
        "planned over measured": planned / measured,
    }


@contextmanager
def trainer_of(bench: Bench, recompute: str) -> Iterator[tuple[Trainer, ReadyStep]]:
    """The trainer of a run, sharded over one process as every run is, and the step that it is to make."""
    run: Any = replace(bench.config.run, activation_checkpointing=recompute)  # type: ignore[arg-type]
    config = replace(bench.config, run=run)
    backend = "cpu:gloo,cuda:nccl" if bench.device.type == "cuda" else "gloo"
    distributed.init_process_group(backend, store=distributed.HashStore(), rank=0, world_size=1)
    try:
        network, vae = networks(bench, config)
        shard(network, process_mesh(bench.device.type, 1), bf16=config.run.bf16)
        parts = Parts(model=network, vae=vae, planner=bench.packs.planner)
        record = RunRecord(identity={}, numerics={}, operation={})
        position = bench.packs.planner.position()
        ready = ReadyStep(plan=bench.packs.step, batches=((bench.batch, True),), position=position)
        yield Trainer(config, parts, bench.device, record), ready
    finally:
        distributed.destroy_process_group()


def networks(bench: Bench, config: TrainConfig) -> tuple[Any, AutoEncoder]:
    """Network to train and autoencoder, with random weights."""
    torch.manual_seed(0)
    with bench.device:
        bagel, vae = Bagel(bench.model), AutoEncoder(bench.model.vae)
        made = heads.GroundingHeads(bench.model.llm.hidden_size, bench.sizes)
    if config.run.vae_bf16:
        vae.encoder.to(torch.bfloat16)
    return network_to_train(config, bagel, made), vae.eval().requires_grad_(False)


def plain_step(bench: Bench) -> Callable[[], None]:
    """A step as a loop without any of the trainer's means makes it.

    Nothing is compiled, recomputed or sharded; attention is dense, sample by sample; matrix products are in bf16 by
    autocast; AdamW goes parameter by parameter; the average is left out.
    """
    device = bench.device
    config = replace(bench.config, run=replace(bench.config.run, compile=False))
    network, vae = networks(bench, config)
    set_recompute(network.bagel, "none")
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-6, fused=False, foreach=False)
    attend = DenseAttend([mask.to(device) for mask in dense_masks(bench.batch.packed)])
    moved, counts = bench.batch.to(device), term_counts(bench.batch, network.config)

    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            clean = encode_images(vae, moved.packed, bench.model.latent_patch_size)
            loss = total_loss(network(moved, clean, attend), counts, network.config)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    return step


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    """Of one call, the median of several after two that warm up."""
    taken = []
    for _ in range(2 + STEPS):
        _wait(device)
        begun = time.perf_counter()
        work()
        _wait(device)
        taken.append(time.perf_counter() - begun)
    return sorted(taken[2:])[STEPS // 2]


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


SECTIONS: dict[str, Callable[[Bench], Figures]] = {"attention": attention, "speed": speed, "memory": memory}


def main(arguments: list[str] | None = None) -> int:
    """Measures what the time allows; 1 when a section was skipped, 2 for a device that is not there."""
    parser = measuring_parser("training", __doc__, limit_s=420)
    parser.add_argument("--layers", type=int, default=2, help="of the language model; 2 take some 60 GB")
    given = parser.parse_args(arguments)
    if given.layers < 1:
        parser.error(f"--layers {given.layers}: should be 1 or more")
    device = usable_device(parser, given)
    if device is None:
        return 2
    begun = time.monotonic()
    # the mask decoder takes no part: its losses are off
    heads.build_mask_decoder = heads.build_position_code = lambda *_: nn.Identity()
    heading = (
        f"{given.layers} layers, one {device.type.replace('cuda', 'GPU')}, no communication, random data"
    )
    machine = {"device": device_name(device), "torch": torch.__version__, "python": platform.python_version()}
    print(f"{heading}\n{machine}", flush=True)
    found: dict[str, Figures] = {}
    skipped: list[str] = []
    bench: Bench | None = None
    for name, measure in SECTIONS.items():
        if time.monotonic() - begun > given.limit_s:
            skipped.append(name)
            print(f"{name}: skipped, out of time", flush=True)
            continue
        bench = bench or Bench.of(device, given.layers, debug=given.debug)
        found[name] = measure(bench)
        _free(device)
        told = "\n".join(
            f"  {key}: {value:.4g}" if isinstance(value, float) else f"  {key}: {value}"
            for key, value in found[name].items()
        )
        print(f"{name} (after {time.monotonic() - begun:.0f} s)\n{told}", flush=True)
    if given.out:
        figures = {"heading": heading, "machine": machine, "sections": found, "skipped": skipped}
        given.out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return 1 if skipped else 0


if __name__ == "__main__":
    sys.exit(main())
