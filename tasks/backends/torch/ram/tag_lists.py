"""The files beside a checkpoint: tags, a threshold for each, and the tags that name no object.

They are read whenever the model is named, since they change answers: their digests are part of its identity.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import yaml
from pydantic import TypeAdapter, ValidationError

from tasks.records.errors import ConfigurationError

NOT_OBJECTS = Path(__file__).with_name("not_objects.yaml")
"""The project's own list of tags that name no object."""

_KINDS: TypeAdapter[dict[str, tuple[str, ...]]] = TypeAdapter(dict[str, tuple[str, ...]])


@dataclass(frozen=True, slots=True, kw_only=True)
class TagLists:
    """What the files say.

    Attributes:
        names: the tags, in the order of the network's outputs.
        thresholds: the probability above which each tag is given, 0..1.
        objects: whether each tag may name an object.
        digests: SHA-256 (hex) by what it is of: tags, thresholds, not_objects.
    """

    names: tuple[str, ...]
    thresholds: tuple[float, ...]
    objects: tuple[bool, ...]
    digests: Mapping[str, str]


def read_tag_lists(tags: str, thresholds: str, not_objects: str, where: str) -> TagLists:
    """Reads the files, or repeats what they said as long as they stay the same.

    Args:
        tags: file with one tag a line.
        thresholds: file with one number a line, in the order of the tags.
        not_objects: YAML file, lists of tags by kind; empty: the project's own.
        where: role and backend, for messages.

    Raises:
        ConfigurationError: a file is missing, empty or malformed, or the files do not fit each other.
    """
    paths = {"tags": tags, "thresholds": thresholds, "not_objects": not_objects or str(NOT_OBJECTS)}
    files = []
    for option, path in paths.items():
        label = f"{where}: {option}={path!r}"
        try:
            found = Path(path).stat()
        except OSError as error:
            raise ConfigurationError(f"{label}: {error.strerror}") from error
        files.append(_File(path=Path(path), label=label, mtime_ns=found.st_mtime_ns, size=found.st_size))
    return _read(*files, own=not not_objects)


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """A file in a certain state; ``label`` names it in messages."""

    path: Path
    label: str
    mtime_ns: int
    size: int


# Naming a model happens for every question; the files are parsed again only when one of them has changed.
@lru_cache(maxsize=8)
def _read(tags: _File, thresholds: _File, not_objects: _File, *, own: bool) -> TagLists:
    names = _lines(tags)
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise ConfigurationError(f"{tags.label}: more than once: {', '.join(repeated[:5])}")
    values = _thresholds(thresholds)
    if len(values) != len(names):
        raise ConfigurationError(f"{thresholds.label}: {len(values)} thresholds for {len(names)} tags")
    dropped = _names_by_kind(not_objects)
    unknown = sorted(dropped - set(names))
    # The project's own list is about the published tags; with other tags most of it has nothing to say.
    if unknown and not own:
        raise ConfigurationError(f"{not_objects.label}: no tags of {tags.path}: {', '.join(unknown[:5])}")
    return TagLists(
        names=names,
        thresholds=values,
        objects=tuple(name not in dropped for name in names),
        digests={
            "tags": _digest(names),
            "thresholds": _digest(map(repr, values)),
            "not_objects": _digest(sorted(dropped & set(names))),
        },
    )


def _lines(file: _File) -> tuple[str, ...]:
    """The lines of a text file, stripped; a line break at the end makes no further line."""
    lines = tuple(line.strip() for line in _text(file).splitlines())
    if not all(lines) or not lines:
        what = f"line {lines.index('') + 1} is empty" if lines else "the file is empty"
        raise ConfigurationError(f"{file.label}: {what}; expected one entry a line")
    return lines


def _thresholds(file: _File) -> tuple[float, ...]:
    values = []
    for number, line in enumerate(_lines(file), 1):
        try:
            value = float(line)
        except ValueError:
            value = math.nan
        if not 0 <= value <= 1:
            raise ConfigurationError(f"{file.label}: line {number}: {line!r} is no number in 0..1")
        values.append(value)
    return tuple(values)


def _names_by_kind(file: _File) -> frozenset[str]:
    text = _text(file)
    try:
        kinds = _KINDS.validate_python(yaml.safe_load(text) or {})
    except (yaml.YAMLError, ValidationError) as error:
        first = str(error).partition("\n")[0]
        raise ConfigurationError(f"{file.label}: not lists of tags by kind: {first}") from error
    return frozenset(name for names in kinds.values() for name in names)


def _text(file: _File) -> str:
    try:
        return file.path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file.label}: not a text file: {error}") from error


def _digest(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
