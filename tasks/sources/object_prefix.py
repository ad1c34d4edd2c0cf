"""Lists an object-store prefix, and reads an object as a seekable file."""

from __future__ import annotations

import io
import re

from tasks.records.errors import Reason
from tasks.records.outcomes import SourceEntry
from tasks.sources.folder import entry_of, groundedit_entry
from tasks.sources.groundedit_folders import folder_around, groundedit_folders
from tasks.sources.locations import join
from tasks.sources.places import LIST_SUFFIXES, Place
from tasks.storage.objects.bucket import Bucket
from tasks.storage.objects.infos import ObjectInfo
from tasks.storage.objects.uris import in_object_store, parse_location

_ODD = re.compile(r"[^0-9A-Za-z.-]")

READ_AHEAD = 1 << 18
"""Minimum bytes per request when an object is read as a file; small enough to skip over members of an archive."""


def list_prefix(place: Place, skip: str = "") -> list[SourceEntry]:
    """All objects below the prefix, in no particular order, except those below the URI ``skip`` (the output).

    Keys are taken as they are, so that each object is one entry: ``a//b.jpg``, ``a/../b.jpg`` and ``a.jpg/`` are three
    more objects beside ``a/b.jpg``, ``b.jpg`` and ``a.jpg``. An empty object whose key ends in ``/`` stands for a
    folder (consoles make them) and is ``not_an_image``. A folder written by GroundEdit (another dataset, a release or
    a gallery) is one entry, as in `list_folder`.

    Raises:
        ConfigurationError: the source is the output, or a single object.
        StorageFault: the store cannot be reached or denies access.
    """
    store, out = place.store(), _folder_of(skip)
    if out == place.remote:
        raise place.fault("is the output")
    everything = list(store.list())
    if not everything and _is_object(place.remote.removesuffix("/")):
        raise place.fault(f"is a single object; expected a prefix, .tar or {' or '.join(LIST_SUFFIXES)}")
    objects = [i for i in everything if not (out and f"{place.remote}{i.path}".startswith(out))]
    own = groundedit_folders(store, (info.path for info in objects))
    folders = {info.path: folder_around(info.path, own) for info in objects}
    return [
        *(_entry(place, info) for info in objects if not folders[info.path]),
        *(
            groundedit_entry(place, join(folder.split("/")), own[folder])
            for folder in dict.fromkeys(filter(None, folders.values()))
        ),
    ]


def _is_object(uri: str) -> bool:
    above, _, last = uri.rpartition("/")
    return above.count("/") > 1 and Bucket(f"{above}/").head(last) is not None


def _folder_of(uri: str) -> str:
    """The prefix of all objects below a URI in an object store, spelled as `Place.remote`; ``""`` for other URIs."""
    if not in_object_store(uri):
        return ""
    location = parse_location(uri)
    return f"s3://{location.bucket}/{location.key}".removesuffix("/") + "/"


def _entry(place: Place, info: ObjectInfo) -> SourceEntry:
    path = join(info.path.split("/"))
    if not info.size and (not info.path or info.path.endswith("/")):
        return entry_of(
            place, path, problem=Reason.NOT_AN_IMAGE, detail="an empty object that stands for a folder"
        )
    return entry_of(place, path, version=object_version(info), length=info.size)


def object_version(info: ObjectInfo) -> str:
    """Changes whenever an object's bytes do: size and ETag, or time where the store tells no ETag."""
    return object_versions(info)[0]


def object_versions(info: ObjectInfo) -> tuple[str, ...]:
    """The version, and what it would be for a store that tells the ETag in some answers only."""
    by_time = f"{info.size}-{info.modified.timestamp():.6f}"
    # Signs that separate the parts of a version (`SourceEntry.version`) are none of an ETag's own.
    return (f"{info.size}-{_ODD.sub('_', info.etag)}", by_time) if info.etag else (by_time,)


class ObjectFile(io.RawIOBase):
    """An object read by ranges, as a seekable binary file; wrap it in `io.BufferedReader`."""

    def __init__(self, store: Bucket, info: ObjectInfo) -> None:
        self._store, self._path, self._size, self._position = store, info.path, info.size, 0

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Moves to ``offset`` from the start, the current position or the end."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fills the buffer from the current position; returns 0 at the end."""
        length = min(len(buffer), self._size - self._position)
        if length <= 0:
            return 0
        data = self._store.get_range(self._path, self._position, length)
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)
