"""What a recheck found: entries whose bytes changed though their version did not; kept beside the plans of ingest.

Size and time stand for the bytes of a file. `mark_changed` keeps a mark for each entry that was read again and holds
other bytes; from then on every build lists that entry with the mark in its version (``<version>~<content>``), until
the version itself changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from tasks.records.canonical import seal, unseal
from tasks.records.errors import DataFault
from tasks.records.outcomes import SourceEntry
from tasks.storage.objects.store import Store
from tasks.storage.protocol.layout import StageKey
from tasks.storage.protocol.planning import committed_units, earlier_units
from tasks.storage.protocol.rows import CHILD
from tasks.storage.protocol.stage_end import light_rows, plan_commits
from tasks.storage.protocol.units import Plan

SEPARATOR = "~"
"""Between a version and the mark of a recheck; in no version itself."""


@dataclass(frozen=True, slots=True)
class Mark:
    """An entry that changed: its version as listed then, and the id of the bytes found."""

    version: str
    content: str


def read_marks(store: Store, key: StageKey) -> dict[str, Mark]:
    """Marks by location, the newest of each.

    Raises:
        DataFault: a file of marks is damaged.
    """
    marks: dict[str, Mark] = {}
    for path in _paths(store, key):
        try:
            found = unseal(store.get(path), path)["marks"]
            marks |= {location: Mark(version, content) for location, (version, content) in found.items()}
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            msg = f"{path}: not the marks of a recheck ({error})"
            raise DataFault(msg) from error
    return marks


def mark_changed(store: Store, key: StageKey, marks: Mapping[str, Mark]) -> None:
    """Keeps further marks; another recheck at the same time keeps its own."""
    if not marks:
        return
    data = seal({"marks": {location: [mark.version, mark.content] for location, mark in marks.items()}})
    number = len(_paths(store, key))
    while not store.put_if_absent(key.recheck_path(number), data):
        number += 1


def with_marks(entries: Iterable[SourceEntry], marks: Mapping[str, Mark]) -> list[SourceEntry]:
    """The entries, with the mark in the version of each that has one for the version it is listed with."""
    return [_marked(entry, marks.get(entry.location)) for entry in entries]


def known_contents(store: Store, key: StageKey, entries: Sequence[SourceEntry]) -> dict[str, str]:
    """Location -> id of the bytes that committed units read under the entry's present version; ``""`` where they read
    something that gave no photograph. Entries that no unit has read are left out.
    """
    versions = {entry.location: entry.version for entry in entries}
    committed = committed_units(store, key)
    known: dict[str, str] = {}
    for unit in earlier_units(store, key):
        if unit.id not in committed:
            continue
        members = {e.location for e in unit.entries if versions.get(e.location) == e.version}
        if not members:
            continue
        alone = Plan(key=key, plan12="", generation=0, upstream="", units=(unit,))
        children = {
            row.parent: row.id
            for row in light_rows(store, alone, plan_commits(store, alone))
            if row.kind == CHILD
        }
        for location in members:
            known[location] = children.get(location) or known.get(location, "")
    return known


def content_of(version: str) -> str:
    """The mark in a version, ``""`` without one."""
    return version.partition(SEPARATOR)[2]


def listed_version(version: str) -> str:
    """A version as it was listed, without a mark."""
    return version.partition(SEPARATOR)[0]


def _marked(entry: SourceEntry, mark: Mark | None) -> SourceEntry:
    if mark is None or entry.problem or mark.version != entry.version:
        return entry
    return replace(entry, version=f"{entry.version}{SEPARATOR}{mark.content}")


def _paths(store: Store, key: StageKey) -> list[str]:
    """Files of marks, oldest first."""
    return sorted(info.path for info in store.list(key.rechecks))
