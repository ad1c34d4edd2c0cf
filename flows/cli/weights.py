"""``groundedit models lock`` and ``groundedit models fetch``: weights and the lock files that name them."""

from __future__ import annotations

import argparse
from pathlib import Path

from flows.build.fetch_models import fetch_models
from flows.build.progress import Progress
from flows.build.request import BuildRequest, resolve
from flows.cli.tables import text_table
from flows.cli.terminal import tell
from tasks.backends.weights import LOCK_SUFFIX, WEIGHT_SUFFIXES, lock_path, read_lock, write_lock
from tasks.records.errors import ConfigurationError
from tasks.records.user_path import user_path


def lock(arguments: argparse.Namespace) -> int:
    """Hashes a file or folder of weights and writes the lock file beside it.

    Raises:
        ConfigurationError: nothing is there, or what is there is no file or folder of weights.
        ModelUnavailable: a file cannot be read, or the lock file cannot be written.
    """
    path = user_path(arguments.path)
    problem = _not_weights(path)
    if problem:
        raise ConfigurationError(f"PATH={arguments.path!r}: {problem}")
    before = read_lock(path)
    revision = arguments.revision or (before.revision if before is not None else "unstated")
    written = write_lock(path, revision)
    rows = [("file", "sha256"), *written.files.items()]
    tell(text_table(rows))
    tell(f"\n{'digest':<10}{written.digest}")
    tell(f"{'revision':<10}{written.revision}")
    tell(f"{'lock':<10}{lock_path(path)}")
    return 0


def _not_weights(path: Path) -> str:
    """Why no lock file can be written for ``path``, or ``""``."""
    if not path.exists():
        return "no such file or folder"
    if path.name.endswith(LOCK_SUFFIX):
        return "this is a lock file; name the weights beside it"
    if path.is_file():
        return "" if path.stat().st_size else "the file is empty"
    if not path.is_dir():
        return "neither a file nor a folder"
    if not any(f.suffix in WEIGHT_SUFFIXES and f.is_file() for f in path.iterdir()):
        return f"no weights (expected files that end in {', '.join(WEIGHT_SUFFIXES)})"
    return ""


def fetch(arguments: argparse.Namespace) -> int:
    """Downloads the weights of a profile and writes their lock files.

    Raises:
        ConfigurationError: a role is wrong, or a lock file states another revision than the profile.
        ModelUnavailable: something cannot be downloaded.
    """
    config, _ = resolve(BuildRequest(profile=arguments.profile, assignments=tuple(arguments.assignments)))
    progress = Progress()
    fetched = fetch_models(config, progress.note)
    if fetched.done:
        rows = [("weights", "revision", "digest", "from")]
        rows += [(str(f.path), f.revision, f.digest[:8] or "-", f.source) for f in fetched.done]
        tell(text_table(rows))
    for line in fetched.left:
        tell(f"not fetched: {line}")
    return 1 if fetched.left else 0
