"""The pool without Ray: one worker in the driver's process, for CI, debugging and small machines.

A sample that kills the process kills the driver too; the attempts in the store tell the next driver which unit it was.
Steps that take too long cannot be cut off here.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

from flows.build.check_environment import os_words
from flows.build.fan_out import StageJob, UnitDone, UnitWorker
from flows.build.role_services import RoleServices
from flows.build.unit_queue import Dispatch, UnitQueue
from tasks.records.errors import AnswerMissing, EnvironmentFault, OutOfMemory
from tasks.worker.engine import Engine, EngineSettings
from tasks.worker.run_unit import UnitSummary


class InProcessPool:
    """One worker in this process. Keeps the models of one stage at a time; pools and servers live as long as the pool.

    Args:
        engine: how much runs at once.
        units_in_flight: units running at once.
        services: makes the router of the build's pools and servers in this process.
    """

    workers = 1
    dashboard_url = ""

    def __init__(
        self,
        engine: EngineSettings | None = None,
        *,
        units_in_flight: int = 1,
        services: RoleServices | None = None,
    ) -> None:
        self._engine = Engine(engine)
        self._units = ThreadPoolExecutor(units_in_flight, thread_name_prefix="unit")
        self._units_in_flight = units_in_flight
        self._services = services or RoleServices()
        self._loading = threading.Lock()
        self._key = ""
        self._worker: UnitWorker | None = None
        self._at_work: dict[Future[tuple[UnitSummary, float]], Dispatch] = {}

    def ready(self) -> None:
        """See `flows.build.fan_out.Pool`."""

    def status(self) -> Mapping[str, Any]:
        """See `flows.build.fan_out.Pool`."""
        return self._services.status()

    def close(self) -> None:
        """Stops the engine, the pools and the servers."""
        self._units.shutdown(wait=True, cancel_futures=True)
        self._services.close(self._engine)
        self._engine.close()

    def drive(
        self, job: StageJob, queue: UnitQueue, until: frozenset[str], on_done: Callable[[UnitDone], None]
    ) -> None:
        """See `flows.build.fan_out.Pool`."""
        at_work = self._at_work
        at_once = self._units_in_flight if job.waits else 1
        try:
            while queue.open & until:
                queue.check_interrupt()
                while len(at_work) < at_once and (dispatch := queue.take()) is not None:
                    at_work[self._units.submit(self._run, job, dispatch)] = dispatch
                if not at_work:
                    break
                done, _ = wait(at_work, return_when=FIRST_COMPLETED)
                for future in done:
                    self._collect(future, at_work.pop(future), queue, on_done)
        except BaseException as error:
            if not isinstance(error, Exception):  # Ctrl-C waits only for running steps, not for units
                self._services.close(self._engine)
                self._engine.close()
            # After the driver has stopped nothing may commit.
            wait(at_work)
            at_work.clear()
            raise

    def _collect(
        self,
        future: Future[tuple[UnitSummary, float]],
        dispatch: Dispatch,
        queue: UnitQueue,
        on_done: Callable[[UnitDone], None],
    ) -> None:
        unit_id = dispatch.unit.id
        try:
            summary, seconds = future.result()
        except AnswerMissing as fault:
            queue.answers_missing(unit_id, fault.missing)
        except EnvironmentFault as fault:
            queue.fault([unit_id], str(fault))
        except OSError as fault:
            queue.fault([unit_id], os_words(fault))
        except MemoryError:
            queue.fault([unit_id], str(OutOfMemory("not enough memory for a unit")))
        else:
            on_done(UnitDone(unit_id=unit_id, summary=summary, seconds=seconds))
            queue.finished(unit_id, inputs=summary.inputs, failures=dict(summary.failures))

    def _run(self, job: StageJob, dispatch: Dispatch) -> tuple[UnitSummary, float]:
        begun = time.monotonic()
        summary = self._ready(job).run(dispatch.unit, suspects=dispatch.suspects)
        return summary, time.monotonic() - begun

    def _ready(self, job: StageJob) -> UnitWorker:
        with self._loading:
            if self._worker is None or self._key != job.key:
                self._worker = None
                self._services.begin_stage(self._engine, job.stage)
                self._worker = job.make_worker(self._engine, self._services.client(self._engine, job.stage))
                self._key = job.key
            return self._worker
