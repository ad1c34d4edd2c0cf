"""Where results go: standard output, one text at a time."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tasks.records.errors import EnvironmentFault


class ReaderGone(Exception):
    """Who read our standard output has seen enough: no fault, but the end of the command."""


def tell(text: str) -> None:
    """Prints a result; progress and errors go to standard error instead.

    Raises:
        ReaderGone: nobody reads standard output any more.
        EnvironmentFault: it takes no more.
    """
    with _named():
        sys.stdout.write(f"{text}\n")


def send() -> None:
    """Hands on what was printed; raises as `tell` does."""
    with _named():
        sys.stdout.flush()


def open_missing_streams() -> None:
    """Gives a process that was started without a standard stream (``>&-``) an empty one.

    The order is that of their numbers: no file that is opened later, here or in a child, may take one of them and get
    what was meant to be printed.
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
        # What was not handed on goes nowhere; else Python would try again, and complain, when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            raise ReaderGone from error
        msg = f"standard output: {error.strerror or error}"
        raise EnvironmentFault(msg) from error
