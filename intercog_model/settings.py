"""Settings from files and options as frozen pydantic models, whose faults are one line: key, value, what is allowed."""

import argparse
from typing import Annotated, Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from intercog_model.errors import ConfigurationError

Count = Annotated[int, Field(ge=1)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Seed = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]  # what PyTorch's generators take

WORDS = {
    "missing": "missing",
    "model_type": "should be a table",
    "tuple_type": "should be a list",
    "string_type": "should be a text",
}
"""Where pydantic's own words speak of Python's types."""


class Settings(BaseModel):
    """Every key is known and has its exact type: 1.0 and true are no integers, but 1 is a number."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


AnySettings = TypeVar("AnySettings", bound=Settings)


def read_settings(kind: type[AnySettings], tree: dict[str, Any]) -> AnySettings:
    """The settings in a tree of tables and values, as TOML gives it.

    Raises:
        ConfigurationError: in one line, for each fault its key (such as ``sources[0].kind``), the value, and what is
            allowed.
    """
    try:
        return kind.model_validate(tree)
    except ValidationError as error:
        raise ConfigurationError("; ".join(_line(kind, fault) for fault in error.errors())) from error


def check_options(kind: type[Settings], options: argparse.Namespace) -> None:
    """Check those options of a command that are fields of `kind`.

    Raises:
        ConfigurationError: in one line, for each fault the option with its value as they were written, and what is
            allowed.
    """
    try:
        kind.model_validate({name: getattr(options, name) for name in kind.model_fields})
    except ValidationError as error:
        lines = [
            f"--{str(fault['loc'][0]).replace('_', '-')} {fault['input']}: {_allowed(kind, fault)}"
            for fault in error.errors()
        ]
        raise ConfigurationError("; ".join(lines)) from error


def _line(kind: type[Settings], fault: ErrorDetails) -> str:
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{_plain(part)}" for part in fault["loc"])[1:]
    allowed = _allowed(kind, fault)
    if not key:  # of several keys together: the message names them
        return allowed
    if fault["type"] in ("missing", "extra_forbidden"):
        return f"{key}: {allowed}"
    return f"{key}: {fault['input']!r:.100}, {allowed}"


def _plain(key: str) -> str:
    """A key of a file may hold line ends; a fault is one line."""
    return key if key.isprintable() else repr(key)


def _allowed(kind: type[Settings], fault: ErrorDetails) -> str:
    if fault["type"] == "extra_forbidden":
        return f"unknown key, allowed are {', '.join(_table(kind, fault['loc'][:-1]).model_fields)}"
    if fault["type"] == "value_error":
        return str(fault["ctx"]["error"])
    return WORDS.get(fault["type"], fault["msg"].removeprefix("Input "))


def _table(kind: type[Settings], path: tuple[int | str, ...]) -> type[Settings]:
    """The settings that stand at a path of keys and list positions."""
    found: Any = kind
    for part in path:
        found = get_args(found)[0] if isinstance(part, int) else found.model_fields[part].annotation
    table: type[Settings] = found
    return table
