"""`python -m intercog_model.validate RUN [--step N]`: figures and pictures of a checkpoint on held-out samples"""

import argparse
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import torch
from torch import distributed

from intercog_model.checkpoint import MODEL_FILE
from intercog_model.errors import ConfigurationError
from intercog_model.inference.jobs import write_chain
from intercog_model.inference.option_checks import make_folder
from intercog_model.read_settings import check_options, read_settings
from intercog_model.settings import Count, Settings, Within
from intercog_model.train import leave, start_processes
from intercog_model.training.build import build
from intercog_model.training.checkpoint_folder import CheckpointFolder, DamagedCheckpointError, step_of
from intercog_model.training.checkpoints import load_averages
from intercog_model.training.config import TrainConfig
from intercog_model.training.export_run import choose_checkpoint
from intercog_model.training.inputs import validation_releases
from intercog_model.training.loop import packed_attention
from intercog_model.training.run_folder import place_of_checkpoints
from intercog_model.training.sharded_loading import load_shards
from intercog_model.training.sharding import process_mesh, shard, world
from intercog_model.training.validation import ValidationResult, Validator
from intercog_model.training.validation_log import told


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers(Settings):
    """How much is measured and drawn; None is as in training."""

    samples: Count | None
    pictures: Annotated[int, Within(ge=0)] | None


def main(arguments: list[str] | None = None) -> int:
    """0 when all is measured, 2 for a run or an option that nothing can be made of.

    Started by torchrun it uses all of its processes.
    """
    parser = argparse.ArgumentParser(prog="python -m intercog_model.validate", description=__doc__)
    parser.add_argument("run", help="a run's folder (run.out), or the address of its checkpoints")
    parser.add_argument("--step", type=int, help="which checkpoint; by default the newest")
    parser.add_argument("--release", help="where the release lies now, or another one")
    parser.add_argument("--samples", type=int, help="how many are measured; by default as in training")
    parser.add_argument("--pictures", type=int, help="how many chains are drawn; by default as in training")
    parser.add_argument(
        "--out", type=Path, help="folder for figures.json and the pictures; without it none is drawn"
    )
    options = parser.parse_args(arguments)
    try:
        check_options(Numbers, options)
        checkpoints = CheckpointFolder(place_of_checkpoints(options.run))
        name = choose_checkpoint(checkpoints, options.step)
        validation_releases(_configuration(checkpoints, name, options))
        if options.out:
            make_folder(options.out)
        device = start_processes()
        try:
            validate(checkpoints, name, options, device)
        finally:
            distributed.destroy_process_group()
    except ConfigurationError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def validate(
    checkpoints: CheckpointFolder, name: str, options: argparse.Namespace, device: torch.device
) -> None:
    """Measure the averaged weights of a checkpoint, print the figures, and write what is asked for."""
    chosen: list[Any] = [name]
    distributed.broadcast_object_list(chosen)  # a run that goes on may have saved while the others looked
    name = chosen[0]
    config = _configuration(checkpoints, name, options)
    run = replace(config.run, replicas=1)
    if device.type == "cpu":
        run = replace(run, attention="dense", bf16=False)
    config = replace(config, run=run)
    parts = build(config, device, empty=True)
    shard(parts.model, process_mesh(device.type, config.run.replicas), bf16=config.run.bf16)
    if config.model.checkpoint:
        load_shards(parts.model.bagel, Path(config.model.checkpoint) / MODEL_FILE, device)
    load_averages(checkpoints, name, checkpoints.read(name), parts.model)
    validator = Validator(config, parts, device, packed_attention(config, device))
    found = validator.validate(pictures=config.validation.pictures if options.out else 0)
    for key, why in found.left_out.items():
        print(f"{key}: left out, {why}")
    if world()[0] == 0:
        print(told(step_of(name), found), flush=True)
        if options.out:
            _write(options.out, step_of(name), found)


def _configuration(checkpoints: CheckpointFolder, name: str, options: argparse.Namespace) -> TrainConfig:
    """A checkpoint's configuration, with what the command says of the validation."""
    try:
        config = read_settings(TrainConfig, checkpoints.read(name).state["config"])
    except DamagedCheckpointError as error:
        raise ConfigurationError(f"{name} is damaged: {error}; --step takes another") from error
    validation = replace(
        config.validation,
        every=1,
        samples=options.samples or config.validation.samples,
        pictures=config.validation.pictures if options.pictures is None else options.pictures,
    )
    # general data takes no part, and may not be there
    sources = tuple(s for s in config.sources if s.kind == "grounding" and s.weight > 0)
    if options.release:
        sources = tuple(replace(s, uri=options.release, split="train") for s in sources[:1])
    return replace(config, validation=validation, sources=sources)


def _write(out: Path, step: int, found: ValidationResult) -> None:
    figures = {"step": step, **found.values, "pictures": list(found.pictures), "left_out": found.left_out}
    (out / "figures.json").write_text(json.dumps(figures, indent=1), encoding="utf-8")
    for key, chain in found.pictures.items():
        write_chain(chain, out, key)


if __name__ == "__main__":
    leave(main())
