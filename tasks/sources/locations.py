"""Spelling of locations inside a source: valid UTF-8, printable, unique, reversible, never absolute."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from tasks.records.outcomes import SourceEntry

MAX_LOCATION = 1024
"""Maximum length in characters; longer ones are cut and end in a hash, and their entry is a ``bad_name``."""

_TO_ESCAPE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]|%(?=[0-9A-Fa-f]{2})")
_ESCAPED = re.compile(rb"%([0-9A-Fa-f]{2})")


def escape(text: str) -> str:
    """Percent-encodes control characters, line separators and undecodable bytes (as `os.fsdecode` returns them).
    A ``%`` that could be taken for such a code is encoded too, so that `unescape` inverts it.
    """
    return _TO_ESCAPE.sub(_percent, text)


def unescape(text: str) -> str:
    """The text passed to `escape`, in the form of `os.fsdecode`."""
    raw = _ESCAPED.sub(lambda match: bytes((int(match[1], 16),)), text.encode("utf-8"))
    return raw.decode("utf-8", "surrogateescape")


def join(parts: Iterable[str]) -> str:
    """Escaped parts joined with ``/``; ``.`` and ``..`` are encoded, so that no path leaves the source."""
    return "/".join(_PART_CODES.get(part, part) for part in map(escape, parts))


def location_of(name: str, path: str) -> str:
    """``name/path`` for a path made by `join`, cut to `MAX_LOCATION` characters."""
    whole = f"{name}/{path}"
    if len(whole) <= MAX_LOCATION:
        return whole
    return f"{whole[: MAX_LOCATION - 17]}~{hashlib.sha256(whole.encode()).hexdigest()[:16]}"


def is_too_long(name: str, path: str) -> bool:
    """Whether `location_of` has to cut."""
    return len(name) + 1 + len(path) > MAX_LOCATION


class Unique:
    """Makes names unique in the order they come: repeated ones get the suffix ``#2``, ``#3`` …."""

    def __init__(self) -> None:
        self._given: set[str] = set()
        self._last: dict[str, int] = {}

    def __call__(self, name: str) -> str:
        """The name, or with the first suffix that no name before has."""
        number, unique = self._last.get(name, 1), name
        while unique in self._given:
            number += 1
            unique = f"{name}#{number}"
        self._last[name] = number
        self._given.add(unique)
        return unique


def with_unique_locations(entries: Sequence[SourceEntry]) -> list[SourceEntry]:
    """The entries in the same order; repeated locations are made `Unique`."""
    unique = Unique()
    locations = [unique(entry.location) for entry in entries]
    return [
        entry if entry.location == location else replace(entry, location=location)
        for entry, location in zip(entries, locations, strict=True)
    ]


_PART_CODES = {".": "%2E", "..": "%2E%2E"}


def _percent(match: re.Match[str]) -> str:
    character = match[0]
    code = ord(character)
    # os.fsdecode keeps the undecodable byte 0xNN as the lone surrogate U+DCNN.
    raw = bytes((code - 0xDC00,)) if 0xDC80 <= code <= 0xDCFF else character.encode("utf-8", "surrogatepass")
    return "".join(f"%{byte:02X}" for byte in raw)
