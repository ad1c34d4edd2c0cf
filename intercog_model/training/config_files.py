"""A training configuration from TOML files laid over one another."""

import argparse
import tomllib
from pathlib import Path
from typing import Any

from intercog_model.errors import ConfigurationError
from intercog_model.read_settings import read_settings
from intercog_model.training.config import TrainConfig


def add_config_option(parser: argparse.ArgumentParser) -> None:
    """The option ``--config``, once at least, for `load_config`."""
    parser.add_argument(
        "--config",
        type=Path,
        action="append",
        required=True,
        help="TOML file; later ones are laid over earlier ones",
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
