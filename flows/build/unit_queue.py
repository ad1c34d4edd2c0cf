"""Which unit goes next, who is to blame when a worker dies, and when a stage must stop: no Prefect, no Ray, no clock.

A unit moves through these states; only `UnitQueue` moves it:

    pending -> in flight -> finished
                  |-> pending            its worker died once, or the surroundings failed
                  |-> suspect            its worker died twice, or it took too long: runs alone, nothing beside it
    suspect -> in flight -> finished     or blamed again, until its worker has narrowed it down to single samples
"""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from tasks.records.errors import Reason, StageStopped

CRASHES_BEFORE_ALONE = 2
"""One death may be the machine's fault; the second makes the unit a suspect."""

FIRST_UNIT_GRACE = 3.0
"""Until a unit has finished there is no median: the floor times this stands in for it."""

UNITS_THAT_CONDEMN_A_STAGE = 3
"""So many different units that all killed their worker, and none that finished, mean a broken model."""

MODEL_FAILURES = (Reason.CRASHED, Reason.TIMED_OUT, Reason.BACKEND_ERROR)
"""Failures that speak against the stage; an unreadable file speaks only against itself."""


class QueuedUnit(Protocol):
    """What the queue needs to know of a unit."""

    @property
    def id(self) -> str:
        """The unit's id."""
        ...

    @property
    def members(self) -> Sequence[str]:
        """Ids of its inputs."""
        ...


