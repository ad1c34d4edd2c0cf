"""Lists all entries of all sources, sorted by location, for the plan of ingest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tasks.records.errors import Reason, SampleError
from tasks.records.outcomes import SourceEntry
from tasks.sources.archive import list_tar
from tasks.sources.containers import Opened, is_row, open_containers
from tasks.sources.exclusion import read_exclusions
from tasks.sources.folder import list_folder
from tasks.sources.formats import HEAD_BYTES, looks_like_picture, sniff
from tasks.sources.locations import with_unique_locations
from tasks.sources.object_prefix import list_prefix
from tasks.sources.places import Place, check_place, resolve_places
from tasks.sources.reading import SourceReader, source_id
from tasks.sources.sa1b import looks_like_sa1b, pair_annotations
from tasks.sources.settings import SourceSettings
from tasks.sources.uri_list import entries_of, is_list, read_list
from tasks.storage.objects.uris import local_folder

MAX_SNIFFED = 1000
"""Files without an image suffix that are sniffed before a source counts as having no pictures."""


_NAMED = 10

MAX_HASHED_BYTES = 1 << 30
"""Larger originals are not hashed when looking for an excluded id; ingest rejects them by size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Entries of all sources.

    Attributes:
        entries: sorted by location.
        idle_exclusions: lines of the exclusion file that match nothing in the sources, sorted; ids are included only
            if every original was read, so not with a limit.
        notes: what was seen in the sources and is not used (columns of lists), a line for each list.
    """

    entries: list[SourceEntry]
    idle_exclusions: tuple[str, ...]
    notes: tuple[str, ...] = ()


def list_sources(
    sources: Sequence[SourceSettings], exclude: str = "", limit: int = 0, out: str = ""
) -> Listing:
    """Every location that may hold a photograph, sorted.

    Each file, member, object or row is an entry, whatever it is: one that is not a picture ends as a row with a reason.

    Args:
        sources: as configured.
        exclude: path of a file of ids or locations to leave out, ``""`` for none. Matches stay in the list with the
            problem ``excluded``. Matching ids reads every original once, so prefer locations.
        limit: use only the first ``limit`` locations; 0: all.
        out: URI of the dataset being built, which is skipped if it lies below a source.

    Raises:
        ConfigurationError: a source that is missing, of an unknown kind, or without any picture; two sources with
            one name; an exclusion file that cannot be read.
        StorageFault: an object store cannot be reached.
    """
    exclusions = read_exclusions(exclude)
    entries: list[SourceEntry] = []
    notes: list[str] = []
    for place, source in zip(resolve_places(sources), sources, strict=True):
        check_place(place)
        found = _list(place, out, guess=source.kind == "auto")
        if not _has_picture(found.entries, source, place):
            lists = any(is_list(entry.path) for entry in found.entries)
            raise place.fault("holds no pictures" + (_NO_URIS if lists else ""))
        entries += found.entries
        notes += [_ignored(place, path, names) for path, names in found.ignored.items() if names]
    entries = sorted(with_unique_locations(entries), key=lambda entry: entry.location)
    listed = entries[:limit] if limit else entries
    sids = _sids(listed, SourceReader(sources)) if exclusions.sids else [""] * len(listed)
    unread = exclusions.sids if len(listed) < len(entries) else frozenset()
    idle = exclusions.idle([entry.location for entry in entries], unread.union(sids))
    return Listing(
        entries=[
            replace(entry, problem=Reason.EXCLUDED.value)
            if exclusions.covers(entry.location) or sid in exclusions.sids
            else entry
            for entry, sid in zip(listed, sids, strict=True)
        ],
        idle_exclusions=idle,
        notes=tuple(notes),
    )


_NO_URIS = ", and none of its lists has a column 'uri'"


def _list(place: Place, out: str, *, guess: bool) -> Opened:
    if place.kind == "list":
        listed = read_list(place)
        return Opened(entries=entries_of(place, listed), ignored={place.file: listed.ignored})
    if place.file:
        found = Opened(entries=list_tar(place), ignored={})
    else:
        files = (
            list_prefix(place, out)
            if place.folder is None
            else list_folder(place, local_folder(out) if out else None)
        )
        found = open_containers(place, files)
    if place.kind == "sa1b" or (guess and looks_like_sa1b(found.entries)):
        return replace(found, entries=pair_annotations(found.entries))
    return found


def _ignored(place: Place, path: str, names: Sequence[str]) -> str:
    listed = ", ".join(map(repr, names[:_NAMED])) + (
        f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    )
    return f"{place.key}: columns of {path} that are not read: {listed}"


def _sids(entries: Sequence[SourceEntry], reader: SourceReader) -> list[str]:
    """Ids of photographs by their bytes; ``""`` for unreadable ones: ingest will report the same error."""
    return ["" if entry.problem else _sid(entry, reader) for entry in entries]


def _sid(entry: SourceEntry, reader: SourceReader) -> str:
    try:
        return source_id(reader.data(entry, MAX_HASHED_BYTES))
    except SampleError:
        return ""


def _has_picture(entries: Sequence[SourceEntry], source: SourceSettings, place: Place) -> bool:
    if any(looks_like_picture(entry.location) for entry in entries) or (entries and place.kind == "list"):
        return True
    if any(is_row(place, entry) for entry in entries):
        return True
    reader = SourceReader([source.model_copy(update={"name": place.name})])
    readable = [entry for entry in entries if not entry.problem][:MAX_SNIFFED]
    return any(_is_picture(reader, entry) for entry in readable)


def _is_picture(reader: SourceReader, entry: SourceEntry) -> bool:
    try:
        return bool(sniff(reader.head(entry, HEAD_BYTES)))
    except SampleError:
        return False
