"""Reads the bytes of an entry from any kind of source, within a limit; every failure has a reason."""

from __future__ import annotations

import base64
import hashlib
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from tasks.records.errors import Reason, SampleError, StorageFault
from tasks.records.outcomes import SourceEntry
from tasks.sources.containers import is_row, part_of
from tasks.sources.folder import problem_of, special_file, version_of
from tasks.sources.locations import unescape
from tasks.sources.object_prefix import object_versions
from tasks.sources.places import Place, resolve_places
from tasks.sources.settings import SourceSettings
from tasks.sources.uri_list import ListRow, read_list
from tasks.sources.web import read_web
from tasks.storage.objects.bucket import Bucket
from tasks.storage.objects.infos import ObjectInfo
from tasks.storage.objects.s3_client import BAD_KEYS, NothingThere, ObjectRefused


@dataclass(frozen=True, slots=True, kw_only=True)
class _ReadRequest:
    """What to read from a file: a part (offset, length) or all, its version as listed, and the limit in bytes."""

    part: tuple[int, int] | None
    version: str
    max_bytes: int

    def check_version(self, *versions: str) -> None:
        if self.version and self.version not in versions:
            raise SampleError(Reason.SOURCE_CHANGED, "size or time differ from the listing")

    def range_of(self, size: int) -> tuple[int, int]:
        offset, length = self.part or (0, size)
        if length > self.max_bytes:
            raise _too_many(length, self.max_bytes)
        return offset, length


def source_id(data: bytes) -> str:
    """The sid of an original: 26 characters of lower-case base32 of the SHA-256 of its bytes."""
    return base64.b32encode(hashlib.sha256(data).digest()).decode("ascii").lower()[:26]


class SourceReader:
    """Reads entries of the given sources; keeps connections and lists open between them."""

    def __init__(self, sources: Sequence[SourceSettings]) -> None:
        self._places = {place.name: place for place in resolve_places(sources)}
        self._rows: dict[tuple[str, str], dict[str, ListRow]] = {}

    def data(self, entry: SourceEntry, max_bytes: int) -> bytes:
        """All bytes of the entry.

        Raises:
            SampleError: ``source_missing``, ``unreadable``, ``source_changed`` since listing, ``too_many_bytes``.
            StorageFault: the source as a whole cannot be reached.
        """
        version = entry.version.partition("~")[0].partition("+")[0].partition("@")[0]
        place = self._places[entry.source]
        part = (entry.offset, entry.length) if entry.member and not is_row(place, entry) else None
        return self._read(entry, _ReadRequest(part=part, version=version, max_bytes=max_bytes))

    def _read(self, entry: SourceEntry, request: _ReadRequest) -> bytes:
        place = self._places[entry.source]
        if is_row(place, entry):
            return self._listed(part_of(place, entry), entry.member, request)
        if place.kind == "list":
            return self._listed(place, entry.path, request)
        return _below(place, entry.path, request)

    def head(self, entry: SourceEntry, length: int) -> bytes:
        """The first bytes of a file, member, object or local file of a list, whose length is in the listing.

        Raises:
            SampleError, StorageFault: as for `data`.
        """
        part = (entry.offset, min(length, max(0, entry.length)))
        request = _ReadRequest(part=part, version="", max_bytes=length)
        return self._read(entry, request)

    def annotation(self, entry: SourceEntry, max_bytes: int) -> bytes:
        """All bytes of the entry's annotation; ``b""`` if it has none.

        Raises:
            SampleError, StorageFault: as for `data`.
        """
        if not entry.annotation:
            return b""
        whole = entry.annotation_length < 0
        part = None if whole else (entry.annotation_offset, entry.annotation_length)
        request = _ReadRequest(part=part, version="", max_bytes=max_bytes)
        return _below(self._places[entry.source], entry.annotation, request)

    def _listed(self, place: Place, key: str, request: _ReadRequest) -> bytes:
        location = self._row(place, key).location
        if location is None:
            raise SampleError(Reason.SOURCE_CHANGED, "the list's row now points to nothing")
        if location.path is not None:
            return _read_local(location.path, request)
        if location.kind == "web":
            return read_web(location.url, request.max_bytes)
        return _read_object(f"s3://{location.bucket}", location.key, request)

    def _row(self, place: Place, key: str) -> ListRow:
        where = (str(place.folder or place.remote), place.file)
        if where not in self._rows:
            self._rows[where] = {row.key: row for row in read_list(place).rows}
        row = self._rows[where].get(key)
        if row is None:
            raise SampleError(Reason.SOURCE_CHANGED, "the list no longer has this row")
        return row


def _below(place: Place, path: str, request: _ReadRequest) -> bytes:
    """Bytes of an escaped path below a source's root."""
    if place.folder is None:
        return _read_object(place.remote, unescape(path), request)
    try:
        return _read_local(place.folder / unescape(path), request)
    except SampleError:
        if not place.folder.is_dir():
            msg = f"{place.key}.uri={place.uri!r}: the source is gone"
            raise StorageFault(msg) from None
        raise


def _read_local(path: Path, request: _ReadRequest) -> bytes:
    try:
        # Without O_NONBLOCK a pipe that has replaced the file would wait for a writer forever.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as stream:  # noqa: PTH123
            info = os.fstat(stream.fileno())
            if not stat.S_ISREG(info.st_mode):
                raise SampleError(Reason.UNREADABLE, special_file(info.st_mode))
            request.check_version(version_of(info))
            offset, length = request.range_of(info.st_size)
            stream.seek(offset)
            data = stream.read(length)
    except OSError as error:
        raise SampleError(problem_of(error), error.strerror or "") from error
    if len(data) != length:
        raise SampleError(Reason.SOURCE_CHANGED, f"{len(data)} of {length} bytes are there")
    return data


def _read_object(uri: str, path: str, request: _ReadRequest) -> bytes:
    def check(info: ObjectInfo) -> None:
        request.check_version(*object_versions(info))
        request.range_of(info.size)

    try:
        data = _bucket(uri).read(path, part=request.part, check=check)
    except NothingThere as error:
        what = "no such bucket" if error.code == "NoSuchBucket" else "no such object"
        raise SampleError(Reason.SOURCE_MISSING, what) from error
    except ObjectRefused as error:
        if error.code in BAD_KEYS:
            raise SampleError(Reason.BAD_NAME, "no key the store takes") from error
        raise SampleError(Reason.ACCESS_DENIED, error.code) from error
    if request.part is not None and len(data) != request.part[1]:
        raise SampleError(Reason.SOURCE_CHANGED, f"{len(data)} of {request.part[1]} bytes are there")
    return data


@lru_cache(maxsize=64)
def _bucket(uri: str) -> Bucket:
    return Bucket(uri)


def _too_many(length: int, max_bytes: int) -> SampleError:
    return SampleError(Reason.TOO_MANY_BYTES, f"{length} bytes, at most {max_bytes}")
