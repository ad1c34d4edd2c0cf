"""The pool without Ray: units one after the other in this very process, for CI and debugging.

A sample that kills the process kills the driver too; the store's attempts then tell the next driver which sample
it was. Nothing here can cut off a unit that takes too long.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from flows.build.fan_out import StageJob, UnitDone, UnitWorker
from flows.build.unit_queue import UnitQueue
from tasks.records.errors import EnvironmentFault, OutOfMemory


class InProcessPool:
    """One worker: this process. Keeps one stage's models at a time."""

    workers = 1

    def __init__(self) -> None:
        self._key = ""
        self._worker: UnitWorker | None = None

    def ready(self) -> None:
        """See `flows.build.fan_out.Pool`."""

    def drive(
        self, job: StageJob, queue: UnitQueue, until: frozenset[str], on_done: Callable[[UnitDone], None]
    ) -> None:
        """See `flows.build.fan_out.Pool`."""
        while queue.open & until:
            dispatch = queue.take()
            if dispatch is None:
                break
            begun = time.monotonic()
            try:
                summary = self._ready(job).run(dispatch.unit, cut_off=dispatch.alone)
            except EnvironmentFault as fault:
                queue.fault(dispatch.unit.id, str(fault))
            except MemoryError:
                queue.fault(dispatch.unit.id, str(OutOfMemory("not enough memory for a unit")))
            else:
                seconds = time.monotonic() - begun
                on_done(UnitDone(unit_id=dispatch.unit.id, summary=summary, seconds=seconds))
                queue.finished(
                    dispatch.unit.id, seconds=seconds, inputs=summary.inputs, failures=dict(summary.failures)
                )

    def _ready(self, job: StageJob) -> UnitWorker:
        if self._worker is None or self._key != job.key:
            self._worker = None
            self._worker = job.make_worker()
            self._key = job.key
        return self._worker
