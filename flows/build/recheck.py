"""Reads every photograph again and finds those whose bytes changed behind an unchanged size and time."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tasks.records.errors import SampleError
from tasks.records.outcomes import SourceEntry
from tasks.sources.listing import MAX_HASHED_BYTES
from tasks.sources.reading import SourceReader, source_id
from tasks.sources.settings import SourceSettings
from tasks.storage.objects.store import Store
from tasks.storage.protocol.layout import StageKey
from tasks.storage.protocol.rechecks import Mark, content_of, known_contents, listed_version

AT_ONCE = 8
"""Photographs read at the same time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recheck:
    """What was found.

    Attributes:
        read: entries that were read and compared.
        marks: new marks by location, for those that have changed, and for those that gave no photograph before and
            so left nothing to compare with.
        changed: how many of the marks are for changed bytes.
    """

    read: int
    marks: dict[str, Mark]
    changed: int

    @property
    def note(self) -> str:
        """One line about it."""
        again = len(self.marks) - self.changed
        tried = f", {again} that gave none are tried again" if again else ""
        return f"recheck: {self.read} photographs read, {self.changed} changed{tried}"


def recheck(
    store: Store, key: StageKey, sources: Sequence[SourceSettings], entries: Sequence[SourceEntry]
) -> Recheck:
    """Compares the bytes of every entry that an earlier unit has read with what that unit read.

    Raises:
        StorageFault: a source cannot be reached.
    """
    known = known_contents(store, key, entries)
    reader = SourceReader(sources)
    compared = [entry for entry in entries if entry.location in known and not entry.problem]
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="recheck") as pool:
        found = list(pool.map(lambda entry: _content(reader, entry), compared))
    marks, changed = dict[str, Mark](), 0
    for entry, content in zip(compared, found, strict=True):
        before = content_of(entry.version) or known[entry.location]
        if content and content != before:
            marks[entry.location] = Mark(listed_version(entry.version), content)
            changed += bool(before)
    return Recheck(read=len(compared), marks=marks, changed=changed)


def _content(reader: SourceReader, entry: SourceEntry) -> str:
    """The id of the bytes, ``""`` if they can't be read: ingest will say why."""
    try:
        return source_id(reader.data(entry, MAX_HASHED_BYTES))
    except SampleError:
        return ""
