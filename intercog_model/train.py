"""`python -m intercog_model.train --config FILE …`: train, resume, and export the main checkpoint."""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import distributed

from intercog_model.checkpoint import MODEL_FILE, save_folder
from intercog_model.errors import ConfigurationError
from intercog_model.statement import STATEMENT_FILE, Statement
from intercog_model.training.build import Parts, build, require_device
from intercog_model.training.config import TrainConfig, to_json
from intercog_model.training.config_files import load_config
from intercog_model.training.inputs import require_inputs
from intercog_model.training.loop import Trainer, averaged_weights
from intercog_model.training.run_folder import RunFolder
from intercog_model.training.sharded_loading import load_shards
from intercog_model.training.sharding import process_mesh, shard, world


def main(arguments: list[str] | None = None) -> int:
    """0 when the last step is done, 2 for a wrong configuration; started by torchrun it uses all of its processes."""
    parser = argparse.ArgumentParser(prog="python -m intercog_model.train", description=__doc__)
    parser.add_argument(
        "--config",
        type=Path,
        action="append",
        required=True,
        help="TOML file; later ones are laid over earlier ones",
    )
    parser.add_argument("--print", action="store_true", help="print the resolved configuration and stop")
    options = parser.parse_args(arguments)
    try:
        config = load_config(options.config)
        if options.print:
            print(json.dumps(to_json(config), indent=1))
        else:
            train(config)
    except ConfigurationError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def train(config: TrainConfig) -> None:
    """One run, with the processes that it needs."""
    device = start_processes()
    try:
        run(config, device)
        if distributed.is_initialized():
            distributed.barrier()  # none takes its connections down while another still saves
    finally:
        if distributed.is_initialized():
            distributed.destroy_process_group()


def start_processes() -> torch.device:
    """The device of this process; joins the process group when torchrun started it."""
    cuda = torch.cuda.is_available()
    place = int(os.environ.get("LOCAL_RANK", "0"))
    if cuda:
        torch.cuda.set_device(place)
    if _several():
        distributed.init_process_group("nccl" if cuda else "gloo")
    return torch.device("cuda", place) if cuda else torch.device("cpu")


def run(config: TrainConfig, device: torch.device) -> Trainer:
    """Build, train and export, while no other process may use the run's folder."""
    require_device(config, device)
    require_inputs(config)
    with RunFolder(Path(config.run.out)) as folder:
        trainer = prepare(config, device, folder)
        trainer.run()
        export(config, trainer.parts, trainer)
        return trainer


def facts(device: torch.device) -> dict[str, Any]:
    """Of the processes that compute: results depend on them by rounding."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return {"processes": world()[1], "device": name, "torch": torch.__version__}


def prepare(config: TrainConfig, device: torch.device, folder: RunFolder) -> Trainer:
    """A new or resumed run, ready to train; ConfigurationError where the folder is another run's."""
    record = folder.claim(config, facts(device))
    several = world()[1] > 1
    parts = build(config, device, empty=several)
    if several:
        mesh = process_mesh(device.type, config.run.replicas)
        shard(parts.model, mesh, bf16=config.run.bf16)
        if config.model.checkpoint:
            load_shards(parts.model.bagel, Path(config.model.checkpoint) / MODEL_FILE, device)
    elif config.run.bf16 and device.type == "cuda":
        shard_alone(parts, config)
    trainer = Trainer(config, parts, device)
    folder.begin(record, config, trainer.step)
    if world()[0] == 0:
        print(f"run {record.fingerprint[:12]} in {config.run.out}, after step {trainer.step}", flush=True)
    return trainer


def shard_alone(parts: Parts, config: TrainConfig) -> None:
    """A group of one process, so that a single GPU gets the same mixed precision as many."""
    distributed.init_process_group("nccl", init_method="tcp://127.0.0.1:29511", rank=0, world_size=1)
    shard(parts.model, process_mesh("cuda", 1), bf16=config.run.bf16)


def export(config: TrainConfig, parts: Parts, trainer: Trainer) -> None:
    """`export/` in the published format, from the moving average, without any auxiliary module."""
    weights = averaged_weights(parts, trainer.average)
    if world()[0] != 0:
        return
    folder = Path(config.run.out) / "export"
    save_folder(weights, parts.model.bagel.config, parts.vae, folder)
    statement = Statement(
        flavor=config.model.flavor, vae_rule=config.sequence.vae_rule, vit_rule=config.sequence.vit_rule
    )
    (folder / STATEMENT_FILE).write_text(statement.to_json())
    if config.model.checkpoint:
        source = Path(config.model.checkpoint) / "tokenizer.json"
        if source.is_file():
            (folder / source.name).write_bytes(source.read_bytes())


def leave(code: int) -> NoReturn:
    """End this process; one of several ends without taking the interpreter down.

    Gloo's threads outlive `destroy_process_group`: PyTorch keeps the group of a sharded network. One that lets go of a
    tensor while the interpreter is taken down would abort the process, and with it a run that had succeeded.
    """
    if _several():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _several() -> bool:
    return int(os.environ.get("WORLD_SIZE", "1")) > 1  # as torchrun sets it


if __name__ == "__main__":
    leave(main())
