"""Reading settings from files and options with pydantic; a fault is one line: key, value, what is allowed."""

import argparse
import json
from dataclasses import fields
from functools import cache
from typing import Any, TypeVar, get_args, get_type_hints

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from intercog_model.errors import ConfigurationError

WORDS = {
    "missing": "missing",
    "dataclass_type": "should be a table",
    "tuple_type": "should be a list",
    "string_type": "should be a text",
}
"""Where pydantic's own words speak of JSON's types."""

AnySettings = TypeVar("AnySettings")


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def read_settings(kind: type[AnySettings], tree: dict[str, Any]) -> AnySettings:
    """The settings in a tree of tables and values, as TOML gives it.

    Raises:
        ConfigurationError: in one line, for each fault its key (such as ``sources[0].kind``), the value, and what is
            allowed.
    """
    try:
        return _validated(kind, tree)
    except ValidationError as error:
        raise ConfigurationError("; ".join(_line(kind, fault) for fault in error.errors())) from error


def check_options(kind: type[Any], options: argparse.Namespace) -> None:
    """Check those options of a command that are fields of `kind`.

    Raises:
        ConfigurationError: in one line, for each fault the option with its value as they were written, and what is
            allowed.
    """
    try:
        _validated(kind, {field.name: getattr(options, field.name) for field in fields(kind)})
    except ValidationError as error:
        lines = [
            f"--{str(fault['loc'][0]).replace('_', '-')} {fault['input']}: {_allowed(kind, fault)}"
            for fault in error.errors()
        ]
        raise ConfigurationError("; ".join(lines)) from error


def _validated(kind: type[AnySettings], tree: dict[str, Any]) -> AnySettings:
    # pydantic's strict mode takes tables for dataclasses and lists for tuples from JSON alone; what TOML has beyond
    # JSON, dates and times, no key takes
    adapter: TypeAdapter[AnySettings] = _adapter(kind)  # type: ignore[arg-type]  # classes are hashable
    return adapter.validate_json(json.dumps(tree, default=str))


def _line(kind: type[Any], fault: ErrorDetails) -> str:
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{_plain(part)}" for part in fault["loc"])[1:]
    allowed = _allowed(kind, fault)
    if fault["type"] == "value_error":  # of several keys together: the message names them
        return f"{key}.{allowed}" if key else allowed
    if fault["type"] in ("missing", "unexpected_keyword_argument"):
        return f"{key}: {allowed}"
    return f"{key}: {fault['input']!r:.100}, {allowed}"


def _plain(key: str) -> str:
    """A key of a file may hold line ends; a fault is one line."""
    return key if key.isprintable() else repr(key)


def _allowed(kind: type[Any], fault: ErrorDetails) -> str:
    if fault["type"] == "unexpected_keyword_argument":
        known = fields(_table(kind, fault["loc"][:-1]))
        return f"unknown key, allowed are {', '.join(field.name for field in known)}"
    if fault["type"] == "value_error":
        return str(fault["ctx"]["error"])
    return WORDS.get(fault["type"], fault["msg"].removeprefix("Input "))


def _table(kind: Any, path: tuple[int | str, ...]) -> Any:
    """The dataclass that stands at a path of keys and list positions."""
    for part in path:
        kind = get_args(kind)[0] if isinstance(part, int) else get_type_hints(kind)[part]
    return kind
