"""Whether the surroundings of a process let a build run at all, looked at before any work."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from tasks.records.errors import ConfigurationError, EnvironmentFault
from tasks.records.process_environment import check_proxies

MIN_TEMPORARY_BYTES = 100_000_000
"""Free space for temporary files: pictures of samples that run apart, logs, and Ray's session."""


def check_environment() -> None:
    """Checks proxies and the folder for temporary files.

    Raises:
        ConfigurationError: a variable names a proxy or folder that cannot be used.
        EnvironmentFault: the disk with temporary files is full.
    """
    check_proxies()
    _check_temporary_folder()


def os_words(error: OSError) -> str:
    """What the operating system refused, to whom, and what helps; for errors that nothing nearer has words for."""
    names = [str(name) for name in (error.filename, error.filename2) if name is not None]
    said = f"{error.strerror or error}" + (f": {' -> '.join(names)}" if names else "")
    return f"the operating system refused: {said}"


def _check_temporary_folder() -> None:
    given = next(
        (f"{name}={os.environ[name]!r}" for name in ("TMPDIR", "TEMP", "TMP") if name in os.environ), ""
    )
    try:
        folder = Path(tempfile.gettempdir())
        # The folder is chosen once in a process; it may have been lost since.
        with tempfile.TemporaryFile(dir=folder):
            free = shutil.disk_usage(folder).free
    except OSError as error:
        msg = (
            f"{given or 'TMPDIR is not set'}: no folder for temporary files can be written "
            f"({error.strerror or error}); set TMPDIR to one that can"
        )
        raise ConfigurationError(msg) from error
    if free < MIN_TEMPORARY_BYTES:
        msg = (
            f"{folder}: {free:,} bytes free, expected at least {MIN_TEMPORARY_BYTES:,} for temporary files; free some, "
            "or set TMPDIR to a folder on another disk"
        )
        raise EnvironmentFault(msg)
