"""`python -m intercog_model.bench`: seconds by part, memory and training speed, with random weights."""

import argparse
import json
import platform
import resource
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from intercog_model.backbone.autoencoder import AutoEncoder
from intercog_model.backbone.bagel import Bagel
from intercog_model.backbone.position_tables import PositionTable, sincos_table
from intercog_model.config import FLAVORS, BagelConfig
from intercog_model.data.tokenizer import ByteTokenizer
from intercog_model.errors import ConfigurationError, require_writable
from intercog_model.inference.chain import ChainSettings, run_chain
from intercog_model.inference.compiled import compiled_layers
from intercog_model.inference.option_checks import check_device
from intercog_model.inference.pipeline import Pipeline
from intercog_model.inference.plain_modes import edit
from intercog_model.inference.sampler import SamplerSettings, batched_velocities, separate_velocities
from intercog_model.packing.resize import DEBUG_VAE_RULE, DEBUG_VIT_RULE, VAE_RULE, VIT_RULE
from intercog_model.read_settings import check_options
from intercog_model.settings import Count, Seed, Settings, Weight, Within
from intercog_model.training.measure import measure_training

INSTRUCTION = "Make the second car from the left dark blue."
COMPARISON = "comparison loop"
ROUTES = {"batched guidance": batched_velocities, COMPARISON: separate_velocities}


class Stopwatch:
    """Seconds by part, with the device's queue emptied at both ends."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.seconds = defaultdict[str, float](float)

    @contextmanager
    def __call__(self, part: str) -> Iterator[None]:
        """Add what the block takes to `part`."""
        self._wait()
        started = time.perf_counter()
        yield
        self._wait()
        self.seconds[part] += time.perf_counter() - started

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def random_pipeline(
    config: BagelConfig, device: torch.device, dtype: torch.dtype, *, released: bool
) -> Pipeline:
    """Random weights straight on the device; speed does not depend on them."""
    with torch.device("meta"):
        model, vae = Bagel(config), AutoEncoder(config.vae)
    for module, kind in ((model, dtype), (vae, torch.float32)):
        module.to(kind).to_empty(device=device)
        _fill(module)
    # ids of plain bytes lie in every vocabulary; the frame tokens are the configuration's own
    tokenizer = ByteTokenizer()
    rules = (VAE_RULE, VIT_RULE) if released else (DEBUG_VAE_RULE, DEBUG_VIT_RULE)
    return Pipeline(
        model=model.eval().requires_grad_(False),
        vae=vae.eval().requires_grad_(False),
        tokenizer=tokenizer,
        vae_rule=rules[0],
        vit_rule=rules[1],
    )


@torch.no_grad()
def _fill(module: nn.Module) -> None:
    for name, value in module.named_parameters():
        norm = name.endswith("weight") and value.dim() == 1
        value.fill_(1.0) if norm else value.normal_(std=0.02)
    for part in module.modules():
        if isinstance(part, PositionTable):
            part.pos_embed.copy_(sincos_table(part.side, part.pos_embed.shape[1]))


def measure(
    pipeline: Pipeline, mode: str, image: Image.Image, tokens: int, points: int, seed: int
) -> dict[str, object]:
    """One run of a mode, after a short one that warms up."""
    device = pipeline.model.vae2llm.weight.device
    _run(pipeline, mode, image, 4, 3, seed, Stopwatch(device))
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    clock = Stopwatch(device)
    picture = _run(pipeline, mode, image, tokens, points, seed, clock)
    texts = [part for part in ("T1", "T2", "thought") if part in clock.seconds]
    drawn = [part for part in ("V", "O") if part in clock.seconds]
    writing, drawing = (sum(clock.seconds[p] for p in parts) for parts in (texts, drawn))
    return {
        "seconds by part": dict(clock.seconds),
        "seconds": sum(clock.seconds.values()),
        "text tokens per second": len(texts) * tokens / writing if texts else None,
        "seconds per denoising step, decoding included": drawing / (len(drawn) * (points - 1)),
        "peak memory in bytes": peak_memory(device),
        "picture": np.array(picture),
    }


def _run(
    pipeline: Pipeline, mode: str, image: Image.Image, tokens: int, points: int, seed: int, clock: Stopwatch
) -> Image.Image:
    sampler = SamplerSettings(points=points)
    if mode == "intercog":
        settings = ChainSettings(sampler=sampler, max_tokens=tokens, ignore_end=True)
        return run_chain(pipeline, image, INSTRUCTION, settings, seed, clock).edited
    return edit(
        pipeline,
        image,
        INSTRUCTION,
        seed=seed,
        settings=sampler,
        think=mode == "edit-think",
        max_tokens=tokens,
        ignore_end=True,
        clock=clock,
    ).edited


def peak_memory(device: torch.device) -> int:
    """Highest allocation on the device since the last reset; on a CPU the process's resident peak."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def weight_bytes(pipeline: Pipeline) -> int:
    """Bytes of all weights and tables."""
    modules = (pipeline.model, pipeline.vae)
    return sum(t.numel() * t.element_size() for m in modules for t in m.state_dict().values())


