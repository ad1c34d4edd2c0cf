"""Starting, following and reading training runs at debug size, for the tests of `intercog_model`."""

import json
import os
import subprocess
import sys
from pathlib import Path

import torch

from intercog_model import train
from intercog_model.training.checkpoint_folder import CheckpointFolder, step_of
from intercog_model.training.config_files import load_config
from intercog_model.training.export_run import export_run
from intercog_model.training.run_folder import RunFolder
from tests.intercog_model import release, toys

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "intercog_model" / "configs"
SMALL = "samples_per_step = 1"
TIMES = ("seconds", "data_seconds", "tokens_per_second")
TERMS = {"ce", "mse", "tv", "vv", "mask_text", "mask_v", "mask_o"}


def overlay(path, folder, out, *, steps=6, more="", run=""):
    path.write_text(
        f'[[sources]]\nname = "g"\nkind = "grounding"\nuri = "{folder}"\n'
        f"[optim]\nsteps = {steps}\n{more}\n"
        f'[run]\nout = "{out}"\nsave_every = 2\ndigest_every_step = true\n{run}\n'
    )
    return path


def command(config, name="base"):
    parts = ["-m", "intercog_model.train"]
    for path in (CONFIGS / f"{name}.toml", CONFIGS / "debug_size.toml", config):
        parts += ["--config", str(path)]
    return parts


def start(arguments, processes=1):
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    launcher = [sys.executable]
    if processes > 1:
        launcher += ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    return subprocess.Popen(
        launcher + arguments,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process):
    output, _ = process.communicate(timeout=3600)
    assert process.returncode == 0, output[-3000:]
    return output


def log(out):
    return [json.loads(line) for line in (Path(out) / "log.jsonl").read_text().splitlines()]


def without_times(lines):
    return [{k: v for k, v in line.items() if k not in TIMES} for line in lines]


def saved_steps(place):
    """Steps of the whole checkpoints below a folder or address, oldest first."""
    return [step_of(name) for name in CheckpointFolder(str(place)).names()]


def exported(out):
    """The model folder of a run's newest checkpoint, made on first use."""
    folder = Path(out) / f"export-{saved_steps(out)[-1]}"
    return folder if folder.exists() else export_run(str(out))


def trainer_of(*configs, name="base"):
    """A trainer of the debug flavor in this process; later files are laid over earlier ones."""
    loaded = load_config([CONFIGS / f"{name}.toml", CONFIGS / "debug_size.toml", *configs])
    with RunFolder(Path(loaded.run.out)) as folder:
        return train.prepare(loaded, torch.device("cpu"), folder)


def write_samples(folder):
    """A release of ten samples in two shards."""
    examples = [toys.example(f"k{i}", boxes=((2 * i, i, 20 + 2 * i, 18 + i),)) for i in range(10)]
    return release.write_release(folder, examples, per_shard=5)
