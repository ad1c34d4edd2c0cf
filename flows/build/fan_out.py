"""The contract between a driver and a pool of workers, for the units of one stage.

The driver decides what runs next (`flows.build.unit_queue`), a pool transports units to workers
(`flows.build.pool_in_process`, `flows.ray.pool`), and a worker processes them (`tasks.worker.run_unit`). Only unit ids
and summaries of counts pass between them: no pixels, no records.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Protocol

from flows.build.drain import Drain
from flows.build.unit_queue import Limits, QueuedUnit, UnitQueue
from tasks.worker.engine import Engine
from tasks.worker.role_asks import RouterClient
from tasks.worker.run_unit import UnitSummary


class UnitWorker(Protocol):
    """A stage with its models loaded, in one process."""

    def run(self, unit: Any, *, suspects: Collection[str] = ()) -> UnitSummary:
        """Processes and commits one unit; a committed unit is not processed again.

        May be called from several threads at once. ``suspects``: inputs that were being computed when a worker died.
        """
        ...


class WorkerMaker(Protocol):
    """Builds a worker in the process where it will run; picklable, and small when pickled."""

    def __call__(self, engine: Engine, client: RouterClient | None) -> UnitWorker:
        """Builds the worker on the process's engine and its client of the router."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StageJob:
    """What a pool needs in order to run one stage.

    Attributes:
        stage: name of the stage.
        key: equal keys mean equal models, so a worker that has them loaded keeps them.
        make_worker: builds a worker.
        is_committed: asks the store whether a unit is committed.
        following: the next job of this build, if any: a worker that this one no longer needs may load its models.
        waits: its samples wait for models elsewhere or for the store, so units overlap in a worker. Otherwise they
            would only take each other's core, and end late together.
    """

    stage: str
    key: str
    make_worker: WorkerMaker
    is_committed: Callable[[str], bool]
    following: StageJob | None = None
    waits: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitDone:
    """A committed unit: ``summary`` if this driver ran it, None if another one did meanwhile."""

    unit_id: str
    summary: UnitSummary | None
    seconds: float


class Pool(Protocol):
    """Transports units to workers."""

    @property
    def workers(self) -> int:
        """How many units can run at the same time."""
        ...

    def ready(self) -> None:
        """Returns when units can be handed out.

        Raises:
            EnvironmentFault: the workers could not be started.
        """
        ...

    def status(self) -> Mapping[str, Any]:
        """Counters of roles answered outside the workers (`tasks.roles.router.Router.status`); may be empty."""
        ...

    def drive(
        self, job: StageJob, queue: UnitQueue, until: frozenset[str], on_done: Callable[[UnitDone], None]
    ) -> None:
        """Runs until none of the ids in ``until`` is open in the queue, or a draining queue has none in flight.

        Other units may be started and left in flight for the next call.

        Raises:
            StageStopped: a limit of the queue was reached.
            DataFault: a worker found a contradiction in the store.
            KeyboardInterrupt: Ctrl-C, at the latest when the round of the loop ends in which it was pressed.
        """
        ...


@dataclass(slots=True)
class UnitRun:
    """The units of one stage on their way through a pool; partitions are windows over one continuous run.

    A partition ends when *its* units are committed. Units of the next partitions may be running by then, so
    splitting a stage into Prefect task runs leaves no worker idle.
    """

    job: StageJob
    pool: Pool
    queue: UnitQueue
    partitions: tuple[frozenset[str], ...]
    on_done: Callable[[UnitDone], None] = field(default=lambda done: None)

    def run_partition(self, number: int) -> int:
        """Drives the pool until the partition's units are committed; returns their number.

        Raises:
            Drained: the build was asked to stop before all of them were started.
            StageStopped, DataFault: see `Pool.drive`.
        """
        window = self.partitions[number]
        self.pool.drive(self.job, self.queue, window, self.on_done)
        self.queue.stop_when_drained(window)
        for unit_id in sorted(self.queue.skipped & window):
            self.queue.skipped.discard(unit_id)
            self.on_done(UnitDone(unit_id=unit_id, summary=None, seconds=0.0))
        return len(window)


def start_units(
    job: StageJob,
    units: Sequence[QueuedUnit],
    pool: Pool,
    *,
    limits: Limits,
    partitions: int,
    on_done: Callable[[UnitDone], None],
    offset: int | None = None,
    drain: Drain | None = None,
) -> UnitRun:
    """Makes the run over a stage's open ``units``, split into at most ``parts`` partitions.

    It starts at ``offset``, by default a random one, so that two drivers of one dataset rarely pick the same unit.
    """
    units = in_order(units, offset)
    queue = UnitQueue(job.stage, units, limits, job.is_committed, drain)
    windows = _cut([unit.id for unit in units], partitions, at_least=2 * pool.workers)
    return UnitRun(job=job, pool=pool, queue=queue, partitions=windows, on_done=on_done)


def in_order(units: Sequence[QueuedUnit], offset: int | None = None) -> list[QueuedUnit]:
    """Rotates the units to start at ``offset`` (None: random), then sorts by number of inputs, largest first.

    A large unit started last would leave the other workers idle until it is done.
    """
    start = (secrets.randbelow(len(units)) if offset is None else offset % len(units)) if units else 0
    return sorted([*units[start:], *units[:start]], key=lambda unit: -len(unit.members))


def _cut(ids: Sequence[str], parts: int, *, at_least: int) -> tuple[frozenset[str], ...]:
    """Near-equal windows over the ids: at most ``parts``, each of at least ``at_least`` ids where possible."""
    if not ids:
        return ()
    count = max(1, min(parts, len(ids) // max(1, at_least)))
    bounds = [len(ids) * i // count for i in range(count + 1)]
    return tuple(frozenset(ids[a:b]) for a, b in pairwise(bounds))
