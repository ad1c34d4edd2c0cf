"""Fetches the weights that a profile names, each once, and writes the lock files that state their digests."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tasks.backends.known_models import KnownModel, known_model
from tasks.backends.model_download import download
from tasks.backends.model_files import files_of, is_folder, stated_digest
from tasks.backends.weights import check_weights, lock_path, read_lock, weight_files, write_lock
from tasks.records.errors import ConfigurationError, ModelUnavailable
from tasks.stages.config import BuildConfig
from tasks.stages.registry import SPECS

COMMIT = re.compile(r"[0-9a-f]{40}")
"""A revision of the hub that cannot move."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A file or folder that a profile names.

    Attributes:
        key: of the setting that names it, for messages.
        revision, digest: as the options state them, or ``""``.
        locked: weights have a lock file, lists of words have none.
    """

    key: str
    path: Path
    revision: str = ""
    digest: str = ""
    locked: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A file or folder that is there now; ``digest`` is empty for a file without a lock."""

    path: Path
    revision: str
    digest: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetching:
    """All of it; ``left`` says in words what could not be fetched and what to do instead."""

    done: tuple[Fetched, ...]
    left: tuple[str, ...]


def fetch_models(config: BuildConfig, note: Callable[[str], None]) -> Fetching:
    """Fetches what is missing and writes missing lock files; a lock file that is there pins the revision.

    Args:
        config: whose roles are looked at.
        note: gets a line before each download.

    Raises:
        ConfigurationError: a role is wrong, or a lock file states another revision than the options.
        ModelUnavailable: a download failed, or what came is not what is stated.
    """
    done: list[Fetched] = []
    left: list[str] = []
    open_ones = [one for one in wanted_files(config) if not _complete(one)]
    known = [(one, model) for one in open_ones if (model := known_model(str(one.path))) is not None]
    _check_room({one.path: model for one, model in known if not one.path.exists()})
    for one in open_ones:
        if known_model(str(one.path)) is None:
            then = f" and run groundedit models lock {one.path}" if one.locked else ""
            left.append(f"{one.path} ({one.key}): not among the known models; copy it there{then}")
    for one, model in known:
        note(f"{one.path}: from {model.source}" + (f", about {model.gb:g} GB" if model.gb else ""))
        done.append(_fetch(one, model))
    return Fetching(done=tuple(done), left=tuple(left))


def wanted_files(config: BuildConfig) -> tuple[Wanted, ...]:
    """Files and folders that the roles of a configuration name, each once.

    Raises:
        ConfigurationError: a backend or option that does not exist.
    """
    found: dict[Path, Wanted] = {}
    for spec in SPECS.values():
        for setting, choice in spec.choices(config).items():
            stated, key = stated_digest(choice.options), f"{spec.name}.{setting}"
            if stated is None:
                continue
            weights, *others = files_of(choice.options)
            one = Wanted(
                key=key,
                path=weights.path,
                revision=stated.option_revision,
                digest=stated.option_digest,
            )
            found.setdefault(one.path, one)
            for other in others:
                found.setdefault(other.path, Wanted(key=key, path=other.path, locked=False))
    for own in _served_folders(config):
        found.setdefault(own.path, own)
    return tuple(found.values())


def _served_folders(config: BuildConfig) -> Iterator[Wanted]:
    """Folders from which the build's own servers load their models; others come out of the hub's cache."""
    used = {role.run for spec in SPECS.values() for role in spec.role_settings(config).values()}
    for name, server in config.servers.items():
        if name in used and server.serve is not None and is_folder(server.serve.path, server.model.id):
            revision = "" if server.model.revision == "unstated" else server.model.revision
            yield Wanted(key=f"servers.{name}.serve", path=Path(server.serve.path), revision=revision)


def _complete(one: Wanted) -> bool:
    """Nothing is to be done: the files are there, and stated."""
    return one.path.exists() and (not one.locked or bool(one.digest) or read_lock(one.path) is not None)


def _fetch(one: Wanted, model: KnownModel) -> Fetched:
    lock = read_lock(one.path) if one.locked else None
    if lock is not None and one.revision not in ("", lock.revision):
        msg = (
            f"{one.key}: revision {one.revision!r}: {lock_path(one.path)} states {lock.revision!r}; "
            "remove the lock file to change to another revision"
        )
        raise ConfigurationError(msg)
    pinned = lock.revision if lock is not None and COMMIT.fullmatch(lock.revision) else one.revision
    revision = download(model, one.path, pinned)
    if not one.locked:
        return Fetched(path=one.path, revision=revision, digest="", source=model.source)
    if lock is not None:
        folder = one.path.parent if one.path.is_file() else one.path
        check_weights(folder, weight_files(one.path), lock.digest)
    else:
        lock = write_lock(one.path, revision)
    if one.digest not in ("", lock.digest):
        msg = f"{one.path}: the weights have digest {lock.digest}, {one.key} states {one.digest}"
        raise ModelUnavailable(msg)
    return Fetched(path=one.path, revision=lock.revision, digest=lock.digest, source=model.source)


def _check_room(missing: Mapping[Path, KnownModel]) -> None:
    """Refuses downloads that the disk cannot hold, before the first byte.

    Raises:
        ModelUnavailable: with the sizes.
    """
    by_device: dict[int, list[tuple[Path, float]]] = {}
    for path, model in missing.items():
        folder = next(parent for parent in path.absolute().parents if parent.exists())
        by_device.setdefault(folder.stat().st_dev, []).append((folder, model.gb))
    for wanted in by_device.values():
        folder, total = wanted[0][0], sum(gb for _, gb in wanted)
        free = shutil.disk_usage(folder).free / 1e9
        if total > free:
            msg = f"{folder}: about {total:.0f} GB are to be fetched, {free:.0f} GB are free"
            raise ModelUnavailable(msg)
