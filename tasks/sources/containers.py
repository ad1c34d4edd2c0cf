"""Tars and lists that lie in a folder or below a prefix: their members and rows take the place of the file.

A tar is always read. A list (Parquet or CSV) is read where nothing else in the folder could be a photograph: beside
photographs it is their table of facts, and its rows would name them a second time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tasks.records.outcomes import SourceEntry
from tasks.sources.archive import BadTar, read_tar
from tasks.sources.formats import looks_like_picture
from tasks.sources.locations import location_of, unescape
from tasks.sources.places import TAR_SUFFIXES, Place
from tasks.sources.uri_list import entries_of, has_uris, is_list, read_list


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """Entries of a folder with its tars and lists opened.

    Attributes:
        entries: in the order of the files.
        ignored: columns of lists that nobody reads, by the list's path.
    """

    entries: list[SourceEntry]
    ignored: dict[str, tuple[str, ...]]


def open_containers(place: Place, entries: Sequence[SourceEntry]) -> Opened:
    """Replaces each tar by its members, and each list with a column ``uri`` by its rows, if there are no pictures.

    A tar that cannot be read as one is a row with the reason of `BadTar`.

    Raises:
        ConfigurationError: a list among files that are no pictures cannot be parsed.
    """
    lists = place.kind == "folder" and not any(
        looks_like_picture(each.path) or _is_tar(each) for each in entries
    )
    result, ignored = list[SourceEntry](), dict[str, tuple[str, ...]]()
    for entry in entries:
        if _is_tar(entry):
            result += _members(place, entry)
        elif lists and _may_be_list(entry) and has_uris(part := part_of(place, entry)):
            listed = read_list(part)
            ignored[entry.path] = listed.ignored
            result += [_row_entry(place, entry, row) for row in entries_of(part, listed)]
        else:
            result.append(entry)
    return Opened(entries=result, ignored=ignored)


def part_of(place: Place, entry: SourceEntry) -> Place:
    """The list that an entry of a folder was read from, or is, as a place of its own beside its neighbors."""
    folders, _, file = unescape(entry.path).rpartition("/")
    return replace(
        place,
        kind="list",
        uri=f"{place.uri.rstrip('/')}/{unescape(entry.path)}",
        file=file,
        folder=None if place.folder is None else place.folder / folders,
        remote=place.remote and f"{place.remote}{folders}{'/' if folders else ''}",
    )


def is_row(place: Place, entry: SourceEntry) -> bool:
    """Whether an entry of a folder is a row of a list in it."""
    return place.kind == "folder" and bool(entry.member) and is_list(entry.path)


def _is_tar(entry: SourceEntry) -> bool:
    return not entry.problem and entry.path.lower().endswith(TAR_SUFFIXES)


def _may_be_list(entry: SourceEntry) -> bool:
    # A list in an object store whose key is no path has no neighbors that its rows could name.
    return not entry.problem and is_list(entry.path) and "" not in entry.path.split("/")


def _members(place: Place, entry: SourceEntry) -> list[SourceEntry]:
    try:
        return read_tar(replace(place, file=unescape(entry.path)))
    except BadTar as error:
        # Among many tars one bad one is a row; as a source of its own it would stop the build before it starts.
        return [replace(entry, problem=error.reason.value, detail=f"a tar that {error}")]


def _row_entry(place: Place, file: SourceEntry, row: SourceEntry) -> SourceEntry:
    return replace(
        row,
        location=location_of(place.name, f"{file.path}/{row.path}"),
        path=file.path,
        member=row.path,
    )
