"""Stopping in good order: the first SIGTERM lets units at work end, the second one stops at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from tasks.records.errors import StageStopped

TOLD = b"stopping: units at work are finished first; a second SIGTERM or Ctrl-C stops at once\n"


class Drained(StageStopped):
    """A build was asked to stop, and everything it had begun is committed."""


class Drain:
    """Whether a build was asked to stop."""

    def __init__(self) -> None:
        self._requested = threading.Event()

    @property
    def requested(self) -> bool:
        """Whether no further unit may be handed out."""
        return self._requested.is_set()

    def request(self) -> None:
        """No further unit is handed out from now on."""
        self._requested.set()

    def check(self, stage: str) -> None:
        """To be called where a stage or partition cannot go on without further units.

        Raises:
            Drained: the build was asked to stop.
        """
        if self.requested:
            msg = f"{stage}: stopped as asked; units at work were finished, and the same command goes on from here"
            raise Drained(msg)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """SIGTERM drains as long as this is open; outside the main thread signals are left as they are."""
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
        os.write(2, TOLD)  # a stream may be in the middle of a write of its own
