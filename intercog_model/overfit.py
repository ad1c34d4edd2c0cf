"""`python -m intercog_model.overfit RELEASE`: a tiny model learns a few samples by heart, then is examined."""

import argparse
import dataclasses
import json
import sys
import time
from pathlib import Path
from typing import Annotated

import torch

from intercog_model.errors import ConfigurationError, require_writable
from intercog_model.read_settings import check_options
from intercog_model.settings import Count, Seed, Settings, Within
from intercog_model.training.by_heart import Overfit, OverfitSettings
from intercog_model.training.by_heart_exam import FRESH, Aims, Check, examine
from intercog_model.training.by_heart_samples import choose


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Options(Settings):
    """Numbers that something can be learned with."""

    samples: Count
    steps: Count
    vae_steps: Count
    threads: Count
    minutes: Annotated[float, Within(gt=0)]
    seed: Seed


def main(arguments: list[str] | None = None) -> int:
    """Learn, examine, print and store the figures; 1 when one misses its aim, 2 for wrong arguments."""
    parser = argparse.ArgumentParser(prog="python -m intercog_model.overfit", description=__doc__)
    parser.add_argument("release", help="folder of a GroundEdit release")
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--steps", type=int, default=OverfitSettings().steps)
    parser.add_argument(
        "--minutes", type=float, default=OverfitSettings().minutes, help="of learning, at most"
    )
    parser.add_argument("--vae-steps", type=int, default=OverfitSettings().vae_steps)
    parser.add_argument("--seed", type=int, default=OverfitSettings().seed)
    parser.add_argument("--threads", type=int, default=1, help="such small layers gain nothing from more")
    parser.add_argument("--out", type=Path, help="JSON file for the figures")
    options = parser.parse_args(arguments)
    try:
        check_options(Options, options)
        require_writable(options.out)
        torch.set_num_threads(options.threads)
        started = time.monotonic()
        settings = OverfitSettings(
            steps=options.steps, minutes=options.minutes, vae_steps=options.vae_steps, seed=options.seed
        )
        overfit = Overfit(choose(options.release, options.samples), settings)
    except ConfigurationError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print("samples", *(e.key for e in overfit.examples), sep="\n  ")
    print(f"autoencoder: last squared error {overfit.fit_autoencoder():.4f}", flush=True)
    before = overfit.losses(FRESH)
    steps = overfit.learn()
    checks = examine(overfit, before, Aims())
    for check in checks:
        print(check.line())
    missed = sum(not check.passed for check in checks)
    seconds = time.monotonic() - started
    verdict = "PASS" if not missed else "FAIL"
    print(f"{verdict}: {len(checks) - missed} of {len(checks)} aims, {steps} steps, {seconds:.0f} s")
    if options.out:
        write(options.out, checks, steps, seconds)
    return 1 if missed else 0


def write(path: Path, checks: list[Check], steps: int, seconds: float) -> None:
    """The figures as JSON."""
    found = [dataclasses.asdict(check) | {"passed": check.passed} for check in checks]
    path.write_text(json.dumps({"steps": steps, "seconds": round(seconds), "checks": found}, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
