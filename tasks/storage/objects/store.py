"""One interface to a local folder or S3: put, put-if-absent, get, ranged get, list."""

from __future__ import annotations

import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    InvalidPathError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
    UnknownConfigurationKeyError,
)
from obstore.store import LocalStore, S3Store

from tasks.records.errors import ConfigurationError, DataFault, StorageFault, first_line
from tasks.storage.objects.uris import DATASET_URIS, in_object_store, local_folder

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import S3Config

LOOPBACK = ("127.0.0.1", "localhost", "::1")
"""Hosts to which plain HTTP is allowed; others need ``AWS_ALLOW_HTTP``, since it sends photographs unencrypted."""


_METADATA_SERVICE = re.compile(r"http://\S+/latest/(api/token|meta-data)")
"""Where the client looks for credentials if the environment has none; that address says nothing to a user."""

_AWS_HINT = (
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and AWS_ENDPOINT_URL of a server that is not AWS "
    "(AWS_ALLOW_HTTP=true for plain HTTP)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreOptions:
    """What a build requires of its store. Address and keys of a bucket come from the ``AWS_*`` environment variables.

    Attributes:
        min_free_bytes: free space a local folder must have before work.
        timeout_s: of one request.
        retries: of one request that failed for a passing reason.
    """

    min_free_bytes: int = 0
    timeout_s: float = 60.0
    retries: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectInfo:
    """An object below the store: path, size in bytes, time of its last write, and its ETag (``""`` if unknown)."""

    path: str
    size: int
    modified: datetime
    etag: str = ""


class Store:
    """A dataset's objects by path (``/`` between parts, relative to the store's URI).

    Every operation raises `StorageFault` if the store denies access or cannot be reached.
    """

    def __init__(self, uri: str, options: StoreOptions) -> None:
        self.uri = uri
        self.options = options
        self._root = local_folder(uri)
        self._objects: Any = _open(uri, self._root, options)

    def __reduce__(self) -> tuple[Any, ...]:
        # A pickled copy in another process opens its own connection.
        return (Store, (self.uri, self.options))

    @property
    def folder(self) -> Path | None:
        """The local folder, or None for a remote store."""
        return self._root

    def url(self, path: str) -> str:
        """The URI of ``path``, for messages."""
        return f"{self.uri.rstrip('/')}/{path}"

    def put(self, path: str, data: bytes | bytearray | memoryview) -> None:
        """Stores the bytes atomically, replacing any object at that path."""
        with _faults(self.url(path)):
            obstore.put(self._objects, path, data, use_multipart=None if self._root is None else False)

    def put_if_absent(self, path: str, data: bytes | bytearray | memoryview) -> bool:
        """Stores the bytes atomically if the path is free; False if another writer was first with other bytes.

        A request that succeeded but whose reply was lost is repeated by the client and then refused, so equal bytes
        found there count as ours.
        """
        with _faults(self.url(path)):
            try:
                obstore.put(self._objects, path, data, mode="create", use_multipart=False)
            except (AlreadyExistsError, PreconditionError):
                return self.find(path) == bytes(data) if self._root is None else False
        return True

    def get(self, path: str) -> bytes:
        """The object's bytes.

        Raises:
            DataFault: it does not exist; callers ask only for paths named by another object.
        """
        data = self.find(path)
        if data is None:
            msg = f"{path}: missing from {self.uri}"
            raise DataFault(msg)
        return data

    def find(self, path: str) -> bytes | None:
        """The object's bytes, or None if it does not exist."""
        with _faults(self.url(path)):
            try:
                return bytes(obstore.get(self._objects, path).bytes())
            except FileNotFoundError:
                return None

    def get_range(self, path: str, offset: int, length: int) -> bytes:
        """``length`` bytes from ``offset``; fewer if the object ends before that.

        Raises:
            DataFault: the object does not exist.
        """
        if length == 0:
            return b""
        with _faults(self.url(path)):
            try:
                return bytes(obstore.get_range(self._objects, path, start=offset, length=length))
            except FileNotFoundError as error:
                msg = f"{path}: missing from {self.uri}"
                raise DataFault(msg) from error

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Objects below a folder, in no particular order; empty if it does not exist."""
        with _faults(self.url(prefix)):
            for chunk in obstore.list(self._objects, prefix or None, chunk_size=1000):
                for meta in chunk:
                    yield _info(meta)

    def folders(self, prefix: str = "") -> tuple[str, ...]:
        """Paths of the folders directly below a folder, sorted, without listing their contents."""
        with _faults(self.url(prefix)):
            found = obstore.list_with_delimiter(self._objects, prefix or None)
        return tuple(sorted(str(path) for path in found["common_prefixes"]))

    def list_without(self, folder: str) -> Iterator[ObjectInfo]:
        """All objects except those below one top-level folder, which is not listed at all."""
        with _faults(self.url("")):
            top = obstore.list_with_delimiter(self._objects)
        for meta in top["objects"]:
            yield _info(meta)
        for name in top["common_prefixes"]:
            if name != folder:
                yield from self.list(name)

    def head(self, path: str) -> ObjectInfo | None:
        """Size and time of an object, or None if it does not exist."""
        with _faults(self.url(path)):
            try:
                meta = obstore.head(self._objects, path)
            except FileNotFoundError:
                return None
        return _info(meta)

    def exists(self, path: str) -> bool:
        """Whether an object exists."""
        return self.head(path) is not None

    def copy(self, source: str, target: str) -> None:
        """Copies an object inside the store."""
        with _faults(self.url(source)):
            try:
                obstore.copy(self._objects, source, target)
            except FileNotFoundError as error:
                msg = f"{source}: missing from {self.uri}"
                raise DataFault(msg) from error

    def delete(self, path: str) -> None:
        """Deletes an object; only for `repair`."""
        with _faults(self.url(path)):
            try:
                obstore.delete(self._objects, path)
            except FileNotFoundError:
                return

    def probe(self) -> None:
        """Checks, before any work, that the store can keep the protocol.

        Raises:
            ConfigurationError: the store overwrites where it should refuse (no conditional put).
            StorageFault: it cannot be written to, or the local disk has too little free space.
        """
        if self._root is not None:
            check_free_space(self._root, self.options.min_free_bytes)
        path = f"probe/{uuid.uuid4().hex}"
        try:
            first = self.put_if_absent(path, b"first")
            second = self.put_if_absent(path, b"second")
        finally:
            self.delete(path)
        if not first or second:
            msg = f"out={self.uri!r}: this store has no conditional put (If-None-Match), so commits are not safe"
            raise ConfigurationError(msg)


def open_store(uri: str, options: StoreOptions | None = None) -> Store:
    """Opens the store at a folder (path or ``file://``) or in an object store (`tasks.storage.objects.uris`).

    Raises:
        ConfigurationError: a URI of another kind, or a path that is a file.
        StorageFault: the folder cannot be created.
    """
    return Store(uri, options or StoreOptions())


def check_free_space(folder: Path, min_free_bytes: int) -> None:
    """Raises `StorageFault` if the disk that holds ``folder`` has less free space."""
    free = shutil.disk_usage(folder).free
    if free < min_free_bytes:
        msg = (
            f"{folder}: {free:,} bytes free, expected at least {min_free_bytes:,} (execution.min_free_bytes)"
        )
        raise StorageFault(msg)


def _info(meta: ObjectMeta) -> ObjectInfo:
    return ObjectInfo(
        path=meta["path"],
        size=meta["size"],
        modified=meta["last_modified"],
        etag=(meta["e_tag"] or "").removeprefix("W/").strip('"'),
    )


def _open(uri: str, root: Path | None, options: StoreOptions) -> object:
    if root is not None:
        with _faults(uri):
            _refuse_files(uri, root)
            root.mkdir(parents=True, exist_ok=True)
            return LocalStore(str(root))
    if not in_object_store(uri) or not urlparse(uri).netloc:
        msg = f"out={uri!r}: expected {DATASET_URIS}"
        raise ConfigurationError(msg)
    return _open_s3(uri, options)


def _open_s3(uri: str, options: StoreOptions) -> object:
    endpoint = os.environ.get("AWS_ENDPOINT_URL", "")
    config: S3Config = {}
    if endpoint:
        config["endpoint"] = endpoint
    if not (os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")):
        config["region"] = "us-east-1"
    plain = os.environ.get("AWS_ALLOW_HTTP", "").lower() in ("1", "true")
    plain = plain or urlparse(endpoint).hostname in LOOPBACK
    with _faults(uri):
        return S3Store.from_url(
            uri,
            config=config,
            client_options={"allow_http": plain, "timeout": timedelta(seconds=options.timeout_s)},
            retry_config={
                "max_retries": options.retries,
                "retry_timeout": timedelta(seconds=options.timeout_s),
            },
        )


def _refuse_files(uri: str, root: Path) -> None:
    """Raises `ConfigurationError` if ``root`` cannot be a folder because it, or a parent, is a file."""
    nearest = next(path for path in (root, *root.parents) if path.exists())
    if not nearest.is_dir():
        where = "is" if nearest == root else f"{nearest} is"
        msg = f"out={uri!r}: {where} a file; expected a folder"
        raise ConfigurationError(msg)


@contextmanager
def _faults(where: str) -> Iterator[None]:
    try:
        yield
    except (InvalidPathError, UnknownConfigurationKeyError) as error:
        msg = f"{where}: {first_line(error)}"
        raise ConfigurationError(msg) from error
    except (PermissionDeniedError, UnauthenticatedError) as error:
        msg = f"{where}: access denied ({first_line(error)})"
        raise StorageFault(msg) from error
    except (BaseError, OSError) as error:
        reason = first_line(error)
        msg = f"{where}: {reason}"
        if _METADATA_SERVICE.search(reason):
            msg = f"{where}: no credentials or endpoint were found for it; {_AWS_HINT} ({reason})"
        raise StorageFault(msg) from error
