"""Lists all entries of all sources, sorted by location, for the plan of ingest."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

from tasks.records.errors import Reason, SampleError
from tasks.records.outcomes import SourceEntry
from tasks.sources.archive import list_tar
from tasks.sources.containers import Opened, is_row, open_containers
from tasks.sources.exclusion import Exclusions, read_exclusions
from tasks.sources.folder import list_folder
from tasks.sources.formats import DECODED, HEAD_BYTES, looks_like_picture, sniff
from tasks.sources.locations import with_unique_locations
from tasks.sources.object_prefix import list_prefix
from tasks.sources.places import Place, check_place, resolve_places
from tasks.sources.reading import SourceReader, source_id
from tasks.sources.sa1b import is_annotation, looks_like_sa1b, pair_annotations
from tasks.sources.settings import SourceSettings
from tasks.sources.uri_list import entries_of, is_list, read_list
from tasks.storage.objects.uris import local_folder

MAX_SNIFFED = 1000
"""Files without an image suffix that are sniffed before a source counts as having no pictures."""


_NAMED = 10

HEADS_AT_ONCE = 32
"""Entries whose first bytes are asked for at the same time, each a request where the source is remote."""

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
        limit: end the list with the ``limit``-th photograph in the order of locations; 0: all. See
            `may_be_photograph` for what counts. What lies between the photographs stays in the list, as in the whole
            one, so that units are shared with it.
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
            raise place.fault(f"holds no pictures{_instead(found.entries)}")
        entries += found.entries
        notes += [_ignored(place, path, names) for path, names in found.ignored.items() if names]
    entries = sorted(with_unique_locations(entries), key=lambda entry: entry.location)
    marked = _Marking(exclusions, SourceReader(sources))
    listed = marked.until(entries, limit) if limit else [marked.mark(entry) for entry in entries]
    unread = exclusions.sids if len(listed) < len(entries) else frozenset()
    idle = exclusions.idle([entry.location for entry in entries], unread.union(marked.sids))
    return Listing(entries=listed, idle_exclusions=idle, notes=tuple(notes))


def may_be_photograph(entry: SourceEntry, reader: SourceReader) -> bool:
    """Whether an entry counts for a limit: nothing is wrong with it by its listing, it is not excluded, and its first
    bytes are those of a format that ingest reads, whatever its name.

    So hidden files of file systems (``._a.jpg``), empty files, annotations and unsupported formats do not count; a
    photograph that turns out to be damaged, too small or a duplicate does. A list's rows elsewhere (web addresses,
    objects) count unseen.

    Raises:
        StorageFault: the source as a whole cannot be reached.
    """
    if entry.problem or entry.length == 0:
        return False
    if entry.length < 0:
        return True
    try:
        return sniff(reader.head(entry, HEAD_BYTES)) in DECODED
    except SampleError:
        return False


def named_like_photographs(entries: Sequence[SourceEntry]) -> int:
    """How many entries may be photographs by their names and lengths alone, for estimates; nothing is read."""
    return sum(
        1
        for entry in entries
        if not entry.problem and entry.length != 0 and _named_like_one(entry.location.rpartition("/")[2])
    )


def _named_like_one(name: str) -> bool:
    return not name.startswith("._") and (looks_like_picture(name) or "." not in name)


class _Marking:
    """Marks excluded entries, and remembers the ids that were read for that."""

    def __init__(self, exclusions: Exclusions, reader: SourceReader) -> None:
        self.sids: set[str] = set()
        self._exclusions, self._reader = exclusions, reader

    def mark(self, entry: SourceEntry) -> SourceEntry:
        """The entry, with the problem ``excluded`` if its location or id is."""
        sid = _sid(entry, self._reader) if self._exclusions.sids and not entry.problem else ""
        self.sids.add(sid)
        if self._exclusions.covers(entry.location) or sid in self._exclusions.sids:
            return replace(entry, problem=Reason.EXCLUDED.value)
        return entry

    def until(self, entries: Sequence[SourceEntry], limit: int) -> list[SourceEntry]:
        """The entries up to the ``limit``-th photograph, marked."""
        taken: list[SourceEntry] = []
        # Looking for ids reads whole photographs: never more of them than needed.
        size = 1 if self._exclusions.sids else HEADS_AT_ONCE
        with ThreadPoolExecutor(HEADS_AT_ONCE, thread_name_prefix="heads") as pool:
            for start in range(0, len(entries), size):
                group = [self.mark(entry) for entry in entries[start : start + size]]
                counts = pool.map(partial(may_be_photograph, reader=self._reader), group)
                for entry, counted in zip(group, counts, strict=True):
                    taken.append(entry)
                    limit -= counted
                    if not limit:
                        return taken
        return taken


def _instead(entries: Sequence[SourceEntry]) -> str:
    """What a source without pictures holds that could have been meant, for its message."""
    if any(is_list(entry.path) for entry in entries):
        return ", and none of its lists has a column 'uri'"
    if any(is_annotation(entry.location) for entry in entries):
        return ", only annotations of SA-1B; name the folder around these and the photographs as one source"
    return ""


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


def _sid(entry: SourceEntry, reader: SourceReader) -> str:
    """Id of a photograph by its bytes; ``""`` for an unreadable one: ingest will report the same error."""
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
    # Names without any suffix first: photographs without one may lie among thousands of texts and tables.
    readable = sorted(
        (entry for entry in entries if not entry.problem),
        key=lambda entry: ("." in entry.location.rpartition("/")[2], entry.location),
    )[:MAX_SNIFFED]
    return any(_is_picture(reader, entry) for entry in readable)


def _is_picture(reader: SourceReader, entry: SourceEntry) -> bool:
    try:
        return bool(sniff(reader.head(entry, HEAD_BYTES)))
    except SampleError:
        return False
