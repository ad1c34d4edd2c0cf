"""One interface to a local folder or S3: put, put-if-absent, get, ranged get, list."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from tasks.storage.objects.bucket import Bucket
from tasks.storage.objects.infos import ObjectInfo, StoreOptions
from tasks.storage.objects.local_listing import list_files, top_of
from tasks.storage.objects.s3_client import S3Access, no_credentials, s3_access
from tasks.storage.objects.uris import (
    DATASET_URIS,
    BadLocation,
    Location,
    in_object_store,
    local_folder,
    parse_location,
    shown,
)

if TYPE_CHECKING:
    from obstore.store import S3Config, S3Credential

CREDENTIALS_LIVE = timedelta(minutes=10)
"""How long obstore may use credentials before it asks again; those of a role change within the hour."""


class Store:
    """A dataset's objects by path (``/`` between parts, relative to the store's URI).

    Every operation raises `StorageFault` if the store denies access or cannot be reached.
    """

    def __init__(self, uri: str, options: StoreOptions) -> None:
        self.uri = uri
        self.options = options
        self._root = local_folder(uri)
        self._objects: Any = _open(uri, self._root, options)
        self._listed: Bucket | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        # A pickled copy in another process opens its own connection.
        return (Store, (self.uri, self.options))

    @property
    def folder(self) -> Path | None:
        """The local folder, or None for a remote store."""
        return self._root

    @property
    def _bucket(self) -> Bucket:
        if self._listed is None:
            self._listed = Bucket(self.uri, self.options)
        return self._listed

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
        """All objects below a folder, whatever their names, in no particular order; empty if it does not exist."""
        with _faults(self.url(prefix)):
            yield from self._bucket.list(prefix) if self._root is None else list_files(self._root, prefix)

    def top(self, prefix: str = "") -> tuple[Sequence[ObjectInfo], tuple[str, ...]]:
        """Objects directly below a folder, and paths of the folders there, sorted, without listing their contents."""
        with _faults(self.url(prefix)):
            objects, folders = self._bucket.top(prefix) if self._root is None else top_of(self._root, prefix)
        return objects, tuple(sorted(folders))

    def folders(self, prefix: str = "") -> tuple[str, ...]:
        """Paths of the folders directly below a folder, sorted, without listing their contents."""
        return self.top(prefix)[1]

    def head(self, path: str) -> ObjectInfo | None:
        """Size and time of an object, or None if it does not exist."""
        with _faults(self.url(path)):
            try:
                meta = obstore.head(self._objects, path)
            except FileNotFoundError:
                return None
        return ObjectInfo(
            path=meta["path"],
            size=meta["size"],
            modified=meta["last_modified"],
            etag=(meta["e_tag"] or "").removeprefix("W/").strip('"'),
        )

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


def _open(uri: str, root: Path | None, options: StoreOptions) -> object:
    if root is not None:
        with _faults(uri):
            _refuse_files(uri, root)
            root.mkdir(parents=True, exist_ok=True)
            return LocalStore(str(root))
    try:
        location = parse_location(uri)
    except BadLocation as error:
        raise ConfigurationError(f"out={shown(uri)!r}: {error}; expected {DATASET_URIS}") from error
    if location.kind != "object":
        raise ConfigurationError(f"out={uri!r}: expected {DATASET_URIS}")
    if not {"", ".", ".."}.isdisjoint(location.key.removesuffix("/").split("/")) and location.key:
        raise ConfigurationError(f"out={uri!r}: a part of the prefix is empty, '.' or '..'")
    return _open_s3(uri, location, options)


def _open_s3(uri: str, location: Location, options: StoreOptions) -> object:
    access = s3_access(options.timeout_s, options.retries)
    config: S3Config = {"region": access.region}
    if access.endpoint:
        config["endpoint"] = access.endpoint
    elif not access.region_given:
        config["region"] = _region_of(location.bucket, access)
    if access.credentials is None:
        config["skip_signature"] = True  # it may be a public bucket that is only read
    with _faults(uri):
        return S3Store(
            location.bucket,
            prefix=location.key.removesuffix("/") or None,
            config=config,
            client_options={"allow_http": access.plain, "timeout": timedelta(seconds=options.timeout_s)},
            retry_config={
                "max_retries": options.retries,
                "retry_timeout": timedelta(seconds=options.timeout_s),
            },
            credential_provider=None if access.credentials is None else _Credentials(access.credentials),
        )


class _Credentials:
    """Gives obstore the credentials that botocore found."""

    def __init__(self, found: Any) -> None:
        self._found = found

    def __call__(self) -> S3Credential:
        """Fresh ones."""
        now = self._found.get_frozen_credentials()
        return {
            "access_key_id": now.access_key,
            "secret_access_key": now.secret_key,
            "token": now.token,
            "expires_at": datetime.now(UTC) + CREDENTIALS_LIVE,
        }


def _region_of(bucket: str, access: S3Access) -> str:
    """Where a bucket of AWS lies, which AWS tells even those it denies access; a guess where it cannot be asked."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    try:
        answer = access.client.head_bucket(Bucket=bucket)
    except ClientError as error:
        answer = error.response
    except BotoCoreError:
        return access.region
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return str(headers.get("x-amz-bucket-region") or access.region)


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
    except (InvalidPathError, UnknownConfigurationKeyError, ValueError) as error:
        msg = f"{where}: {first_line(error)}"
        raise ConfigurationError(msg) from error
    except (PermissionDeniedError, UnauthenticatedError) as error:
        why = first_line(error)
        if in_object_store(where):
            access = s3_access(StoreOptions().timeout_s, StoreOptions().retries)
            why = why if access.credentials is not None else no_credentials(access)
        raise StorageFault(f"{where}: access denied ({why})") from error
    except (BaseError, OSError) as error:
        msg = f"{where}: {first_line(error)}"
        raise StorageFault(msg) from error
