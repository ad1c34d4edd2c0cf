"""The pool of Ray actors: each holds one stage's models and two units at most; the driver retries and blames.

Ray's own retries are off (an actor's restart would not know which unit to blame); truth lies in the store's
commits, so an actor may be killed at any moment.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import ray
from ray.exceptions import RayActorError, RayError, RayTaskError

from flows.fan_out import StageJob, UnitDone, UnitSummary, UnitWorker
from flows.ray_cluster import RayCluster
from flows.ray_metrics import StageMetrics
from flows.unit_queue import Dispatch, QueuedUnit, Trouble, UnitQueue
from tasks.errors import ConfigurationError, DataFault, EnvironmentFault, StageStopped

POLL_S = 1.0
"""How often slow units are looked for while nothing returns."""

Ref: TypeAlias = Any
"""A Ray object reference."""


class UnitActor:
    """What runs in a worker process: any stage, one at a time, its models loaded once."""

    def __init__(self, threads: int) -> None:
        import cv2  # noqa: PLC0415  (in the worker alone)

        cv2.setNumThreads(threads)
        self._worker: UnitWorker | None = None

    def prepare(self, make_worker: Callable[[], UnitWorker]) -> None:
        """Drops the models of the stage before and loads this stage's."""
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


@dataclass(slots=True)
class _Slot:
    """One actor as the driver sees it; ``waiting`` holds its units, the one at work first."""

    actor: Any
    key: str = ""
    preparing: Ref | None = None
    waiting: deque[tuple[Ref, Dispatch]] = field(default_factory=deque)
    head_since: float = 0.0

    @property
    def ready_ref(self) -> Ref | None:
        """What to wait for next."""
        if self.preparing is not None:
            return self.preparing
        return self.waiting[0][0] if self.waiting else None


class RayPool:
    """As many actors as workers; they stay alive from stage to stage.

    Args:
        cluster: may still be starting; it is waited for at the first unit.
        units_ahead: units an actor holds, the running one included.
    """

    def __init__(self, cluster: RayCluster, *, units_ahead: int = 2) -> None:
        self._cluster = cluster
        self._units_ahead = units_ahead
        self._slots: list[_Slot] = []
        self._making = threading.Lock()
        # Their processes start while the driver still plans; a failure shows when they are first needed.
        threading.Thread(target=self._make_early, name="start-actors", daemon=True).start()
        self._metrics: StageMetrics | None = None

    @property
    def workers(self) -> int:
        """See `flows.fan_out.Pool`."""
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
                self._slots.append(_Slot(actor=self._new_actor()))

    def close(self) -> None:
        """Ends the actors; units at work are lost and stay open."""
        for slot in self._slots:
            ray.kill(slot.actor)
        self._slots = []

    def drive(
        self, job: StageJob, queue: UnitQueue, until: frozenset[str], on_done: Callable[[UnitDone], None]
    ) -> None:
        """See `flows.fan_out.Pool`."""
        if not queue.open & until:
            return
        self._make_actors()
        self._metrics = self._metrics or StageMetrics()
        try:
            while queue.open & until:
                self._hand_out(job, queue)
                waited_for = [slot.ready_ref for slot in self._slots if slot.ready_ref is not None]
                if not waited_for:
                    break
                ray.wait(waited_for, num_returns=1, timeout=POLL_S)
                for slot in self._slots:
                    self._collect(slot, queue, on_done)
                    self._cut_off_if_slow(slot, queue)
                self._metrics.observe(job.stage, open_units=len(queue.open), in_flight=queue.in_flight)
        except (StageStopped, DataFault, ConfigurationError, KeyboardInterrupt):
            # Units still at work would go on and commit behind the driver's back.
            self.close()
            raise

    def _hand_out(self, job: StageJob, queue: UnitQueue) -> None:
        for ahead in range(1, self._units_ahead + 1):
            for slot in self._slots:
                if len(slot.waiting) >= ahead or not self._is_ready(slot, job):
                    continue
                dispatch = queue.take()
                if dispatch is None:
                    return
                ref = slot.actor.run.remote(dispatch.unit, dispatch.alone)
                if not slot.waiting:
                    slot.head_since = time.monotonic()
                slot.waiting.append((ref, dispatch))

    def _is_ready(self, slot: _Slot, job: StageJob) -> bool:
        if slot.key != job.key and slot.preparing is None:
            slot.key = job.key
            slot.preparing = slot.actor.prepare.remote(job.make_worker)
        return slot.preparing is None

    def _collect(self, slot: _Slot, queue: UnitQueue, on_done: Callable[[UnitDone], None]) -> None:
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
        slot: _Slot,
        queue: UnitQueue,
        answer: tuple[UnitSummary, float] | None,
        on_done: Callable[[UnitDone], None],
    ) -> None:
        if answer is None:
            slot.preparing = None
            return
        _, dispatch = self._pop_head(slot)
        summary, seconds = answer
        unit_id = dispatch.unit.id
        if self._metrics is not None:
            self._metrics.count(summary, seconds)
        on_done(UnitDone(unit_id=unit_id, summary=summary, seconds=seconds))
        queue.finished(unit_id, seconds=seconds, inputs=summary.inputs, failures=dict(summary.failures))

    def _take_error(self, slot: _Slot, queue: UnitQueue, error: RayTaskError) -> None:
        cause = error.cause
        loading = slot.preparing is not None
        unit_id = None if loading else self._pop_head(slot)[1].unit.id
        if loading:
            slot.preparing = None
            slot.key = ""
        if isinstance(cause, DataFault | ConfigurationError | StageStopped):
            raise cause
        message = str(cause) if isinstance(cause, EnvironmentFault) else f"{type(cause).__name__}: {cause}"
        if isinstance(cause, MemoryError):
            message = "not enough memory to load the models or to hold a unit"
        queue.fault(unit_id, message)

    def _take_death(self, slot: _Slot, queue: UnitQueue, error: RayError) -> None:
        loading = slot.preparing is not None
        waiting = [dispatch for _, dispatch in slot.waiting]
        self._replace(slot)
        # Only the unit at work can have killed the worker; the ones behind it never began.
        for dispatch in reversed(waiting[1:]):
            queue.put_back(dispatch.unit.id)
        if loading:
            queue.fault(None, f"a worker died while it loaded its models ({_first_line(error)})")
        elif waiting:
            queue.blame(waiting[0].unit.id, Trouble.CRASHED)

    def _cut_off_if_slow(self, slot: _Slot, queue: UnitQueue) -> None:
        if not slot.waiting or slot.preparing is not None or slot.waiting[0][1].alone:
            return  # a worker with a suspect cuts off single samples itself
        if time.monotonic() - slot.head_since <= queue.time_limit_s():
            return
        waiting = [dispatch for _, dispatch in slot.waiting]
        ray.kill(slot.actor)
        self._replace(slot)
        for dispatch in reversed(waiting[1:]):
            queue.put_back(dispatch.unit.id)
        queue.blame(waiting[0].unit.id, Trouble.TIMED_OUT)

    def _pop_head(self, slot: _Slot) -> tuple[Ref, Dispatch]:
        head = slot.waiting.popleft()
        slot.head_since = time.monotonic()
        return head

    def _replace(self, slot: _Slot) -> None:
        slot.actor = self._new_actor()
        slot.key = ""
        slot.preparing = None
        slot.waiting.clear()

    def _new_actor(self) -> Any:
        threads = self._cluster.settings.threads
        remote_class = ray.remote(UnitActor)
        return remote_class.options(num_cpus=threads, max_restarts=0, max_task_retries=0).remote(threads)


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