def machine(device: torch.device) -> dict[str, str]:
    """Device and versions, to stand beside the figures."""
    name = (
        torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else platform.processor() or platform.machine()
    )
    return {"device": name, "torch": torch.__version__, "python": platform.python_version()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(Settings):
    """Numbers with which something can be measured."""

    points: Annotated[int, Within(ge=2)]
    side: Count | None
    tokens: Count
    layers: Count | None
    train_steps: Annotated[int, Within(ge=0)]
    peak_tflops: Weight
    seed: Seed


def main(arguments: list[str] | None = None) -> int:
    """Measure every mode by both routes; 1 when the routes draw different pictures, 2 for wrong arguments."""
    parser = argparse.ArgumentParser(prog="python -m intercog_model.bench", description=__doc__)
    parser.add_argument("--flavor", choices=FLAVORS, default="debug")
    parser.add_argument("--modes", nargs="+", choices=("edit", "edit-think", "intercog"), default=None)
    parser.add_argument(
        "--side", type=int, default=None, help="pixels of the square source; default 1024, debug 64"
    )
    parser.add_argument("--tokens", type=int, default=200, help="generated per text")
    parser.add_argument("--points", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--dtype", choices=("bfloat16", "float32"), default="bfloat16")
    parser.add_argument("--compile", action="store_true", help="the batched route's layers by torch.compile")
    parser.add_argument("--out", type=Path, help="JSON file for the figures")
    parser.add_argument(
        "--train-steps", type=int, default=0, help="measure training instead, over so many steps"
    )
    parser.add_argument("--layers", type=int, help="language layers in training, where all do not fit")
    parser.add_argument(
        "--peak-tflops", type=float, default=0.0, help="of the device in bf16, for MFU; else by its name"
    )
    options = parser.parse_args(arguments)
    try:
        check_device(options.device)
        check_options(Options, options)
        require_writable(options.out)
    except ConfigurationError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    device, released = torch.device(options.device), options.flavor == "released"
    torch.manual_seed(options.seed)
    side = options.side or (1024 if released else 64)
    if options.train_steps:
        found = measure_training(
            FLAVORS[options.flavor](),
            side,
            device,
            released=released,
            steps=options.train_steps,
            layers=options.layers,
            peak_tflops=options.peak_tflops,
        )
        _store(
            {"machine": machine(device), "training": found, "peak memory in bytes": peak_memory(device)},
            options.out,
        )
        return 0
    dtype = getattr(torch, options.dtype)
    pipeline = random_pipeline(FLAVORS[options.flavor](), device, dtype, released=released)
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (side, side, 3), dtype=np.uint8))
    report: dict[str, object] = {"machine": machine(device), "weights in bytes": weight_bytes(pipeline)}
    report["settings"] = {k: str(v) for k, v in vars(options).items()} | {"side": side}
    apart = 0.0
    for mode in options.modes or ("edit", "edit-think", "intercog"):
        runs: dict[str, dict[str, Any]] = {}
        for route, velocities in ROUTES.items():
            timed = replace(pipeline, velocities=velocities)
            fused = options.compile and route != COMPARISON
            with compiled_layers(pipeline.model) if fused else nullcontext():
                runs[route] = measure(timed, mode, image, options.tokens, options.points, options.seed)
        pictures = [np.asarray(run.pop("picture"), dtype=np.float64) for run in runs.values()]
        gap = float(np.abs(pictures[0] - pictures[1]).mean())
        seconds = [float(str(run["seconds"])) for run in runs.values()]
        report[mode] = runs | {
            "mean difference in gray levels": gap,
            "times faster": seconds[1] / seconds[0],
        }
        apart = max(apart, gap)
    _store(report, options.out)
    # both routes are the same sums in another order: float32 agrees to rounding, bf16 to a few gray levels
    return 1 if apart > (1.0 if options.dtype == "float32" else 8.0) else 0


def _store(report: dict[str, object], path: Path | None) -> None:
    text = json.dumps(report, indent=1)
    print(text)
    if path:
        path.write_text(text + "\n")


if __name__ == "__main__":
    sys.exit(main())
