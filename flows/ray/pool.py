"""The pool of Ray actors: each holds one stage's models and two units at most; the driver retries and blames.

Ray's own retries are off (an actor's restart would not know which unit to blame); truth lies in the store's
commits, so an actor may be killed at any moment.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import ray
from ray.exceptions import RayActorError, RayError, RayTaskError

from flows.build.fan_out import StageJob, UnitDone, UnitSummary
from flows.build.unit_queue import Trouble, UnitQueue
from flows.ray.cluster import RayCluster
from flows.ray.metrics import StageMetrics
from flows.ray.slot import Slot
from tasks.records.errors import ConfigurationError, DataFault, EnvironmentFault, StageStopped

POLL_S = 1.0
"""How often slow units are looked for while nothing returns."""

UNITS_LEFT_TO_SHARE = 2
"""With fewer units a worker than this, none waits behind another: whoever is free first takes it."""


class RayPool:
    """As many actors as workers; they stay alive from stage to stage.

    An actor that finds nothing more to do in a stage drops its models for those of the stage that follows.

    Args:
        cluster: may still be starting; it is waited for at the first unit.
        units_ahead: units an actor holds, the running one included.
    """

    def __init__(self, cluster: RayCluster, *, units_ahead: int = 2) -> None:
        self._cluster = cluster
        self._units_ahead = units_ahead
        self._slots: list[Slot] = []
        self._making = threading.Lock()
        # Their processes start while the driver still plans; a failure shows when they are first needed.
        threading.Thread(target=self._make_early, name="start-actors", daemon=True).start()
        self._metrics: StageMetrics | None = None

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
        """
        self._make_actors()
        ray.wait([slot.actor.__ray_ready__.remote() for slot in self._slots], num_returns=1)

    def _make_early(self) -> None:
        with suppress(EnvironmentFault):
            self._make_actors()

    def _make_actors(self) -> None:
        self._cluster.wait()
        with self._making:
            while len(self._slots) < self.workers:
                self._slots.append(Slot.start(self._cluster.settings.threads))

    def close(self) -> None:
        """Ends the actors; units at work are lost and stay open."""
        for slot in self._slots:
            ray.kill(slot.actor)
        self._slots = []

    def drive(
        self, job: StageJob, queue: UnitQueue, until: frozenset[str], on_done: Callable[[UnitDone], None]
    ) -> None:
        """See `flows.build.fan_out.Pool`."""
        if not queue.open & until:
            return
        self._make_actors()
        self._metrics = self._metrics or StageMetrics()
        try:
            while queue.open & until:
                self._hand_out(job, queue)
                self._look_ahead(job, queue)
                waited_for = [slot.ready_ref for slot in self._slots if slot.ready_ref is not None]
                if not waited_for:
                    break
                ray.wait(waited_for, num_returns=1, timeout=POLL_S)
                for slot in self._slots:
                    self._collect(slot, queue, on_done)
                    self._cut_off_if_slow(slot, queue)
                self._metrics.observe(job.stage, open_units=len(queue.open), in_flight=queue.in_flight)
            self._look_ahead(job, queue)
        except (StageStopped, DataFault, ConfigurationError, KeyboardInterrupt):
            # Units still at work would go on and commit behind the driver's back.
            self.close()
            raise

    def _hand_out(self, job: StageJob, queue: UnitQueue) -> None:
        for ahead in range(1, self._units_ahead + 1):
            for slot in self._slots:
                if queue.waiting < (1 if ahead == 1 else UNITS_LEFT_TO_SHARE * len(self._slots)):
                    return
                if len(slot.waiting) >= ahead or not self._is_ready(slot, job):
                    continue
                dispatch = queue.take()
                if dispatch is None:
                    return
                slot.give(dispatch)

    def _is_ready(self, slot: Slot, job: StageJob) -> bool:
        if slot.preparing is None and slot.key != job.key:
            slot.load(job, early=False)
        return slot.preparing is None

    def _look_ahead(self, job: StageJob, queue: UnitQueue) -> None:
        """Lets idle actors load what the next stage needs; a unit that comes back makes them load anew."""
        if job.following is None or queue.waiting:
            return
        for slot in self._slots:
            if slot.idle and job.following.key not in (slot.key, slot.refused):
                slot.load(job.following, early=True)

    def _collect(self, slot: Slot, queue: UnitQueue, on_done: Callable[[UnitDone], None]) -> None:
        while (ref := slot.ready_ref) is not None and ray.wait([ref], timeout=0)[0]:
            try:
                answer: Any = ray.get(ref)
            except RayTaskError as error:
                self._take_error(slot, queue, error)
            except (RayActorError, RayError) as error:
                self._take_death(slot, queue, error)
            else:
                self._take_answer(slot, queue, answer, on_done)

    def _take_answer(
        self,
        slot: Slot,
        queue: UnitQueue,
        answer: tuple[UnitSummary, float] | None,
        on_done: Callable[[UnitDone], None],
    ) -> None:
        if answer is None:
            slot.preparing = None
            return
        dispatch = slot.pop_head()
        summary, seconds = answer
        unit_id = dispatch.unit.id
        if self._metrics is not None:
            self._metrics.count(summary, seconds)
        on_done(UnitDone(unit_id=unit_id, summary=summary, seconds=seconds))
        queue.finished(unit_id, seconds=seconds, inputs=summary.inputs, failures=dict(summary.failures))

    def _take_error(self, slot: Slot, queue: UnitQueue, error: RayTaskError) -> None:
        cause = error.cause
        loading = slot.preparing is not None
        if loading:
            slot.not_loaded()
            if slot.early:
                return
        unit_id = None if loading else slot.pop_head().unit.id
        if isinstance(cause, DataFault | ConfigurationError | StageStopped):
            raise cause
        message = str(cause) if isinstance(cause, EnvironmentFault) else f"{type(cause).__name__}: {cause}"
        if isinstance(cause, MemoryError):
            message = "not enough memory to load the models or to hold a unit"
        queue.fault(unit_id, message)

    def _take_death(self, slot: Slot, queue: UnitQueue, error: RayError) -> None:
        loading = slot.preparing is not None
        waiting = [dispatch for _, dispatch in slot.waiting]
        slot.replace()
        # Only the unit at work can have killed the worker; the ones behind it never began.
        for dispatch in reversed(waiting[1:]):
            queue.put_back(dispatch.unit.id)
        if loading and not slot.early:
            queue.fault(None, f"a worker died while it loaded its models ({_first_line(error)})")
        elif waiting:
            queue.blame(waiting[0].unit.id, Trouble.CRASHED)

    def _cut_off_if_slow(self, slot: Slot, queue: UnitQueue) -> None:
        if not slot.waiting or slot.preparing is not None or slot.waiting[0][1].alone:
            return  # a worker with a suspect cuts off single samples itself
        if time.monotonic() - slot.head_since <= queue.time_limit_s():
            return
        waiting = [dispatch for _, dispatch in slot.waiting]
        ray.kill(slot.actor)
        slot.replace()
        for dispatch in reversed(waiting[1:]):
            queue.put_back(dispatch.unit.id)
        queue.blame(waiting[0].unit.id, Trouble.TIMED_OUT)


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
