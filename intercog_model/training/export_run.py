"""A model folder of a run's checkpoint: its averaged weights, read one at a time, and all that the folder needs."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.default_planner import DefaultLoadPlanner
from torch.distributed.checkpoint.state_dict_loader import load

from intercog_model.backbone.autoencoder import AutoEncoder
from intercog_model.backbone.bagel import Bagel
from intercog_model.backbone.position_tables import sincos_table
from intercog_model.checkpoint import MODEL_FILE, TABLES, VAE_FILE, read_config, shapes_of
from intercog_model.config import BagelConfig
from intercog_model.data.tokenizer import TOKENIZER_FILE, read_tokenizer
from intercog_model.errors import ConfigurationError
from intercog_model.read_settings import read_settings
from intercog_model.saving import Weights, save_folder
from intercog_model.statement import STATEMENT_FILE, Statement, chain_of
from intercog_model.tokenizer_files import write_byte_tokenizer, write_tokenizer
from intercog_model.training.build import start_of_debug_run
from intercog_model.training.checkpoint_folder import (
    CheckpointFolder,
    DamagedCheckpointError,
    Index,
    step_of,
)
from intercog_model.training.checkpoint_storage import CheckpointReader
from intercog_model.training.config import TrainConfig
from intercog_model.training.lora import DOWN, UP, merged
from intercog_model.training.run_folder import place_of_checkpoints
from intercog_model.training.run_record import RunRecord

TYPES = {"released": torch.bfloat16, "debug": torch.float32}
CARD = Path(__file__).parents[1] / "export_card.md"


def export_run(
    run: str, *, step: int | None = None, out: Path | None = None, base: Path | None = None
) -> Path:
    """Write the model folder of a run's newest checkpoint, or of the one after `step`; the folder.

    Args:
        run: its folder, or the address of its checkpoints.
        step: of the checkpoint.
        out: a folder that is not there yet; by default ``export-STEP`` in the run's folder.
        base: where the folder that training began from lies now, if it has moved.

    Raises:
        ConfigurationError: there is no such checkpoint, it is damaged, or something else that is needed is missing.
    """
    checkpoints = CheckpointFolder(place_of_checkpoints(run))
    name = choose_checkpoint(checkpoints, step)
    try:
        index = checkpoints.read(name)
    except DamagedCheckpointError as error:
        raise ConfigurationError(f"{name} is damaged: {error}; --step takes another") from error
    if out is None and "://" in run:
        raise ConfigurationError(f"{run}: --out should be a folder, since the run has none here")
    out = out or Path(run) / f"export-{step_of(name)}"
    if out.exists():
        raise ConfigurationError(f"--out {out}: should not be there yet")
    config: TrainConfig = read_settings(TrainConfig, index.state["config"])
    # renamed when whole, so that no other command finds half a model
    part = out.with_name(f"{out.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    start = _Start(config, base)
    weights = _averaged(checkpoints, name, index, start, config)
    save_folder(weights, start.config, start.vae, part)
    start.write_tokenizer(part)
    run_of = RunRecord.from_json(index.state["run"]).fingerprint
    (part / STATEMENT_FILE).write_text(_statement(config, run_of, step_of(name)).to_json(), encoding="utf-8")
    (part / "README.md").write_text(_card(config, step_of(name)), encoding="utf-8")
    part.rename(out)
    return out


def choose_checkpoint(checkpoints: CheckpointFolder, step: int | None) -> str:
    """The newest checkpoint, or that after `step`; ConfigurationError where there is none."""
    names = checkpoints.names()
    found = [name for name in names if step is None or step_of(name) == step]
    if not found:
        there = ", ".join(str(step_of(name)) for name in names)
        wanted = "no checkpoint" if step is None else f"no checkpoint of step {step}"
        raise ConfigurationError(f"{checkpoints.uri}: {wanted}" + (f", there are {there}" if there else ""))
    return found[-1]


class _Start:
    """What training began from: sizes, autoencoder, tokenizer, and weights that were never trained."""

    def __init__(self, config: TrainConfig, base: Path | None) -> None:
        self.folder = base or (Path(config.model.checkpoint) if config.model.checkpoint else None)
        self.debug = config.model.flavor == "debug"
        self.vae: AutoEncoder | Path
        self.config: BagelConfig
        self.read: Callable[[str], Tensor]
        if self.folder is None:
            bagel, self.vae = start_of_debug_run(config.run.seed)
            self.config, weights = bagel.config, bagel.state_dict()
            self.read = lambda name: weights[name].detach()
            return
        if not self.folder.is_dir():
            raise ConfigurationError(
                f"model.checkpoint: {str(self.folder)!r}, should be a folder; --base tells where"
            )
        self.vae, self.read = self.folder / VAE_FILE, self._read
        try:
            self.config = read_config(self.folder, read_tokenizer(self.folder, debug=self.debug).tokens)
        except (OSError, ValueError, KeyError) as error:
            raise ConfigurationError(f"model.checkpoint: {str(self.folder)!r}: {error}") from error

    def write_tokenizer(self, out: Path) -> None:
        """Write the tokenizer's files."""
        if self.folder is not None and (self.folder / TOKENIZER_FILE).is_file():
            write_tokenizer(self.folder, out)
        else:  # of the debug flavor
            write_byte_tokenizer(self.config, out)

    def _read(self, name: str) -> Tensor:
        assert self.folder is not None
        with safe_open(self.folder / MODEL_FILE, framework="pt") as file:
            value: Tensor = file.get_tensor(name)
        return value


