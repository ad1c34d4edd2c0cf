"""All entries of all sources, sorted by location: what a plan of ingest is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tasks.errors import Reason, SampleError
from tasks.outcomes import SourceEntry
from tasks.sources.archive import list_tar
from tasks.sources.exclusion import read_exclusions
from tasks.sources.folder import list_folder
from tasks.sources.formats import HEAD_BYTES, looks_like_picture, sniff
from tasks.sources.locations import with_unique_locations
from tasks.sources.object_prefix import list_prefix
from tasks.sources.places import Place, check_place, resolve_places
from tasks.sources.reading import SourceReader
from tasks.sources.sa1b import looks_like_sa1b, pair_annotations
from tasks.sources.settings import SourceSettings
from tasks.sources.uri_list import list_rows

MAX_SNIFFED = 1000
"""Files without a picture's name whose first bytes are looked at before a source counts as one without pictures."""


def list_entries(sources: Sequence[SourceSettings], exclude: str = "", limit: int = 0) -> list[SourceEntry]:
    """Every place a photograph may be, sorted by location.

    Each file, member, object or row is an entry, whatever it is: what is no picture ends as a row, not in silence.

    Args:
        sources: as configured.
        exclude: path of a file of ids or locations to leave out, ``""`` for none. Locations are marked
            ``excluded`` here; ids are ingest's to apply (`tasks.sources.exclusion.read_exclusions`).
        limit: the first so many locations only; 0: all.

    Raises:
        ConfigurationError: a source that is missing, of no known kind, or without any picture; two sources of
            one name; an exclusion file that can't be read.
        StorageFault: an object store can't be reached.
    """
    exclusions = read_exclusions(exclude)
    entries: list[SourceEntry] = []
    for place, source in zip(resolve_places(sources), sources, strict=True):
        check_place(place)
        found = _list(place, guess=source.kind == "auto")
        if not _has_picture(found, source, place):
            raise place.fault("holds no pictures")
        entries += found
    entries = sorted(with_unique_locations(entries), key=lambda entry: entry.location)
    return [
        replace(entry, problem=Reason.EXCLUDED.value) if exclusions.covers(entry.location) else entry
        for entry in (entries[:limit] if limit else entries)
    ]


def _list(place: Place, *, guess: bool) -> list[SourceEntry]:
    if place.kind == "list":
        return list_rows(place)
    list_files = list_tar if place.file else list_prefix if place.folder is None else list_folder
    entries = list_files(place)
    if place.kind == "sa1b" or (guess and looks_like_sa1b(entries)):
        return pair_annotations(entries)
    return entries


def _has_picture(entries: Sequence[SourceEntry], source: SourceSettings, place: Place) -> bool:
    if any(looks_like_picture(entry.location) for entry in entries) or (entries and place.kind == "list"):
        return True
    reader = SourceReader([source.model_copy(update={"name": place.name})])
    readable = [entry for entry in entries if not entry.problem][:MAX_SNIFFED]
    return any(_is_picture(reader, entry) for entry in readable)


def _is_picture(reader: SourceReader, entry: SourceEntry) -> bool:
    try:
        return bool(sniff(reader.head(entry, HEAD_BYTES)))
    except SampleError:
        return False
