"""Where checkpoints lie, in a local folder or an object store: names, the index of each, and what makes one whole.

A checkpoint is a folder ``step-0000500.20261128T073218-3f9a``; the part behind the dot tells attempts at the same step
apart, so that no file is ever written twice. In it:

* ``00000.bin`` …: pieces of tensors, one file for each process that wrote;
* ``index.json``: all that is no tensor, and type, shape and pieces of each tensor with their digests;
* ``complete.json``: the size of each file and the digest of the index. It is written last and removed first.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
from obstore.store import LocalStore, from_url

from intercog_model.errors import ConfigurationError

if TYPE_CHECKING:
    from obstore.store import ClientConfig

BLOCK = 64 * 2**20
"""Bytes of one request; S3 takes 10,000 of them for a file."""
REQUEST_LIMIT = timedelta(minutes=10)
INDEX, COMPLETE = "index.json", "complete.json"
NAME = re.compile(r"step-(\d{7,})\.[0-9A-Za-z-]+")


class DamagedCheckpointError(ValueError):
    """A checkpoint is not as it was written; the message names file and fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A box of a tensor, and where its bytes lie."""

    offsets: tuple[int, ...]
    shape: tuple[int, ...]
    file: str
    start: int
    size: int  # bytes
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTensor:
    """A tensor of a checkpoint; its pieces cover it."""

    dtype: str  # as in ``torch.float32``
    shape: tuple[int, ...]
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """What a checkpoint holds."""

    state: dict[str, Any]
    tensors: Mapping[str, StoredTensor]


class CheckpointFolder:
    """Checkpoints of a run below a folder or a URI such as ``s3://bucket/run``.

    What the store refuses is an OSError of one line.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri
        remote = "://" in uri
        # its listings know nothing of files that were being written when a process was killed
        self.local = None if remote else Path(uri)
        self._opened: Any = None

    @property
    def store(self) -> Any:
        """The store of obstore, opened on first use: connections must not be carried into a forked process."""
        if self._opened is None:
            with self._faults():
                if self.local is None:
                    # options given here replace what the environment says of the client
                    plain = os.environ.get("AWS_ALLOW_HTTP", "").lower() in ("1", "true")
                    options: ClientConfig = {"timeout": REQUEST_LIMIT, "allow_http": plain}
                    self._opened = from_url(self.uri, client_options=options)
                else:
                    self._opened = LocalStore(self.local.absolute(), mkdir=True)
        return self._opened

    def names(self) -> list[str]:
        """Checkpoints that were written to the end, oldest first."""
        return [name for name in self.attempts() if self._find(f"{name}/{COMPLETE}") is not None]

    def attempts(self) -> list[str]:
        """All that were begun, oldest first."""
        if self.local is not None and not self.local.is_dir():
            return []
        with self._faults():
            found = obstore.list_with_delimiter(self.store)["common_prefixes"]
        return sorted((n for n in found if NAME.fullmatch(n)), key=lambda name: (step_of(name), name))

    def new_name(self, step: int) -> str:
        """A name that no other attempt has."""
        now = datetime.now(UTC)
        return f"step-{step:07d}.{now:%Y%m%dT%H%M%S}{now.microsecond:06d}-{os.urandom(2).hex()}"

    def finish(self, name: str, index: Index, sizes: Mapping[str, int]) -> None:
        """Write the index, then what makes the checkpoint whole; `sizes` are bytes by file."""
        text = json.dumps(asdict(index)).encode()
        self._create(f"{name}/{INDEX}", text)
        sizes = {**sizes, INDEX: len(text)}
        self._create(f"{name}/{COMPLETE}", _complete(sizes, hashlib.sha256(text).hexdigest()))

    def read(self, name: str) -> Index:
        """The index of a checkpoint whose files are all there in their sizes, and no others.

        Raises:
            DamagedCheckpointError: it is not whole.
        """
        sizes, digest = self._read_complete(name)
        with self._faults():
            parts = obstore.list(self.store, prefix=name).collect()
        found = {entry["path"].removeprefix(f"{name}/"): entry["size"] for entry in parts}
        found.pop(COMPLETE, None)
        for file in sorted(sizes.keys() | found.keys()):
            if file not in found:
                raise DamagedCheckpointError(f"{file} is missing")
            if file not in sizes:
                raise DamagedCheckpointError(f"{file} is no file of it")
            if found[file] != sizes[file]:
                raise DamagedCheckpointError(f"{file} has {found[file]} bytes, {sizes[file]} were written")
        text = self._find(f"{name}/{INDEX}")
        if text is None or hashlib.sha256(text).hexdigest() != digest:
            raise DamagedCheckpointError(f"{INDEX} fails its digest")
        tree = json.loads(text)
        return Index(state=tree["state"], tensors={n: _tensor(value) for n, value in tree["tensors"].items()})

    def read_block(self, path: str, start: int, size: int) -> Any:
        """Bytes of a file as a buffer; DamagedCheckpointError if it has gone."""
        with self._faults():
            try:
                return obstore.get_range(self.store, path, start=start, length=size)
            except FileNotFoundError as error:
                raise DamagedCheckpointError(f"{path.rpartition('/')[2]} is missing") from error

    @contextmanager
    def writer(self, path: str) -> Iterator[Any]:
        """A file to be written from its start to its end; it appears when all of it is there."""
        with (
            self._faults(),
            obstore.open_writer(self.store, path, buffer_size=BLOCK, max_concurrency=4) as file,
        ):
            yield file

    def remove(self, name: str) -> None:
        """Remove a checkpoint; killed in between, it leaves one that is not whole."""
        with self._faults():
            if self.local is not None:
                (self.local / name / COMPLETE).unlink(missing_ok=True)
                shutil.rmtree(self.local / name)
                return
            # S3 reports no object that is gone already
            obstore.delete(self.store, f"{name}/{COMPLETE}")
            for part in obstore.list(self.store, prefix=name):
                obstore.delete(self.store, [entry["path"] for entry in part])

    def _find(self, path: str) -> bytes | None:
        with self._faults():
            try:
                return bytes(obstore.get(self.store, path).bytes())
            except FileNotFoundError:
                return None

    def _create(self, path: str, data: bytes) -> None:
        with self._faults():
            try:
                obstore.put(self.store, path, data, mode="create", use_multipart=False)
            except (AlreadyExistsError, PreconditionError):
                # a request that succeeded while its reply was lost is repeated by the client, and then refused
                if self._find(path) != data:
                    raise

    def _read_complete(self, name: str) -> tuple[dict[str, int], str]:
        data = self._find(f"{name}/{COMPLETE}")
        if data is None:
            raise DamagedCheckpointError(f"{COMPLETE} is missing")
        try:
            tree = json.loads(data)
            sizes, digest = tree["files"], tree["index_sha256"]
            whole = _complete(sizes, digest) == data
        except (ValueError, TypeError, LookupError, AttributeError):
            whole = False
        if not whole:
            raise DamagedCheckpointError(f"{COMPLETE} is not as it was written")
        return sizes, digest

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except BaseError as error:
            raise OSError(f"{self.uri}: {str(error).strip().partition(chr(10))[0]}") from error


