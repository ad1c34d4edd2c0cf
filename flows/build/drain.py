"""Being stopped: SIGTERM lets running units finish, a second one or Ctrl-C ends the build at once.

Python raises `KeyboardInterrupt` wherever the main thread happens to be. Where that is a finalizer, or a callback from
C, the interpreter prints the exception and goes on. So an interrupt is also remembered here, and the loops that hand
out units ask for it.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from tasks.records.errors import StageStopped

NOTICE = b"stopping: running units are finished first; a second SIGTERM or Ctrl-C stops at once\n"


class Drained(StageStopped):
    """A build was asked to stop, and all units it had started are committed."""


class Drain:
    """Whether the build has been asked to stop."""

    def __init__(self) -> None:
        self._requested = threading.Event()
        self._interrupted = False

    @property
    def requested(self) -> bool:
        """Whether no further unit may be handed out."""
        return self._requested.is_set()

    def request(self) -> None:
        """Hands out no further units from now on."""
        self._requested.set()

    def check(self, stage: str) -> None:
        """Call this where a stage or partition cannot continue without further units.

        Raises:
            Drained: the build has been asked to stop.
            KeyboardInterrupt: see `check_interrupt`.
        """
        self.check_interrupt()
        if self.requested:
            msg = f"{stage}: stopped on request; running units were finished, and the same command resumes the build"
            raise Drained(msg)

    def check_interrupt(self) -> None:
        """Call this in loops that run for long.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed, and the exception that told of it may have been lost.
        """
        if self._interrupted:
            raise KeyboardInterrupt

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Drains on SIGTERM and remembers Ctrl-C while the context is open; in the main thread only.

        A process that ignores SIGINT, as shells start those in the background, goes on ignoring it.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {signal.SIGTERM: signal.signal(signal.SIGTERM, self._on_sigterm)}
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            before[signal.SIGINT] = signal.signal(signal.SIGINT, self._on_sigint)
        hook = sys.unraisablehook

        def tell_the_rest(unraisable: sys.UnraisableHookArgs) -> None:
            if not (self._interrupted and issubclass(unraisable.exc_type, KeyboardInterrupt)):
                hook(unraisable)

        sys.unraisablehook = tell_the_rest
        try:
            yield
        finally:
            sys.unraisablehook = hook
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_sigterm(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            self._on_sigint(number, frame)
        self.request()
        os.write(2, NOTICE)  # not print(): the signal may interrupt a write to the same stream

    def _on_sigint(self, _number: int, _frame: FrameType | None) -> NoReturn:
        self._interrupted = True
        raise KeyboardInterrupt
