"""`python -m intercog_model.train --config FILE …`: train a model, or go on with it."""

import argparse
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import distributed

from intercog_model.checkpoint import MODEL_FILE
from intercog_model.errors import ConfigurationError
from intercog_model.training.build import build, require_device
from intercog_model.training.config import TrainConfig, to_json
from intercog_model.training.config_files import add_config_option, load_config
from intercog_model.training.inputs import require_inputs
from intercog_model.training.loop import Trainer
from intercog_model.training.run_folder import RunFolder
from intercog_model.training.sharded_loading import load_shards
from intercog_model.training.sharding import process_mesh, shard, world
from intercog_model.training.tuning import start_adapters

TO_BE_RESUMED = 75  # what sysexits.h calls a temporary failure


def main(arguments: list[str] | None = None) -> int:
    """0 when the last step is done, 2 for a wrong configuration, 75 when a signal asked to stop and all is saved.

    Started by torchrun it uses all of its processes.
    """
    parser = argparse.ArgumentParser(prog="python -m intercog_model.train", description=__doc__)
    add_config_option(parser)
    parser.add_argument("--out", help="the run's folder, instead of run.out")
    parser.add_argument(
        "--fork",
        default="",
        metavar="RUN/step-N",
        help="begin a new run, in a folder of its own, from a checkpoint of another one; the same command resumes it",
    )
    parser.add_argument("--print", action="store_true", help="print the resolved configuration and stop")
    options = parser.parse_args(arguments)
    try:
        config = load_config(options.config)
        if options.out is not None:
            config = replace(config, run=replace(config.run, out=options.out))
        if options.print:
            print(json.dumps(to_json(config), indent=1))
        else:
            trainer = train(config, options.fork)
            if trainer.step < config.optim.steps:
                if trainer.rank == 0:
                    print(
                        f"asked to stop: saved after step {trainer.step}, the same command goes on from there"
                    )
                return TO_BE_RESUMED
    except ConfigurationError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def train(config: TrainConfig, fork: str = "") -> Trainer:
    """One run, with the processes that it needs; `fork` is the checkpoint that a new one begins from."""
    joined = distributed.is_initialized()  # Ray Train makes and ends the group by itself
    device = start_processes()
    try:
        trainer = run(config, device, fork)
        if distributed.is_initialized():
            distributed.barrier()  # none takes its connections down while another still saves
        return trainer
    finally:
        if distributed.is_initialized() and not joined:
            distributed.destroy_process_group()


def start_processes() -> torch.device:
    """The device of this process; joins the process group of torchrun, or makes one of this process alone.

    So every run is sharded, and one process computes, saves and resumes as many do. Gloo saves checkpoints.
    """
    cuda = torch.cuda.is_available()
    if distributed.is_initialized():
        return torch.device("cuda", torch.cuda.current_device()) if cuda else torch.device("cpu")
    place = int(os.environ.get("LOCAL_RANK", "0"))
    if cuda:
        torch.cuda.set_device(place)
    backend = "cpu:gloo,cuda:nccl" if cuda else "gloo"
    if "WORLD_SIZE" in os.environ:  # as torchrun sets it
        distributed.init_process_group(backend)
    else:
        store = distributed.HashStore()  # type: ignore[attr-defined]
        distributed.init_process_group(backend, store=store, rank=0, world_size=1)
    return torch.device("cuda", place) if cuda else torch.device("cpu")


def run(config: TrainConfig, device: torch.device, fork: str = "") -> Trainer:
    """Build, resume and train, while no other process may use the run's folder."""
    require_device(config, device)
    require_inputs(config)
    with RunFolder(Path(config.run.out)) as folder:
        trainer = prepare(config, device, folder, fork)
        trainer.run()
        return trainer


def facts(device: torch.device) -> dict[str, Any]:
    """Of the processes that compute: results depend on them by rounding."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return {"processes": world()[1], "device": name, "torch": torch.__version__}


def prepare(config: TrainConfig, device: torch.device, folder: RunFolder, fork: str = "") -> Trainer:
    """A new or resumed run, ready to train; ConfigurationError where the folder is another run's."""
    record = folder.claim(config, facts(device), fork)
    sharded = distributed.is_initialized()
    parts = build(config, device, empty=sharded)
    if sharded:
        shard(parts.model, process_mesh(device.type, config.run.replicas), bf16=config.run.bf16)
        if config.model.checkpoint:
            load_shards(parts.model.bagel, Path(config.model.checkpoint) / MODEL_FILE, device)
            start_adapters(parts.model, config.run.seed)
    trainer = Trainer(config, parts, device, record)
    trainer.resume()
    folder.begin(record, config, trainer.step)
    if world()[0] == 0:
        print(f"run {record.fingerprint[:12]} in {config.run.out}, after step {trainer.step}", flush=True)
    return trainer


def leave(code: int) -> NoReturn:
    """End this process without taking the interpreter down.

    Gloo's threads outlive `destroy_process_group`: PyTorch keeps the group of a sharded network. One that lets go of a
    tensor while the interpreter is taken down would abort the process, and with it a run that had succeeded.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    leave(main())