class Trouble(StrEnum):
    """What a worker did instead of returning a summary."""

    CRASHED = "crashed"
    TIMED_OUT = "timed_out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When to cut off a unit and when to stop a stage (see `tasks.stages.config.ExecutionSettings`).

    Attributes:
        timeout_factor, timeout_floor_s: a unit is cut off past factor x median seconds, never before the floor.
        max_environment_faults: faults of the surroundings that stop a stage.
        max_failed_share: share of inputs failed by the model that stops a stage, 0..1.
        failed_share_after: inputs seen before that share counts.
    """

    timeout_factor: float = 10.0
    timeout_floor_s: float = 300.0
    max_environment_faults: int = 3
    max_failed_share: float = 0.5
    failed_share_after: int = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatch:
    """One unit handed to one worker.

    Attributes:
        alone: nothing else may run or wait beside it, and the worker looks for the sample that does harm, in
            processes of their own that it cuts off itself.
    """

    unit: QueuedUnit
    alone: bool


@dataclass(slots=True)
class _Record:
    crashes: int = 0
    cuts: int = 0


@dataclass(slots=True)
class _Tally:
    inputs: int = 0
    failed: int = 0
    faults: int = 0
    finished: int = 0
    crashed_units: set[str] = field(default_factory=set)
    seconds: list[float] = field(default_factory=list)


class UnitQueue:
    """The units of one stage, in one driver.

    Args:
        stage: name, for messages.
        units: what is to be done, in the driver's own order.
        limits: see `Limits`.
        is_committed: asks the store whether another driver has done a unit meanwhile.
    """

    def __init__(
        self, stage: str, units: Sequence[QueuedUnit], limits: Limits, is_committed: Callable[[str], bool]
    ) -> None:
        self._stage = stage
        self._limits = limits
        self._is_committed = is_committed
        self._pending: deque[QueuedUnit] = deque(units)
        self._suspects: deque[QueuedUnit] = deque()
        self._in_flight: dict[str, Dispatch] = {}
        self._records: dict[str, _Record] = {}
        self._tally = _Tally()
        self.open: set[str] = {unit.id for unit in units}
        self.skipped: set[str] = set()

    def take(self) -> Dispatch | None:
        """The next unit to run, or None while there is nothing that may start now.

        Suspects wait until nothing else is left or in flight, and then go one by one.
        """
        while self._pending and not any(dispatch.alone for dispatch in self._in_flight.values()):
            unit = self._pending.popleft()
            if not self._drop_if_committed(unit):
                return self._start(unit, alone=False)
        while self._suspects and not self._in_flight:
            unit = self._suspects.popleft()
            if not self._drop_if_committed(unit):
                return self._start(unit, alone=True)
        return None

    def finished(self, unit_id: str, *, seconds: float, inputs: int, failures: dict[str, int]) -> None:
        """A worker returned: the unit is committed.

        ``seconds`` is wall time in the worker; ``failures`` counts failed inputs and children by reason.

        Raises:
            StageStopped: the model fails more often than the limits allow.
        """
        self._in_flight.pop(unit_id, None)
        self.open.discard(unit_id)
        self._tally.finished += 1
        self._tally.inputs += inputs
        self._tally.failed += sum(failures.get(reason.value, 0) for reason in MODEL_FAILURES)
        if seconds > 0:
            self._tally.seconds.append(seconds)
        self._stop_when_too_many_failed(failures)

    def blame(self, unit_id: str, trouble: Trouble) -> None:
        """The unit's worker died, or was killed because the unit took too long; it will be tried again.

        Raises:
            StageStopped: every unit so far killed its worker, or a unit goes on killing though it is alone.
        """
        dispatch = self._in_flight.pop(unit_id)
        record = self._records.setdefault(unit_id, _Record())
        if trouble is Trouble.TIMED_OUT:
            record.cuts += 1
        else:
            record.crashes += 1
            self._tally.crashed_units.add(unit_id)
        self._stop_when_nothing_survives()
        self._stop_when_narrowing_does_not_end(dispatch.unit, record)
        if record.cuts or record.crashes >= CRASHES_BEFORE_ALONE:
            self._suspects.append(dispatch.unit)
        else:
            self._pending.append(dispatch.unit)

    def put_back(self, unit_id: str) -> None:
        """The unit did not start (it only waited behind one that killed the worker)."""
        dispatch = self._in_flight.pop(unit_id)
        (self._suspects if dispatch.alone else self._pending).appendleft(dispatch.unit)

    def fault(self, unit_id: str | None, message: str) -> None:
        """The surroundings failed: nothing was committed, the unit (None: no unit was begun) is tried again.

        Raises:
            StageStopped: it happened too often.
        """
        if unit_id is not None:
            dispatch = self._in_flight.pop(unit_id)
            (self._suspects if dispatch.alone else self._pending).append(dispatch.unit)
        self._tally.faults += 1
        if self._tally.faults >= self._limits.max_environment_faults:
            msg = (
                f"{self._stage} stopped: {message} ({self._tally.faults} times); nothing wrong was committed"
            )
            raise StageStopped(msg)

    def time_limit_s(self) -> float:
        """Seconds after which a running unit is cut off."""
        if not self._tally.seconds:
            return FIRST_UNIT_GRACE * self._limits.timeout_floor_s
        median = statistics.median(self._tally.seconds)
        return max(self._limits.timeout_floor_s, self._limits.timeout_factor * median)

    @property
    def waiting(self) -> int:
        """Units not handed out."""
        return len(self._pending) + len(self._suspects)

    @property
    def in_flight(self) -> int:
        """Units handed out and not yet returned."""
        return len(self._in_flight)

    def _start(self, unit: QueuedUnit, *, alone: bool) -> Dispatch:
        dispatch = Dispatch(unit=unit, alone=alone)
        self._in_flight[unit.id] = dispatch
        return dispatch

    def _drop_if_committed(self, unit: QueuedUnit) -> bool:
        if not self._is_committed(unit.id):
            return False
        self.open.discard(unit.id)
        self.skipped.add(unit.id)
        return True

    def _stop_when_too_many_failed(self, failures: dict[str, int]) -> None:
        tally = self._tally
        if tally.inputs < self._limits.failed_share_after:
            return
        if tally.failed > self._limits.max_failed_share * tally.inputs:
            worst = max(failures, key=lambda reason: failures[reason]) if failures else "failed"
            msg = (
                f"{self._stage} stopped: {tally.failed} of {tally.inputs} inputs failed (last: {worst}); "
                f"mend the cause and run again with --retry-failed"
            )
            raise StageStopped(msg)

    def _stop_when_nothing_survives(self) -> None:
        crashed = len(self._tally.crashed_units)
        if self._tally.finished == 0 and crashed >= UNITS_THAT_CONDEMN_A_STAGE:
            msg = f"{self._stage} stopped: the first {crashed} units all killed their worker; nothing was committed"
            raise StageStopped(msg)

    def _stop_when_narrowing_does_not_end(self, unit: QueuedUnit, record: _Record) -> None:
        # Halving down to single samples costs at most two deaths a sample, and the two that made it a suspect.
        if record.crashes + record.cuts > 2 * len(unit.members) + CRASHES_BEFORE_ALONE + 2:
            msg = f"{self._stage} stopped: unit {unit.id} killed its worker {record.crashes + record.cuts} times"
            raise StageStopped(msg)
