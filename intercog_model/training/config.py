"""The configuration of a training run: TOML files laid over one another, every key known and checked."""

import dataclasses
import tomllib
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from intercog_model.data.mixture import SourceConfig
from intercog_model.data.plans import SequenceConfig
from intercog_model.grounding.config import GroundingConfig

FEATURES = ("cached", "sam", "random")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSource:
    """Where the weights come from."""

    flavour: str = "released"  # "released" or "debug"
    checkpoint: str = ""  # folder in the published format; "" starts the debug flavour at random
    sam: str = ""  # safetensors file of SAM ViT-H: starts the mask decoder, and computes features if asked
    features: str = "cached"  # image features: cached files, SAM on the fly, or random (tests)
    features_folder: str = ""  # of cached features

    def __post_init__(self) -> None:
        if self.flavour not in ("released", "debug"):
            raise ValueError(f"flavour {self.flavour!r} is neither 'released' nor 'debug'")
        if self.features not in FEATURES:
            raise ValueError(f"features {self.features!r} is not one of {FEATURES}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LossConfig:
    """Weights of the plain terms and readings of the flow."""

    weight_ce: float = 1.0
    weight_mse: float = 1.0
    timestep_shift: float = 4.0  # A25
    freeze_und: bool = False
    reweight_ce: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimConfig:
    """Optimiser, schedule and averages (A24, A25)."""

    lr: float = 2e-5
    warmup_steps: int = 300
    beta1: float = 0.9
    beta2: float = 0.95
    eps: float = 1e-15
    weight_decay: float = 0.0
    clip_norm: float = 1.0
    ema_decay: float = 0.998
    steps: int = 4000
    samples_per_step: int = 64
    max_tokens: int = 24576  # rows of a pack, and of a sample


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """How and where the run is carried out."""

    out: str = "runs/intercog"
    seed: int = 0
    save_every: int = 200
    keep_checkpoints: int = 2
    attention: str = "flex"  # "flex" or "dense"; flex trains on a GPU only
    bf16: bool = True
    activation_checkpointing: bool = True
    padded_vae_batches: bool = False  # the published trainer's encode; makes samples depend on neighbours
    peak_tflops: float = 0.0  # of one device in bf16, for MFU; 0 leaves it out
    digest_every_step: bool = False  # sha256 of EMA and optimiser state in the log

    def __post_init__(self) -> None:
        if self.attention not in ("flex", "dense"):
            raise ValueError(f"attention {self.attention!r} is neither 'flex' nor 'dense'")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """Everything of a run."""

    model: ModelSource = field(default_factory=ModelSource)
    sequence: SequenceConfig = field(default_factory=SequenceConfig)
    grounding: GroundingConfig = field(default_factory=GroundingConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    run: RunConfig = field(default_factory=RunConfig)
    sources: tuple[SourceConfig, ...] = ()


def load_config(paths: list[Path]) -> TrainConfig:
    """The files laid over one another in order; a file's `base` (relative to it) is laid below it."""
    merged: dict[str, Any] = {}
    for path in paths:
        _lay_over(merged, _read(path))
    return _record(TrainConfig, merged, "")


def _read(path: Path) -> dict[str, Any]:
    tree = tomllib.loads(path.read_text())
    base = tree.pop("base", None)
    below = _read(path.parent / base) if base else {}
    _lay_over(below, tree)
    return below


def _lay_over(below: dict[str, Any], above: dict[str, Any]) -> None:
    for name, value in above.items():
        if isinstance(value, dict) and isinstance(below.get(name), dict):
            _lay_over(below[name], value)
        else:
            below[name] = value


def _record(kind: type, tree: dict[str, Any], where: str) -> Any:
    hints = typing.get_type_hints(kind)
    unknown = tree.keys() - hints.keys()
    if unknown:
        raise ValueError(f"unknown keys {sorted(f'{where}{name}' for name in unknown)}")
    return kind(**{name: _value(hints[name], value, f"{where}{name}.") for name, value in tree.items()})


def _value(hint: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _record(hint, value, where)
    if typing.get_origin(hint) is tuple:
        return tuple(_value(typing.get_args(hint)[0], item, where) for item in value)
    if isinstance(hint, types.UnionType):
        return value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not hint:
        raise ValueError(f"{where[:-1]}: {value!r} is no {hint.__name__}")
    return value


def to_json(config: TrainConfig) -> dict[str, Any]:
    """The resolved configuration, to print and to store with the run."""
    return dataclasses.asdict(config)
