"""What runs in a Ray worker process: any stage, one at a time, its models loaded once."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import ray

from flows.build.fan_out import UnitSummary, UnitWorker
from flows.build.unit_queue import QueuedUnit
from tasks.records.errors import EnvironmentFault

AHEAD = "ahead"
"""Calls of this group are answered while a unit is at work."""


class UnitActor:
    """Holds one stage's worker. Calls come one by one, but for `expect`."""

    def __init__(self, threads: int) -> None:
        import cv2  # noqa: PLC0415  (in the worker alone)

        cv2.setNumThreads(threads)
        self._worker: UnitWorker | None = None

    def prepare(self, make_worker: Callable[[], UnitWorker]) -> None:
        """Drops the worker of the stage before and makes this stage's."""
        self._worker = None
        self._worker = make_worker()

    def run(self, unit: QueuedUnit, cut_off: bool) -> tuple[UnitSummary, float]:
        """One unit: its summary, and the seconds it took here."""
        if self._worker is None:
            msg = "the worker has no stage"
            raise EnvironmentFault(msg)
        begun = time.monotonic()
        summary = self._worker.run(unit, cut_off=cut_off)
        return summary, time.monotonic() - begun

    @ray.method(concurrency_group=AHEAD)
    def expect(self, unit: QueuedUnit) -> None:
        """A unit waits behind the one at work: its pictures may be read meanwhile."""
        worker = self._worker
        if worker is not None:
            worker.expect(unit)


def start_actor(threads: int) -> Any:
    """A new actor, starting; Ray's own retries are off."""
    as_actor: Any = ray.remote
    remote_class = as_actor(concurrency_groups={AHEAD: 1})(UnitActor)
    return remote_class.options(num_cpus=threads, max_restarts=0, max_task_retries=0).remote(threads)
