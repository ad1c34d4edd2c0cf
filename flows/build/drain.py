"""Graceful stop: after the first SIGTERM running units finish, the second one stops immediately."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from tasks.records.errors import StageStopped

NOTICE = b"stopping: running units are finished first; a second SIGTERM or Ctrl-C stops at once\n"


class Drained(StageStopped):
    """A build was asked to stop, and all units it had started are committed."""


class Drain:
    """Whether the build has been asked to stop."""

    def __init__(self) -> None:
        self._requested = threading.Event()

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
        """
        if self.requested:
            msg = f"{stage}: stopped on request; running units were finished, and the same command resumes the build"
            raise Drained(msg)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Drains on SIGTERM while the context is open; outside the main thread signal handlers are unchanged."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGTERM, self._on_signal)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        if self.requested:
            raise KeyboardInterrupt
        self.request()
        os.write(2, NOTICE)  # not print(): the signal may interrupt a write to the same stream
