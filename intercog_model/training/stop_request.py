"""Being asked to stop: SIGTERM and SIGUSR1 let a run finish its step and save, instead of ending it."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)
"""What schedulers send before they kill: Kubernetes and torchrun the first, Slurm either."""


class StopRequest:
    """While entered, the signals set `asked`, which the loop reads once a step; they end a process at no other time.

    Only a main thread can be told of signals; in others (a worker of Ray Train) nothing ever asks.
    """

    def __init__(self) -> None:
        self.asked = ""  # name of the signal
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._ask) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, _frame: FrameType | None) -> None:
        self.asked = signal.Signals(number).name
