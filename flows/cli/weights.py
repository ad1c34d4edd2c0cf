"""``groundedit models lock`` and ``groundedit models fetch``: weights and the lock files that name them."""

from __future__ import annotations

import argparse

from flows.build.fetch_models import fetch_models
from flows.build.progress import Progress
from flows.build.request import BuildRequest, resolve
from flows.cli.tables import text_table
from flows.cli.terminal import tell
from tasks.backends.weights import lock_path, write_lock
from tasks.records.errors import ConfigurationError
from tasks.records.user_path import user_path


def lock(arguments: argparse.Namespace) -> int:
    """Hashes a file or folder of weights and writes the lock file beside it.

    Raises:
        ConfigurationError: nothing is there.
        ModelUnavailable: a file cannot be read, or the lock file cannot be written.
    """
    path = user_path(arguments.path)
    if not path.exists():
        msg = f"PATH={arguments.path!r}: no such file or folder"
        raise ConfigurationError(msg)
    written = write_lock(path, arguments.revision)
    rows = [("file", "sha256"), *written.files.items()]
    tell(text_table(rows))
    tell(f"\n{'digest':<10}{written.digest}")
    tell(f"{'revision':<10}{written.revision}")
    tell(f"{'lock':<10}{lock_path(path)}")
    return 0


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
