"""Writes results to standard output, one text at a time."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tasks.records.errors import EnvironmentFault


class ReaderGone(Exception):
    """stdout was closed by its reader (e.g. ``| head``); the command exits quietly."""


def tell(text: str) -> None:
    """Prints a result; progress and errors go to standard error instead.

    Raises:
        ReaderGone: the reader of standard output has closed it.
        EnvironmentFault: standard output cannot be written, e.g. a full disk.
    """
    with _named():
        sys.stdout.write(f"{text}\n")


def send() -> None:
    """Flushes what was printed; raises as `tell` does."""
    with _named():
        sys.stdout.flush()


def open_missing_streams() -> None:
    """Opens the null device for each standard stream the process was started without (``>&-``).

    They are opened in the order of their numbers, so that no file opened later, here or in a child, gets the number of
    a standard stream and receives what was meant to be printed.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            stream = Path(os.devnull).open(mode, encoding="utf-8")  # noqa: SIM115  (open as long as the process)
            os.set_inheritable(stream.fileno(), True)
            setattr(sys, name, stream)


@contextmanager
def _named() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        # Drop what could not be written; else Python would retry, and complain, when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            raise ReaderGone from error
        msg = f"standard output: {error.strerror or error}"
        raise EnvironmentFault(msg) from error
