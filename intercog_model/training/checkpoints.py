"""Checkpoints of a run: one file per rank in a folder that is renamed into place when all are written."""

import json
import pickle
import re
import shutil
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import distributed

from intercog_model.errors import ConfigurationError
from intercog_model.training.sharding import MovingAverage, local, world

NAME = re.compile(r"step-(\d{7})$")


def save(
    folder: Path,
    step: int,
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    average: MovingAverage,
    position: dict[str, Any],
    *,
    keep: int,
) -> Path:
    """Write the state after `step` steps; a kill at any moment leaves only whole checkpoints behind."""
    rank, ranks = world()
    target, temporary = folder / f"step-{step:07d}", folder / f"step-{step:07d}.tmp"
    if rank == 0:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
    _meet()
    torch.save(
        {
            "model": {name: local(p.detach()) for name, p in model.named_parameters()},
            "average": average.shards,
            "optimizer": _optimizer_state(model, optimizer),
            "rng": torch.get_rng_state(),
        },
        temporary / f"rank-{rank:05d}.pt",
    )
    _meet()
    if rank == 0:
        meta = {"step": step, "ranks": ranks, "position": position}
        (temporary / "meta.json").write_text(json.dumps(meta))
        shutil.rmtree(target, ignore_errors=True)
        temporary.rename(target)
        for old in checkpoints(folder)[:-keep]:
            shutil.rmtree(old)
    _meet()
    return target


def checkpoints(folder: Path) -> list[Path]:
    """Whole checkpoints of a run, oldest first."""
    return sorted(p for p in folder.glob("step-*") if NAME.match(p.name) and (p / "meta.json").is_file())


def read_meta(path: Path) -> dict[str, Any]:
    """`step`, `ranks` and `position`; ConfigurationError for another number of processes or a damaged file."""
    try:
        meta: dict[str, Any] = json.loads((path / "meta.json").read_text())
    except (OSError, ValueError) as error:
        raise _damaged(path / "meta.json", str(error)) from error
    missing = {"step", "ranks", "position"} - (meta.keys() if isinstance(meta, dict) else set())
    if missing:
        raise _damaged(path / "meta.json", f"no {', '.join(sorted(missing))} in it")
    ranks = world()[1]
    if meta["ranks"] != ranks:
        raise ConfigurationError(
            f"{path.name} was written by {meta['ranks']} processes, this run has {ranks}"
        )
    return meta


def restore(
    path: Path, model: torch.nn.Module, optimizer: torch.optim.Optimizer, average: MovingAverage
) -> tuple[int, dict[str, Any]]:
    """Load a checkpoint in place; the step it was taken after and the data position.

    Raises ConfigurationError for another number of processes, other parameters, or a file that is damaged.
    """
    meta, rank = read_meta(path), world()[0]
    state = _read_state(path / f"rank-{rank:05d}.pt")
    parameters = dict(model.named_parameters())
    theirs = {(name, value.shape) for name, value in state["model"].items()}
    ours = {(name, local(value).shape) for name, value in parameters.items()}
    if theirs != ours:
        raise ConfigurationError(f"{path} is of another model: {sorted({n for n, _ in theirs ^ ours})[:5]}")
    with torch.no_grad():
        for name, value in state["model"].items():
            local(parameters[name]).copy_(value)
            average.shards[name].copy_(state["average"][name])
    _load_optimizer(model, optimizer, state["optimizer"])
    torch.set_rng_state(state["rng"])
    return meta["step"], meta["position"]


def _read_state(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as opened:
            # what is no zip file would be read as the pickle of an older version, which fails in a dozen ways
            if not zipfile.is_zipfile(opened):
                raise _damaged(file, "not written by torch.save, or cut")
            # `torch.load` reads the values without their check sums
            if broken := zipfile.ZipFile(opened).testzip():
                raise _damaged(file, f"{broken} in it fails its check sum")
        state: dict[str, Any] = torch.load(file, weights_only=True, map_location="cpu")
    # the library raises nothing narrower
    except (OSError, RuntimeError, zipfile.BadZipFile, pickle.UnpicklingError) as error:
        raise _damaged(file, str(error)) from error
    return state


def _damaged(file: Path, why: str) -> ConfigurationError:
    first = why.strip().partition("\n")[0]
    return ConfigurationError(
        f"{file} can't be read ({first}); remove the folder {file.parent.name} to go on from the one before"
    )


def _optimizer_state(
    model: torch.nn.Module, optimizer: torch.optim.Optimizer
) -> dict[str, dict[str, torch.Tensor]]:
    return {
        name: {key: local(value) for key, value in optimizer.state[p].items()}
        for name, p in model.named_parameters()
        if p in optimizer.state
    }


def _load_optimizer(
    model: torch.nn.Module, optimizer: torch.optim.Optimizer, state: dict[str, dict[str, torch.Tensor]]
) -> None:
    """Fill the state by name: moments take the parameter's own sharding."""
    for name, parameter in model.named_parameters():
        if name not in state:
            continue
        own: dict[str, torch.Tensor] = {}
        for key, value in state[name].items():
            if value.shape == local(parameter).shape and key != "step":
                own[key] = torch.zeros_like(parameter)
                local(own[key]).copy_(value)
            else:
                own[key] = value.clone()
        optimizer.state[parameter] = own


def _meet() -> None:
    if distributed.is_initialized():
        distributed.barrier()
