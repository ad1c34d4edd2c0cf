"""The file of ``--exclude``: photographs to leave out, by id or by location."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from fnmatch import fnmatchcase

from tasks.records.errors import ConfigurationError
from tasks.records.user_path import user_path

_ID = re.compile(r"([a-z2-7]{26})(-t\d+(-p\d+)?)?")
_GLOB = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Exclusions:
    """Photographs to leave out.

    Attributes:
        sids: by id; matching needs the photographs' bytes.
        locations: by exact location.
        patterns: by shell pattern over locations; ``*`` also matches slashes.
    """

    sids: frozenset[str] = frozenset()
    locations: frozenset[str] = frozenset()
    patterns: tuple[str, ...] = ()

    def covers(self, location: str) -> bool:
        """Whether the location is listed or matches a pattern."""
        return location in self.locations or any(fnmatchcase(location, p) for p in self.patterns)

    def idle(self, locations: Collection[str], sids: Collection[str]) -> tuple[str, ...]:
        """Lines that match none of these photographs, sorted: probably misspelled, or for other sources."""
        named = self.locations.intersection(locations)
        fitting = {p for p in self.patterns if any(fnmatchcase(location, p) for location in locations)}
        return tuple(sorted(self.sids.difference(sids) | (self.locations - named - fitting)))


def read_exclusions(path: str) -> Exclusions:
    """Reads the file: each line holds an id, a location or a pattern; ``#`` starts a comment line.

    The id of a target or sample (``<sid>-t0-p0``) excludes its photograph. An empty path (``""``) excludes nothing.

    Raises:
        ConfigurationError: the file cannot be read as UTF-8 text.
    """
    if not path:
        return Exclusions()
    try:
        text = user_path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        msg = f"exclude={path!r}: cannot be read as a text file (not UTF-8)"
        raise ConfigurationError(msg) from error
    except (OSError, ValueError) as error:
        why = (error.strerror if isinstance(error, OSError) else "") or str(error)
        msg = f"exclude={path!r}: cannot be read as a text file ({why})"
        raise ConfigurationError(msg) from error
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    ids = {match[1] for line in lines if (match := _ID.fullmatch(line))}
    places = [line for line in lines if not _ID.fullmatch(line)]
    return Exclusions(
        sids=frozenset(ids),
        locations=frozenset(places),
        patterns=tuple(sorted({line for line in places if _GLOB.search(line)})),
    )