def require_location(uri: str, key: str) -> None:
    """Raise ConfigurationError, naming `key`, for an address that no store can be opened at."""
    if "://" not in uri:
        return
    try:
        from_url(uri)
    except (BaseError, ValueError) as error:
        first = str(error).strip().partition("\n")[0]
        raise ConfigurationError(
            f"{key}: {uri!r}, should be a folder or s3://bucket/path: {first}"
        ) from error


def step_of(name: str) -> int:
    """The step after which a checkpoint was taken."""
    found = NAME.fullmatch(name)
    assert found is not None, name
    return int(found[1])


def _complete(sizes: Mapping[str, int], digest: str) -> bytes:
    """The text of `complete.json`, which is compared byte for byte with what is found, its own digest at the end."""
    tree: dict[str, Any] = {"files": dict(sorted(sizes.items())), "index_sha256": digest}
    tree["sha256"] = hashlib.sha256(json.dumps(tree).encode()).hexdigest()
    return json.dumps(tree, indent=1).encode()


def _tensor(tree: dict[str, Any]) -> StoredTensor:
    pieces: Sequence[dict[str, Any]] = tree["pieces"]
    return StoredTensor(
        dtype=tree["dtype"],
        shape=tuple(tree["shape"]),
        pieces=tuple(
            Piece(**{**piece, "offsets": tuple(piece["offsets"]), "shape": tuple(piece["shape"])})
            for piece in pieces
        ),
    )
