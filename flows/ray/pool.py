"""The pool of Ray actors: each holds one stage's models and a few units; the driver handles retries and blame.

Ray's own retries are off (a restarted actor would not know which unit to blame). Only commits in the store count, so
an actor may be killed at any moment.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from flows.build.fan_out import StageJob, UnitDone
from flows.build.unit_queue import Trouble, UnitQueue
from flows.ray.cluster import RayCluster
from flows.ray.metrics import StageMetrics
from flows.ray.services import RayServices
from flows.ray.slot import ActorSettings, Slot
from tasks.records.errors import (
    AnswerMissing,
    ConfigurationError,
    DataFault,
    EnvironmentFault,
    StageStopped,
    first_line,
)

POLL_S = 1.0
"""How often slow steps are searched for while nothing returns."""

UNITS_LEFT_TO_SHARE = 2
"""Prefetch only while at least this many units per worker remain, so that none queues behind a busy worker."""


class RayPool:
    """One actor per worker; they stay alive from stage to stage.

    An actor without further units in a stage loads the models of the following one.

    Args:
        cluster: may still be starting; it is waited for at the first unit.
        settings: of each actor; its router is that of ``services``.
        services: pools and servers of the build on this Ray, or None where every role is answered in the workers.
    """

    def __init__(
        self, cluster: RayCluster, settings: ActorSettings, services: RayServices | None = None
    ) -> None:
        self._cluster = cluster
        self._settings = settings
        self._services = services
        self._slots: list[Slot] = []
        self._making = threading.Lock()
        self._closed = False
        self._metrics: StageMetrics | None = None
        # The actors start while the driver is still planning; a failure surfaces when they are first needed.
        threading.Thread(target=self._make_early, name="start-actors", daemon=True).start()

    @property
    def workers(self) -> int:
        """See `flows.build.fan_out.Pool`."""
        return self._cluster.workers

    @property
    def dashboard_url(self) -> str:
        """Where Ray's dashboard listens, or ``""``."""
        self._cluster.wait()
        return self._cluster.dashboard_url

    def ready(self) -> None:
        """Returns when Ray is up and one actor answers; more may still be waiting for a cluster's resources.

        Raises:
            EnvironmentFault: Ray could not be started or reached.
            ConfigurationError: pools and servers that can never fit it.
        """
        self._make_actors()
        ray.wait([slot.actor.__ray_ready__.remote() for slot in self._slots], num_returns=1)

    def _make_early(self) -> None:
        with suppress(EnvironmentFault, ConfigurationError):
            self._make_actors()

    def _make_actors(self) -> None:
        self._cluster.wait()
        with self._making:
            if self._closed:  # Ray may be shut down next, and an actor asked for after that ends this process
                msg = "the pool is closed"
                raise EnvironmentFault(msg)
            settings = self._settings
            if self._services is not None:
                # Reserve GPUs first: workers would take all CPUs, and replicas would wait for one forever.
                settings = replace(settings, router=self._services.router())
            while len(self._slots) < self.workers:
                self._slots.append(Slot.start(settings))

    def status(self) -> Mapping[str, Any]:
        """See `flows.build.fan_out.Pool`."""
        return self._services.status() if self._services is not None else {}

    def close(self) -> None:
        """Stops the actors, pools and servers; running units are lost and stay open."""
        if self._services is not None:
            self._services.stop_waiting()
        with self._making:
            self._closed = True
            self._end_actors()
        if self._services is not None:
            self._services.close()

    def _end_actors(self) -> None:
        for slot in self._slots:
            ray.kill(slot.actor)
            slot.forget_log()
        self._slots = []

    def drive(
        self, job: StageJob, queue: UnitQueue, until: frozenset[str], on_done: Callable[[UnitDone], None]
    ) -> None:
        """See `flows.build.fan_out.Pool`."""
        if not queue.open & until:
            return
        self._make_actors()
        if self._services is not None:
            self._services.begin_stage(job.stage)
        self._metrics = self._metrics or StageMetrics()
        try:
            while queue.open & until:
                queue.check_interrupt()
                self._hand_out(job, queue)
                self._look_ahead(job, queue)
                # In a draining queue, models that are still loading will not be needed.
                waited_for = [
                    ref for slot in self._slots for ref in (slot.at_work if queue.draining else slot.refs)
                ]
                if not waited_for:
                    break
                ray.wait(waited_for, num_returns=1, timeout=POLL_S)
                for slot in self._slots:
                    self._collect(slot, queue, on_done)
                    self._cut_off_if_slow(slot, queue)
                self._metrics.observe(job.stage, open_units=len(queue.open), in_flight=queue.in_flight)
            self._look_ahead(job, queue)
        except (StageStopped, DataFault, ConfigurationError, KeyboardInterrupt):
            # Otherwise units still running would commit after the driver has returned.
            self._end_actors()
            raise

    def _hand_out(self, job: StageJob, queue: UnitQueue) -> None:
        for ahead in range(1, self._settings.units_in_flight + 1):
            for slot in self._slots:
                if queue.waiting < (1 if ahead == 1 else UNITS_LEFT_TO_SHARE * len(self._slots)):
                    return
                if len(slot.at_work) >= ahead or not self._is_ready(slot, job):
                    continue
                dispatch = queue.take()
                if dispatch is None:
                    return
                slot.give(dispatch)

    def _is_ready(self, slot: Slot, job: StageJob) -> bool:
        if slot.preparing is None and slot.key != job.key and not slot.at_work:
            slot.load(job, early=False)
        return slot.preparing is None and slot.key == job.key

    def _look_ahead(self, job: StageJob, queue: UnitQueue) -> None:
        """Lets idle actors load the next stage's models; a unit of this stage would make them load again."""
        if job.following is None or queue.waiting or queue.draining:
            return
        for slot in self._slots:
            if slot.idle and job.following.key not in (slot.key, slot.refused):
                slot.load(job.following, early=True)

    def _collect(self, slot: Slot, queue: UnitQueue, on_done: Callable[[UnitDone], None]) -> None:
        refs = slot.refs
        done, _ = ray.wait(refs, num_returns=len(refs), timeout=0) if refs else ([], [])
        for ref in done:
            if ref not in slot.refs:
                return  # the actor was replaced meanwhile
            try:
                answer: Any = ray.get(ref)
            except RayTaskError as error:
                self._take_error(slot, ref, queue, error)
            except RayError as error:
                self._take_death(slot, queue, error)
            else:
                self._take_answer(slot, ref, queue, answer, on_done)

    def _take_answer(
        self, slot: Slot, ref: Any, queue: UnitQueue, answer: Any, on_done: Callable[[UnitDone], None]
    ) -> None:
        if ref is slot.preparing:
            slot.loaded(answer)
            return
        unit_id = slot.at_work.pop(ref).unit.id
        summary, seconds = answer
        if self._metrics is not None:
            self._metrics.count(summary, seconds)
        on_done(UnitDone(unit_id=unit_id, summary=summary, seconds=seconds))
        queue.finished(unit_id, inputs=summary.inputs, failures=dict(summary.failures))

    def _take_error(self, slot: Slot, ref: Any, queue: UnitQueue, error: RayTaskError) -> None:
        cause = error.cause
        units: list[str] = []
        if ref is slot.preparing:
            slot.not_loaded()
            if slot.early:
                return
        else:
            units = [slot.at_work.pop(ref).unit.id]
        if isinstance(cause, DataFault | ConfigurationError | StageStopped):
            raise cause
        if units and isinstance(cause, AnswerMissing):
            queue.answers_missing(units[0], cause.missing)
            return
        message = str(cause) if isinstance(cause, EnvironmentFault) else f"{type(cause).__name__}: {cause}"
        if isinstance(cause, MemoryError):
            message = "not enough memory to load the models or to hold a unit"
        if units and isinstance(cause, EnvironmentFault):
            units += self._same_fault(slot, str(cause))
        queue.fault(units, message)

    def _same_fault(self, slot: Slot, message: str) -> list[str]:
        """Units of the same worker that failed with the same fault: an unreachable endpoint is one event."""
        refs = list(slot.at_work)
        done, _ = ray.wait(refs, num_returns=len(refs), timeout=0) if refs else ([], [])
        units = []
        for ref in done:
            try:
                ray.get(ref)
            except RayTaskError as error:
                if isinstance(error.cause, EnvironmentFault) and str(error.cause) == message:
                    units.append(slot.at_work.pop(ref).unit.id)
            except RayError:
                continue  # a death, which the loop handles next
        return units

    def _take_death(self, slot: Slot, queue: UnitQueue, error: RayError) -> None:
        loading, early = slot.preparing is not None, slot.early
        held, computing = slot.held(), {step.sample for step in slot.steps()}
        slot.replace()
        if loading and not early:
            queue.fault([], f"a worker died while it loaded its models ({first_line(error)})")
        elif held:
            queue.worker_died(held, computing, Trouble.CRASHED)

    def _cut_off_if_slow(self, slot: Slot, queue: UnitQueue) -> None:
        if not slot.at_work or slot.preparing is not None:
            return
        now = time.time()
        if now - slot.looked < queue.step_timeout_s / 20:
            return
        slot.looked = now
        slow = {step.sample for step in slot.steps() if now - step.since > queue.step_timeout_s}
        if not slow:
            return
        held = slot.held()
        ray.kill(slot.actor)
        slot.replace()
        queue.worker_died(held, slow, Trouble.TIMED_OUT)
