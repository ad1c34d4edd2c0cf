"""The configuration of a training run: TOML files laid over one another, every key known and checked."""

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from intercog_model.config import FLAVORS, FlavorName
from intercog_model.data.mixture import SourceConfig, require_own_names
from intercog_model.data.plans import SequenceConfig
from intercog_model.errors import ConfigurationError
from intercog_model.grounding.config import GroundingConfig
from intercog_model.packing.resize import SizeRule
from intercog_model.settings import Count, Seed, Settings, Weight, read_settings

Decay = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]


class ModelSource(Settings):
    """Where the weights come from."""

    flavor: FlavorName = "released"
    checkpoint: str = ""  # folder in the published format; "" starts the debug flavor at random
    sam: str = ""  # safetensors file of SAM ViT-H: starts the mask decoder, and computes features if asked
    # image features: cached files, SAM on the fly, or random (tests)
    features: Literal["cached", "sam", "random"] = "cached"
    features_folder: str = ""  # of cached features


class LossConfig(Settings):
    """Weights of the plain terms and readings of the flow."""

    weight_ce: Weight = 1.0
    weight_mse: Weight = 1.0
    timestep_shift: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 4.0  # A25
    freeze_und: bool = False
    reweight_ce: bool = False


class OptimConfig(Settings):
    """Optimizer, schedule and averages (A24, A25)."""

    lr: Weight = 2e-5
    warmup_steps: Annotated[int, Field(ge=0)] = 300
    beta1: Decay = 0.9
    beta2: Decay = 0.95
    eps: Weight = 1e-15
    weight_decay: Weight = 0.0
    clip_norm: Annotated[float, Field(gt=0)] = 1.0  # inf does not clip
    ema_decay: Decay = 0.998
    steps: Count = 4000
    samples_per_step: Count = 64
    max_tokens: Count = 24576  # rows of a pack, and of a sample


class RunConfig(Settings):
    """How and where the run is carried out."""

    out: str = "runs/intercog"
    seed: Seed = 0
    save_every: Count = 200
    keep_checkpoints: Count = 2
    attention: Literal["flex", "dense"] = "flex"  # flex trains on a GPU only
    bf16: bool = True
    activation_checkpointing: bool = True
    padded_vae_batches: bool = False  # the published trainer's encode; makes samples depend on neighbors
    peak_tflops: Weight = 0.0  # of one device in bf16, for MFU; 0 leaves it out
    digest_every_step: bool = False  # sha256 of EMA and optimizer state in the log

    @field_validator("out")
    @classmethod
    def _require_a_path(cls, out: str) -> str:
        if not out.strip() or "\0" in out:
            raise ValueError("should be a folder")
        return out


class TrainConfig(Settings):
    """Everything of a run."""

    model: ModelSource = ModelSource()
    sequence: SequenceConfig = SequenceConfig()
    grounding: GroundingConfig = GroundingConfig()
    loss: LossConfig = LossConfig()
    optim: OptimConfig = OptimConfig()
    run: RunConfig = RunConfig()
    sources: Annotated[tuple[SourceConfig, ...], Field(strict=False)] = ()  # TOML has lists

    @model_validator(mode="after")
    def _fits_the_model(self) -> Self:
        require_own_names(self.sources)
        model = FLAVORS[self.model.flavor]()
        self._require_grid("vae_rule", model.pixels_per_latent_token, model.max_latent_size)
        self._require_grid("vit_rule", model.vit.patch_size, model.vit.side)
        return self

    def _require_grid(self, name: str, side: int, table: int) -> None:
        """The sizes of a rule must be whole tokens of `side` pixels, `table` of them at most."""
        rule: SizeRule = getattr(self.sequence, name)
        if rule.stride % side:
            raise ValueError(
                f"sequence.{name}.stride: {rule.stride}, should be a multiple of {side}, the side of a token"
            )
        if rule.min_side > rule.max_side:
            raise ValueError(
                f"sequence.{name}.min_side: {rule.min_side}, should be at most its max_side {rule.max_side}"
            )
        if rule.largest > side * table:
            raise ValueError(
                f"sequence.{name}.max_side: {rule.max_side}, should be at most {side * table}, "
                "the model's largest picture"
            )


def load_config(paths: list[Path]) -> TrainConfig:
    """The files laid over one another in order; a file's `base` (relative to it) is laid below it.

    Raises ConfigurationError, naming key and value, for all that no run can be made of.
    """
    merged: dict[str, Any] = {}
    for path in paths:
        _lay_over(merged, _read(path, ()))
    return read_settings(TrainConfig, merged)


def _read(path: Path, above: tuple[Path, ...]) -> dict[str, Any]:
    """A file over its base; `above` are the files whose base it is, directly or not."""
    tree = _parsed(path)
    base = tree.pop("base", None)
    if base is None:
        return tree
    if not isinstance(base, str) or not (path.parent / base).is_file():
        raise ConfigurationError(f"{path}: base: {base!r}, should be a file")
    lower, seen = path.parent / base, (*above, path.resolve())
    if lower.resolve() in seen:
        raise ConfigurationError(f"{path}: base: {base!r}, leads back to itself")
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


def to_json(config: TrainConfig) -> dict[str, Any]:
    """The resolved configuration, to print and to store with the run."""
    return config.model_dump()
