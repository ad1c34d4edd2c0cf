"""`python -m intercog_model.by_heart RELEASE --out FOLDER`: a tiny model learns a few samples, then is examined.

The run is one of `intercog_model.train` with `configs/by_heart.toml`: it may be stopped and goes on, keeps checkpoints
and can be exported like any other.
"""

import argparse
import dataclasses
import json
import sys
import time
from pathlib import Path

import torch

from intercog_model.by_heart.exam import FRESH, Aims, Check, examine
from intercog_model.by_heart.samples import examples_of, write_small_release
from intercog_model.by_heart.start import write_quiet_features, write_start
from intercog_model.by_heart.student import Student
from intercog_model.errors import ConfigurationError
from intercog_model.read_settings import check_options
from intercog_model.settings import Count, Settings
from intercog_model.train import train
from intercog_model.training.build import build
from intercog_model.training.config import TrainConfig
from intercog_model.training.config_files import load_config
from intercog_model.training.sharding import local

CONFIG = Path(__file__).parents[1] / "configs" / "by_heart.toml"
DEVICE = torch.device("cpu")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Options(Settings):
    """Numbers that something can be learned with."""

    samples: Count
    vae_steps: Count
    threads: Count


def main(arguments: list[str] | None = None) -> int:
    """Learn, examine, print and store the figures; 1 when one misses its aim, 2 for wrong arguments."""
    parser = argparse.ArgumentParser(prog="python -m intercog_model.by_heart", description=__doc__)
    parser.add_argument("release", help="folder of a GroundEdit release")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder of the run; the same one goes on with it"
    )
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--vae-steps", type=int, default=300)
    parser.add_argument("--threads", type=int, default=1, help="such small layers gain nothing from more")
    parser.add_argument(
        "--config", type=Path, action="append", default=[], help="TOML file laid over configs/by_heart.toml"
    )
    options = parser.parse_args(arguments)
    try:
        check_options(Options, options)
        torch.set_num_threads(options.threads)
        started = time.monotonic()
        config = prepare(options.release, options.out, options.config, options.samples, options.vae_steps)
        checks = learn_and_examine(config, Aims())
    except ConfigurationError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for check in checks:
        print(check.line())
    missed, seconds = sum(not check.passed for check in checks), time.monotonic() - started
    print(f"{'FAIL' if missed else 'PASS'}: {len(checks) - missed} of {len(checks)} aims, {seconds:.0f} s")
    found = [dataclasses.asdict(check) | {"passed": check.passed} for check in checks]
    (options.out / "exam.json").write_text(json.dumps(found, indent=1) + "\n")
    return 1 if missed else 0


def prepare(release: str, out: Path, above: list[Path], samples: int, vae_steps: int) -> TrainConfig:
    """The configuration of the run in `out`, after all that it begins from is written there, unless it is.

    Raises ConfigurationError where the release is none, or has fewer samples.
    """
    paths = out / "paths.toml"
    load_config([CONFIG, *above])  # a mistake in it is told before anything is written
    if not paths.is_file():
        write_small_release(release, samples, out / "data")
        places = {
            name: json.dumps(str((out / name).resolve())) for name in ("start", "features", "data", "run")
        }
        text = f"""
[model]
checkpoint = {places["start"]}
features_folder = {places["features"]}

[run]
out = {places["run"]}

[[sources]]
name = "by-heart"
kind = "grounding"
uri = {places["data"]}
"""
        (out / "paths.part").write_text(text)
        config = load_config([CONFIG, *above, out / "paths.part"])
        examples = [example for _, example in examples_of(str(out / "data"))]
        rule = config.sequence.vae_rule
        error = write_start(examples, rule, out / "start", steps=vae_steps, seed=config.run.seed)
        print(f"autoencoder: last squared error {error:.4f}", flush=True)
        write_quiet_features(str(out / "data"), rule, out / "features")
        (out / "paths.part").rename(paths)  # last: whatever it names is whole
    return load_config([CONFIG, *above, paths])


def learn_and_examine(config: TrainConfig, aims: Aims) -> list[Check]:
    """The run to its end, and every check of the weights that it averaged."""
    examples = [example for _, example in examples_of(config.sources[0].uri)]
    print("samples", *(example.key for example in examples), sep="\n  ")
    student = Student(parts=build(config, DEVICE), examples=examples)
    before = student.losses(FRESH)
    average = train(config).average
    with torch.no_grad():
        for name, weight in student.parts.model.named_parameters():
            if name in average.values:
                weight.copy_(local(average.values[name]))  # of a single process, which holds all of it
    return examine(student, before, aims)


if __name__ == "__main__":
    sys.exit(main())