def _averaged(
    checkpoints: CheckpointFolder, name: str, index: Index, start: _Start, config: TrainConfig
) -> Weights:
    """The main model's weights, as they are written: adapters are merged into those of their layers."""
    kind, lora = TYPES[config.model.flavor], config.tuning.lora
    with torch.device("meta"):
        shapes = shapes_of(Bagel(start.config))

    def read(weight: str) -> Tensor:
        if weight in TABLES:
            rows, width = shapes[weight]
            return sincos_table(round(rows**0.5), width)
        value = trained(weight)
        if value is None:  # it was frozen
            value = start.read(weight)
        layer = weight.removesuffix("weight")
        down, up = trained(layer + DOWN), trained(layer + UP)
        return value if down is None or up is None else merged(value, down, up, lora.alpha / lora.rank)

    def trained(weight: str) -> Tensor | None:
        """The average of one tensor; None for one that was not trained."""
        key = f"average.bagel.{weight}"
        stored = index.tensors.get(key)
        if stored is None:
            return None
        found = {key: torch.empty(stored.shape, dtype=getattr(torch, stored.dtype))}
        # of the index only this tensor: DCP would look at all of it for each
        reader = CheckpointReader(checkpoints, name, Index(state={}, tensors={key: stored}))
        planner = DefaultLoadPlanner(flatten_state_dict=False, flatten_sharded_tensors=False)
        try:
            load(found, storage_reader=reader, planner=planner, no_dist=True)
        except CheckpointException as error:
            reason = next(iter(error.failures.values()))[0]
            if not isinstance(reason, DamagedCheckpointError):
                raise reason from error
            raise ConfigurationError(f"{name} is damaged: {reason}; --step takes another") from error
        return found[key]

    return Weights(shapes=shapes, types=dict.fromkeys(shapes, kind), read=read)


def _statement(config: TrainConfig, run: str, step: int) -> Statement:
    """What inference must know of the training."""
    sequence = config.sequence
    return Statement(
        flavor=config.model.flavor,
        vae_rule=sequence.vae_rule,
        vit_rule=sequence.vit_rule,
        chain=chain_of(sequence),
        run=run,
        step=step,
    )


def _card(config: TrainConfig, step: int) -> str:
    """The folder's README: what it is, and whose licenses reach it."""
    sources = "\n".join(f"* {s.name}: {s.kind}, weight {s.weight:g}" for s in config.sources if s.weight > 0)
    values: dict[str, Any] = {
        "step": step,
        "base": config.model.checkpoint or "random weights (debug flavor)",
        "sources": sources,
    }
    text = CARD.read_text(encoding="utf-8")
    for key, value in values.items():
        text = text.replace(f"{{{key}}}", str(value))
    return text
