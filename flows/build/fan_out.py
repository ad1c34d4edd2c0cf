"""The units of one stage through a pool of workers: the contract between the two.

A driver decides (`flows.build.unit_queue`), a pool carries (`flows.build.pool_in_process`, `flows.ray.pool`), a
worker works (`tasks.worker.run_unit`). Between them go units (ids), summaries (counts) and nothing else: no pixels, no
records.
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


class UnitSummary(Protocol):
    """What a worker says about a committed unit."""

    @property
    def unit_id(self) -> str:
        """The unit."""
        ...

    @property
    def inputs(self) -> int:
        """Inputs of the unit."""
        ...

    @property
    def kept(self) -> int:
        """Kept children."""
        ...

    @property
    def failures(self) -> Mapping[str, int]:
        """Failed inputs and children by reason."""
        ...


class UnitWorker(Protocol):
    """A stage with its models loaded, in some process."""

    def run(self, unit: Any, *, suspects: Collection[str] = ()) -> UnitSummary:
        """Processes and commits one unit; a unit that is committed already is not done again.

        May be called from several threads at once. ``suspects``: inputs at whose computing a worker died.
        """
        ...


class WorkerMaker(Protocol):
    """Builds a worker where it is to run; picklable, and cheap to pickle."""

    def __call__(self, engine: Engine, client: RouterClient | None) -> UnitWorker:
        """The worker, on the process's engine and its way to the router."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StageJob:
    """What a pool needs to work for one stage.

    Attributes:
        stage: name.
        key: equal keys mean the same models: a worker that has them keeps them.
        make_worker: builds the worker.
        is_committed: asks the store for one unit's commit.
        following: the job that comes next in this build, if any: a worker that this one needs no more may load
            its models.
    """

    stage: str
    key: str
    make_worker: WorkerMaker
    is_committed: Callable[[str], bool]
    following: StageJob | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitDone:
    """One unit is committed: by this driver (``summary``), or by another one meanwhile (None)."""

    unit_id: str
    summary: UnitSummary | None
    seconds: float


class Pool(Protocol):
    """Carries units to workers."""

    @property
    def workers(self) -> int:
        """How many units can be at work at the same time."""
        ...

    def ready(self) -> None:
        """Returns when units can be handed out.

        Raises:
            EnvironmentFault: the workers could not be started.
        """
        ...

    def status(self) -> Mapping[str, Any]:
        """Counters of roles that are answered outside the workers (`tasks.roles.router.Router.status`), or nothing."""
        ...

    def drive(
        self, job: StageJob, queue: UnitQueue, until: frozenset[str], on_done: Callable[[UnitDone], None]
    ) -> None:
        """Works until none of the ids ``until`` is open in the queue, or a drained queue has none in flight.

        Other units may be begun and left in flight, for the next call.

        Raises:
            StageStopped: the queue's rules stopped the stage.
            DataFault: a worker found the store contradicting itself.
        """
        ...


@dataclass(slots=True)
class UnitRun:
    """The units of one stage on their way through a pool; partitions are windows over one continuous run.

    A partition ends when *its* units are committed while units of the next ones are at work already, so cutting
    a stage into Prefect task runs costs no idle worker.
    """

    job: StageJob
    pool: Pool
    queue: UnitQueue
    partitions: tuple[frozenset[str], ...]
    on_done: Callable[[UnitDone], None] = field(default=lambda done: None)

    def run_partition(self, number: int) -> int:
        """Drives the pool until the partition's units are committed; gives their number.

        Raises:
            Drained: the build was asked to stop before all of them were begun.
            StageStopped, DataFault: see `Pool.drive`.
        """
        wanted = self.partitions[number]
        self.pool.drive(self.job, self.queue, wanted, self.on_done)
        self.queue.stop_when_drained(wanted)
        for unit_id in sorted(self.queue.skipped & wanted):
            self.queue.skipped.discard(unit_id)
            self.on_done(UnitDone(unit_id=unit_id, summary=None, seconds=0.0))
        return len(wanted)


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
    """Makes the run of a stage's open ``units``, cut into at most so many partitions.

    It begins at ``offset``, by default anywhere, so that two drivers in one place seldom meet at a unit.
    """
    units = in_order(units, offset)
    queue = UnitQueue(job.stage, units, limits, job.is_committed, drain)
    windows = _cut([unit.id for unit in units], partitions, at_least=2 * pool.workers)
    return UnitRun(job=job, pool=pool, queue=queue, partitions=windows, on_done=on_done)


def in_order(units: Sequence[QueuedUnit], offset: int | None = None) -> list[QueuedUnit]:
    """The units from ``offset`` (None: anywhere) on and round, those with the most inputs first.

    A large unit begun last would leave the other workers without work until it is done.
    """
    start = (secrets.randbelow(len(units)) if offset is None else offset % len(units)) if units else 0
    return sorted([*units[start:], *units[:start]], key=lambda unit: -len(unit.members))


def _cut(ids: Sequence[str], parts: int, *, at_least: int) -> tuple[frozenset[str], ...]:
    """Near-equal windows over ids, at most ``parts``, of at least so many ids where there are that many."""
    if not ids:
        return ()
    count = max(1, min(parts, len(ids) // max(1, at_least)))
    bounds = [len(ids) * i // count for i in range(count + 1)]
    return tuple(frozenset(ids[a:b]) for a, b in pairwise(bounds))
