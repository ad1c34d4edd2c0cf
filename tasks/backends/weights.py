"""Digests of weights that are too large to hash again and again: stated once, checked once per machine.

A file or folder of weights is named by the digest over its files. Who configures it states that digest, as an option or
in a lock file beside it, so that everybody can name the model without reading it. A process that loads the weights
checks the files against the stated digest; what it finds is remembered in the cache folder by path, size, time of
change and inode, since model folders are often read-only and shared.

    weights/BAGEL-7B-MoT/              the folder
    weights/BAGEL-7B-MoT.lock.json     {"revision": "…", "files": {"ema.safetensors": "<sha256>", …}}
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from filelock import FileLock
from pydantic import Field, ValidationError

from tasks.backends.assets import default_cache_folder, joint_digest
from tasks.records.errors import ConfigurationError, ModelUnavailable
from tasks.records.settings_base import Settings


class WeightsLock(Settings):
    """What a lock file states: revision of the weights, and SHA-256 (hex) of each file by name."""

    revision: str
    files: dict[str, Annotated[str, Field(pattern="^[0-9a-f]{64}$")]] = Field(min_length=1)

    @property
    def digest(self) -> str:
        """SHA-256 (hex) over all files."""
        return joint_digest(self.files)


WEIGHT_SUFFIXES = (".safetensors", ".json", ".txt", ".model", ".jinja", ".pt", ".pth")
"""Files of a model folder that can change an answer: tensors, configuration, tokenizer."""


LOCK_SUFFIX = ".lock.json"
"""End of the name of a lock file."""


def weight_files(path: Path) -> tuple[str, ...]:
    """Names of the files whose digest names the weights at ``path``: the file itself, or those of the folder, sorted.

    Raises:
        ModelUnavailable: nothing is there.
    """
    if path.is_file():
        return (path.name,)
    try:
        names = sorted(f.name for f in path.iterdir() if f.suffix in WEIGHT_SUFFIXES and f.is_file())
    except OSError as error:
        raise ModelUnavailable(f"{path}: {error.strerror or error}") from error
    if not names:
        raise ModelUnavailable(
            f"{path}: no weights (expected files that end in {', '.join(WEIGHT_SUFFIXES)})"
        )
    return tuple(names)


def lock_path(path: Path) -> Path:
    """Where the lock file of a model's file or folder lies: beside it, under its name."""
    return path.with_name(f"{path.name}{LOCK_SUFFIX}")


def read_lock(path: Path) -> WeightsLock | None:
    """The lock file of a file or folder of weights, or None when there is none.

    Raises:
        ConfigurationError: it cannot be read, holds something else, or names other files than the one it lies beside.
    """
    beside = lock_path(path)
    try:
        lock = WeightsLock.model_validate_json(beside.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigurationError(f"{beside}: {error.strerror or error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "content"
        raise ConfigurationError(f"{beside}: not a lock file of weights: {where}: {first['msg']}") from error
    if path.is_file() and path.name not in lock.files:
        raise ConfigurationError(f"{beside}: states files {', '.join(lock.files)}, not {path.name}")
    return lock


def write_lock(path: Path, revision: str) -> WeightsLock:
    """Hash the files of a model (`weight_files`) and write the lock file beside it.

    Raises:
        ModelUnavailable: a file is missing or cannot be read.
    """
    folder = path.parent if path.is_file() else path
    files = {name: file_digest(folder / name) for name in weight_files(path)}
    lock = WeightsLock(revision=revision, files=files)
    lock_path(path).write_text(lock.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return lock


def check_weights(folder: Path, names: Sequence[str], stated: str) -> None:
    """Compare the files of a folder with the digest stated for them.

    Raises:
        ModelUnavailable: a file is missing, or the digest is another.
    """
    found = joint_digest({name: file_digest(folder / name) for name in names})
    if found != stated:
        raise ModelUnavailable(f"{folder}: the weights have digest {found}, stated is {stated}")


def file_digest(path: Path) -> str:
    """SHA-256 (hex) of a file; computed once per machine as long as size, time of change and inode stay.

    Raises:
        ModelUnavailable: the file is missing or cannot be read.
    """
    try:
        path = path.resolve(strict=True)
        found = path.stat()
        known = [found.st_size, found.st_mtime_ns, found.st_ino]
        note = (
            default_cache_folder() / "digests" / f"{hashlib.sha256(str(path).encode()).hexdigest()[:24]}.json"
        )
        note.parent.mkdir(parents=True, exist_ok=True)
        # Of several processes that load the same weights, one reads them and the others wait for its note.
        with FileLock(f"{note}.lock"):
            remembered = _read_note(note, known)
            if remembered is not None:
                return remembered
            with path.open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            _write_note(note, known, sha256)
            return sha256
    except OSError as error:
        raise ModelUnavailable(f"{path}: {error.strerror or error}") from error


def _read_note(note: Path, known: list[int]) -> str | None:
    """The remembered digest, or None when there is none or it is about another state of the file."""
    try:
        data = json.loads(note.read_text(encoding="utf-8"))
        return str(data["sha256"]) if data["file"] == known else None
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def _write_note(note: Path, known: list[int], sha256: str) -> None:
    aside = note.with_suffix(".new")
    aside.write_text(json.dumps({"file": known, "sha256": sha256}), encoding="utf-8")
    aside.replace(note)
