"""The configuration of a training run: TOML files laid over one another, every key known and checked."""

import dataclasses
import tomllib
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from intercog_model.config import FLAVOURS
from intercog_model.data.mixture import SourceConfig, require_own_names
from intercog_model.data.plans import SequenceConfig
from intercog_model.errors import SEEDS, ConfigurationError, require_one_of, require_within
from intercog_model.grounding.config import GroundingConfig
from intercog_model.packing.resize import SizeRule

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
        require_one_of(self, "flavour", tuple(FLAVOURS))
        require_one_of(self, "features", FEATURES)


@dataclass(frozen=True, slots=True, kw_only=True)
class LossConfig:
    """Weights of the plain terms and readings of the flow."""

    weight_ce: float = 1.0
    weight_mse: float = 1.0
    timestep_shift: float = 4.0  # A25
    freeze_und: bool = False
    reweight_ce: bool = False

    def __post_init__(self) -> None:
        require_within(self, "[0, inf)", "weight_ce", "weight_mse")
        require_within(self, "(0, inf)", "timestep_shift")


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

    def __post_init__(self) -> None:
        require_within(self, "[0, inf)", "lr", "eps", "weight_decay", "warmup_steps")
        require_within(self, "[0, 1)", "beta1", "beta2", "ema_decay")
        require_within(self, "(0, inf]", "clip_norm")  # infinity does not clip
        require_within(self, "[1, inf)", "steps", "samples_per_step", "max_tokens")


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
        require_one_of(self, "attention", ("flex", "dense"))
        require_within(self, "[1, inf)", "save_every", "keep_checkpoints")
        require_within(self, "[0, inf)", "peak_tflops")
        require_within(self, SEEDS, "seed")
        if not self.out.strip():
            raise ConfigurationError(f"out {self.out!r} is no folder")


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

    def __post_init__(self) -> None:
        require_own_names(self.sources)
        model = FLAVOURS[self.model.flavour]()
        self._require_grid("vae_rule", model.pixels_per_latent_token, model.max_latent_size)
        self._require_grid("vit_rule", model.vit.patch_size, model.vit.side)

    def _require_grid(self, name: str, side: int, table: int) -> None:
        """The sizes of a rule must be whole tokens of `side` pixels, `table` of them at most."""
        rule: SizeRule = getattr(self.sequence, name)
        if rule.stride % side:
            raise ConfigurationError(
                f"sequence.{name}.stride {rule.stride} is no multiple of {side}, the side of a token"
            )
        if rule.min_side > rule.max_side:
            raise ConfigurationError(
                f"sequence.{name}.min_side {rule.min_side} is above its max_side {rule.max_side}"
            )
        if rule.largest > side * table:
            raise ConfigurationError(
                f"sequence.{name}.max_side {rule.max_side} is above {side * table}, the model's largest picture"
            )


def load_config(paths: list[Path]) -> TrainConfig:
    """The files laid over one another in order; a file's `base` (relative to it) is laid below it.

    Raises ConfigurationError, naming key and value, for all that no run can be made of.
    """
    merged: dict[str, Any] = {}
    for path in paths:
        _lay_over(merged, _read(path, ()))
    config: TrainConfig = _record(TrainConfig, merged, "")
    return config


def _read(path: Path, above: tuple[Path, ...]) -> dict[str, Any]:
    """A file over its base; `above` are the files whose base it is, directly or not."""
    tree = _parsed(path)
    base = tree.pop("base", None)
    if base is None:
        return tree
    if not isinstance(base, str) or not (path.parent / base).is_file():
        raise ConfigurationError(f"{path}: base {base!r} is no file")
    lower, seen = path.parent / base, (*above, path.resolve())
    if lower.resolve() in seen:
        raise ConfigurationError(f"{path}: base {base!r} leads back to itself")
    below = _read(lower, seen)
    _lay_over(below, tree)
    return below


def _parsed(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from error
    except ValueError as error:  # no TOML, or no UTF-8
        raise ConfigurationError(f"{path}: {error}") from error


def _lay_over(below: dict[str, Any], above: dict[str, Any]) -> None:
    for name, value in above.items():
        if isinstance(value, dict) and isinstance(below.get(name), dict):
            _lay_over(below[name], value)
        else:
            below[name] = value


def _record(kind: type, tree: Any, where: str) -> Any:
    if not isinstance(tree, dict):
        raise ConfigurationError(f"{where[:-1]} {tree!r} is no table")
    hints = typing.get_type_hints(kind)
    unknown = tree.keys() - hints.keys()
    if unknown:
        raise ConfigurationError(f"unknown keys {sorted(f'{where}{name}' for name in unknown)}")
    missing = [f.name for f in dataclasses.fields(kind) if _is_required(f) and f.name not in tree]
    if missing:
        raise ConfigurationError(f"missing keys {[f'{where}{name}' for name in missing]} beside {tree}")
    values = {name: _value(hints[name], value, f"{where}{name}.") for name, value in tree.items()}
    try:
        return kind(**values)
    except ConfigurationError as error:
        # a record knows its own keys, not the table that it stands in
        raise ConfigurationError(f"{where}{error}") from error


def _is_required(field_: "dataclasses.Field[Any]") -> bool:
    return field_.default is dataclasses.MISSING and field_.default_factory is dataclasses.MISSING


def _value(hint: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _record(hint, value, where)
    if typing.get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise ConfigurationError(f"{where[:-1]} {value!r} is no list")
        item_hint = typing.get_args(hint)[0]
        return tuple(_value(item_hint, item, f"{where[:-1]}[{i}].") for i, item in enumerate(value))
    if isinstance(hint, types.UnionType):
        return value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not hint:
        raise ConfigurationError(f"{where[:-1]} {value!r} is no {hint.__name__}")
    return value


def to_json(config: TrainConfig) -> dict[str, Any]:
    """The resolved configuration, to print and to store with the run."""
    return dataclasses.asdict(config)
