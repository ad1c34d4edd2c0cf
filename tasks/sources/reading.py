"""Reads the bytes of an entry from any kind of source, within a limit; every failure has a reason."""

from __future__ import annotations

import base64
import hashlib
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import HTTPStore

from tasks.records.errors import ConfigurationError, Reason, SampleError, StorageFault
from tasks.records.outcomes import SourceEntry
from tasks.sources.containers import is_row, part_of
from tasks.sources.folder import problem_of, special_file, version_of
from tasks.sources.locations import unescape
from tasks.sources.object_prefix import object_versions
from tasks.sources.places import Place, resolve_places
from tasks.sources.settings import SourceSettings
from tasks.sources.uri_list import ListRow, read_list
from tasks.storage.objects.store import Store, open_store
from tasks.storage.objects.uris import in_object_store, split_object

HTTP_TIMEOUT_S = 60.0
"""Timeout of one request to a web server."""

HTTP_RETRIES = 2
"""Per request; a list may name many servers that are gone, and ``--retry-failed`` asks again later."""


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
        row = is_row(place, entry)
        part = (entry.offset, entry.length) if entry.member and not row else None
        request = _ReadRequest(part=part, version=version, max_bytes=max_bytes)
        if row:
            return self._listed(part_of(place, entry), entry.member, request)
        if place.kind == "list":
            return self._listed(place, entry.path, request)
        return _below(place, entry.path, request)

    def head(self, entry: SourceEntry, length: int) -> bytes:
        """The first bytes of a file, member or object whose length is in the listing.

        Raises:
            SampleError, StorageFault: as for `data`.
        """
        part = (entry.offset, min(length, max(0, entry.length)))
        request = _ReadRequest(part=part, version="", max_bytes=length)
        return _below(self._places[entry.source], entry.path, request)

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
        row = self._row(place, key)
        if row.path:
            return _read_local(Path(row.path), request)
        if in_object_store(row.uri):
            return _read_object(*split_object(row.uri), request)
        if urlsplit(row.uri).scheme in ("http", "https"):
            return _read_http(row.uri, request.max_bytes)
        # A relative path in a list that is itself in an object store.
        return _read_object(place.remote, row.uri, request)

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
    store = _store(uri)
    try:
        info = store.head(path)
    except ConfigurationError as error:
        raise SampleError(Reason.BAD_NAME, "no key the store takes") from error
    if info is None:
        raise SampleError(Reason.SOURCE_MISSING, "no such object")
    request.check_version(*object_versions(info))
    offset, length = request.range_of(info.size)
    return store.get_range(path, offset, length)


def _read_http(uri: str, max_bytes: int) -> bytes:
    """Bytes of a web address. The store is opened at the full address, so that the query is sent unchanged."""
    try:
        store = HTTPStore.from_url(
            uri,
            client_options={"allow_http": True, "timeout": timedelta(seconds=HTTP_TIMEOUT_S)},
            retry_config={"max_retries": HTTP_RETRIES, "retry_timeout": timedelta(seconds=HTTP_TIMEOUT_S)},
        )
        answer = obstore.get(store, "")
        if answer.meta["size"] > max_bytes:
            raise _too_many(answer.meta["size"], max_bytes)
        return bytes(answer.bytes())
    except FileNotFoundError as error:
        raise SampleError(Reason.SOURCE_MISSING, "the web server has no such page") from error
    except (BaseError, OSError) as error:
        raise SampleError(Reason.UNREADABLE, "the web server can't be reached or refuses") from error


@lru_cache(maxsize=16)
def _store(uri: str) -> Store:
    return open_store(uri)


def _too_many(length: int, max_bytes: int) -> SampleError:
    return SampleError(Reason.TOO_MANY_BYTES, f"{length} bytes, at most {max_bytes}")
