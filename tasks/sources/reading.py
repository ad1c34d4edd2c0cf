"""The bytes of an entry, wherever they lie, within a limit; each refusal is a reason."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from datetime import timedelta
from functools import lru_cache
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import HTTPStore

from tasks.errors import Reason, SampleError, StorageFault
from tasks.outcomes import SourceEntry
from tasks.sources.folder import problem_of, version_of
from tasks.sources.locations import unescape
from tasks.sources.object_prefix import object_version
from tasks.sources.places import Place, resolve_places
from tasks.sources.settings import SourceSettings
from tasks.sources.uri_list import ListRow, read_rows
from tasks.storage.store import Store, open_store

HTTP_TIMEOUT_S = 60.0
"""Of one request to a web server."""


class SourceReader:
    """Reads entries of the given sources; keeps connections and lists open between them."""

    def __init__(self, sources: Sequence[SourceSettings]) -> None:
        self._places = {place.name: place for place in resolve_places(sources)}
        self._rows: dict[str, dict[str, ListRow]] = {}

    def data(self, entry: SourceEntry, max_bytes: int) -> bytes:
        """All bytes of the entry.

        Raises:
            SampleError: ``source_missing``, ``unreadable``, ``source_changed`` since the listing, or ``too_many_bytes``.
            StorageFault: the source as a whole can't be reached.
        """
        version = entry.version.partition("+")[0].partition("@")[0]
        if self._places[entry.source].kind == "list":
            return self._listed(entry, version, max_bytes)
        return self._range(entry, entry.path, entry.offset, entry.length, version, max_bytes)

    def annotation(self, entry: SourceEntry, max_bytes: int) -> bytes:
        """All bytes of the entry's annotation; ``b""`` when it has none.

        Raises:
            SampleError, StorageFault: as for `data`.
        """
        if not entry.annotation:
            return b""
        offset, length = entry.annotation_offset, entry.annotation_length
        return self._range(entry, entry.annotation, offset, length, "", max_bytes)

    def _range(
        self, entry: SourceEntry, path: str, offset: int, length: int, version: str, max_bytes: int
    ) -> bytes:
        place = self._places[entry.source]
        if entry.member and length > max_bytes:
            raise _too_many(length, max_bytes)
        whole = not entry.member
        if place.folder is None:
            return _read_object(place.remote, path, None if whole else (offset, length), version, max_bytes)
        local = os.path.join(place.folder, unescape(path))
        try:
            return _read_local(local, None if whole else (offset, length), version, max_bytes)
        except SampleError:
            if not place.folder.is_dir():
                msg = f"{place.key}.uri={place.uri!r}: the source is gone"
                raise StorageFault(msg) from None
            raise

    def _listed(self, entry: SourceEntry, version: str, max_bytes: int) -> bytes:
        row = self._row(self._places[entry.source], entry.path)
        if row.path:
            return _read_local(row.path, None, version, max_bytes)
        if row.uri.startswith("s3://"):
            bucket, _, key = row.uri.removeprefix("s3://").partition("/")
            return _read_object(f"s3://{bucket}", key, None, version, max_bytes)
        if urlsplit(row.uri).scheme in ("http", "https"):
            return _read_http(row.uri, max_bytes)
        # A relative path in a list that lies in an object store.
        place = self._places[entry.source]
        return _read_object(place.remote, row.uri, None, version, max_bytes)

    def _row(self, place: Place, key: str) -> ListRow:
        if place.name not in self._rows:
            self._rows[place.name] = {row.key: row for row in read_rows(place)}
        row = self._rows[place.name].get(key)
        if row is None:
            raise SampleError(Reason.SOURCE_CHANGED, "the list no longer has this row")
        return row


def _read_local(path: str, part: tuple[int, int] | None, version: str, max_bytes: int) -> bytes:
    try:
        # Without O_NONBLOCK a pipe that took the file's place would wait for a writer for ever.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as stream:
            info = os.fstat(stream.fileno())
            if not stat.S_ISREG(info.st_mode):
                raise SampleError(Reason.UNREADABLE, "no regular file")
            if version and version_of(info) != version:
                raise SampleError(Reason.SOURCE_CHANGED, "size or time differ from the listing")
            offset, length = part or (0, info.st_size)
            if length > max_bytes:
                raise _too_many(length, max_bytes)
            stream.seek(offset)
            data = stream.read(length)
    except OSError as error:
        raise SampleError(problem_of(error), error.strerror or "") from error
    if len(data) != length:
        raise SampleError(Reason.SOURCE_CHANGED, f"{len(data)} of {length} bytes are there")
    return data


def _read_object(uri: str, path: str, part: tuple[int, int] | None, version: str, max_bytes: int) -> bytes:
    store, path = _store(uri), unescape(path)
    info = store.head(path)
    if info is None:
        raise SampleError(Reason.SOURCE_MISSING, "no such object")
    if version and object_version(info) != version:
        raise SampleError(Reason.SOURCE_CHANGED, "size or time differ from the listing")
    offset, length = part or (0, info.size)
    if length > max_bytes:
        raise _too_many(length, max_bytes)
    return store.get_range(path, offset, length)


def _read_http(uri: str, max_bytes: int) -> bytes:
    """Bytes of a web address. The whole address makes the store, so that its query is sent as it is."""
    try:
        store = HTTPStore.from_url(
            uri, client_options={"allow_http": True, "timeout": timedelta(seconds=HTTP_TIMEOUT_S)}
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
