"""Decides which unit runs next, which sample a worker's death is attributed to, and when a stage stops.

Independent of Prefect, Ray and the clock.

A unit moves through these states; only `UnitQueue` changes them:

    pending -> in flight -> finished
                  |-> pending            its worker died while computing nothing of this unit, or the environment failed
                  |-> suspect            a worker died, or was cut off, while computing a sample of this unit
                  |-> undone             it needs kept answers that are missing, and no model may be asked
    suspect -> in flight -> finished     those samples run in separate processes, the others in the worker

Deaths and faults are counted per event (a worker, an endpoint), never per unit: a worker that dies while it holds
eight units is one death.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from flows.build.drain import Drain
from tasks.records.errors import MissingAnswer, Reason, StageStopped
from tasks.worker.flight import name_in_log

DEATHS_THAT_STOP = 3
"""Deaths without a finished unit in between after which the model or the machine is considered broken."""

NAMED = 10
"""Missing answers named in a message, per role."""

COUNTED_FAILURES = (
    Reason.CRASHED,
    Reason.TIMED_OUT,
    Reason.BACKEND_ERROR,
    Reason.SERVER_ERROR,
    Reason.SERVER_UNREACHABLE,
)
"""Failures that count against the stage: many of them have one cause, such as a network that is away. A file that is
unreadable or refused counts only against itself."""


class QueuedUnit(Protocol):
    """What the queue needs to know about a unit."""

    @property
    def id(self) -> str:
        """The unit's id."""
        ...

    @property
    def members(self) -> Sequence[str]:
        """Ids of its inputs."""
        ...


class Trouble(StrEnum):
    """How a worker ended instead of returning a summary."""

    CRASHED = "died"
    TIMED_OUT = "were cut off"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When a stage stops (see `tasks.stages.config.ExecutionSettings`).

    Attributes:
        step_timeout_s: limit for one computing step.
        max_environment_faults: environment faults that stop a stage.
        max_failed_share: share of inputs failed by a model or the network that stops a stage, 0..1.
        failed_share_after: inputs processed before that share is checked.
    """

    step_timeout_s: float = 300.0
    max_environment_faults: int = 3
    max_failed_share: float = 0.5
    failed_share_after: int = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatch:
    """One unit handed to one worker.

    Attributes:
        suspects: ids of its inputs that run in separate processes.
    """

    unit: QueuedUnit
    suspects: frozenset[str] = frozenset()


@dataclass(slots=True)
class _Tally:
    inputs: int = 0
    failed: int = 0
    faults: int = 0
    deaths_in_a_row: int = 0


class UnitQueue:
    """The units of one stage, in one driver.

    Args:
        stage: name, for messages.
        units: units to run, in the driver's order.
        limits: see `Limits`.
        is_committed: asks the store whether another driver has committed a unit meanwhile.
        drain: says when no further unit may be handed out.
    """

    def __init__(
        self,
        stage: str,
        units: Sequence[QueuedUnit],
        limits: Limits,
        is_committed: Callable[[str], bool],
        drain: Drain | None = None,
    ) -> None:
        self._stage = stage
        self._limits = limits
        self._is_committed = is_committed
        self._drain = drain or Drain()
        self._pending: deque[QueuedUnit] = deque(units)
        self._suspects: dict[str, set[str]] = {}
        self._blamed: dict[str, int] = {}
        self._in_flight: dict[str, Dispatch] = {}
        self._tally = _Tally()
        self._missing: set[MissingAnswer] = set()
        self.open: set[str] = {unit.id for unit in units}
        self.skipped: set[str] = set()

    def take(self) -> Dispatch | None:
        """The next unit to run, or None if none is available or allowed; units with suspects come last."""
        if self.draining:
            return None
        for _ in range(len(self._pending)):
            unit = self._pending.popleft()
            if not self._drop_if_committed(unit):
                dispatch = Dispatch(unit=unit, suspects=frozenset(self._suspects.get(unit.id, ())))
                self._in_flight[unit.id] = dispatch
                return dispatch
        return None

    def finished(self, unit_id: str, *, inputs: int, failures: dict[str, int]) -> None:
        """A worker returned, so the unit is committed. ``failures`` counts failed inputs and children by reason.

        Raises:
            StageStopped: too many inputs were failed by the model.
        """
        self._in_flight.pop(unit_id, None)
        self.open.discard(unit_id)
        self._tally.deaths_in_a_row = 0
        self._tally.inputs += inputs
        self._tally.failed += sum(failures.get(reason.value, 0) for reason in COUNTED_FAILURES)
        self._stop_when_too_many_failed(failures)

    def worker_died(self, held: Collection[str], computing: Collection[str], trouble: Trouble) -> None:
        """A worker died, or was killed because a step took too long: one event, however many units it held.

        Args:
            held: ids of its units.
            computing: inputs it was computing at that moment; empty if it was waiting, or if this is unknown.
            trouble: which of the two.

        Raises:
            StageStopped: workers die repeatedly without finishing a unit, or a unit keeps killing workers although
                its suspects run separately.
        """
        for unit_id in held:
            unit = self._in_flight.pop(unit_id).unit
            suspects = {member for member in unit.members if name_in_log(member) in computing}
            if suspects:
                self._suspects.setdefault(unit_id, set()).update(suspects)
                self._blamed[unit_id] = self._blamed.get(unit_id, 0) + 1
                self._stop_when_blame_does_not_end(unit)
                self._pending.append(unit)
            else:
                self._pending.appendleft(unit)
        self._tally.deaths_in_a_row += 1
        if self._tally.deaths_in_a_row >= DEATHS_THAT_STOP:
            deaths = f"{self._tally.deaths_in_a_row} workers {trouble.value}"
            msg = f"{self._stage} stopped: {deaths} without finishing a unit"
            raise StageStopped(msg)

    def fault(self, unit_ids: Collection[str], message: str) -> None:
        """The environment failed: nothing was committed, the units are tried again. One event, however many units.

        Raises:
            StageStopped: it happened too often.
        """
        for unit_id in unit_ids:
            self._pending.append(self._in_flight.pop(unit_id).unit)
        self._tally.faults += 1
        if self._tally.faults >= self._limits.max_environment_faults:
            msg = (
                f"{self._stage} stopped: {message} ({self._tally.faults} times); nothing wrong was committed"
            )
            raise StageStopped(msg)

    def answers_missing(self, unit_id: str, missing: Collection[MissingAnswer]) -> None:
        """The unit needs kept answers that are missing: it stays undone; other units still run, to collect theirs."""
        self._in_flight.pop(unit_id)
        self.open.discard(unit_id)
        self._missing.update(missing)

    def stop_when_answers_are_missing(self) -> None:
        """To be called when no unit is open.

        Raises:
            StageStopped: a unit needs kept answers that are missing; the message names them by role.
        """
        if not self._missing:
            return
        lines = []
        for role in sorted({answer.role for answer in self._missing}):
            keys = sorted({answer.key for answer in self._missing if answer.role == role})
            named = ", ".join(key[:24] for key in keys[:NAMED])
            more = f" and {len(keys) - NAMED} more" if len(keys) > NAMED else ""
            lines.append(f"  {role}: {len(keys)} ({named}{more})")
        samples = len({answer.subject for answer in self._missing})
        text = "\n".join(lines)
        msg = (
            f"{self._stage} stopped: kept answers about {samples} samples are missing, by role and key:\n{text}\n"
            "These are the first that each sample needs; later questions of these samples may lack answers, too."
        )
        raise StageStopped(msg)

    @property
    def step_timeout_s(self) -> float:
        """Seconds after which a computing step is cut off."""
        return self._limits.step_timeout_s

    @property
    def draining(self) -> bool:
        """Whether no further unit is handed out because the build was asked to stop."""
        return self._drain.requested

    def check_interrupt(self) -> None:
        """See `flows.build.drain.Drain.check_interrupt`; to be called in each round of a pool's loop."""
        self._drain.check_interrupt()

    def stop_when_drained(self, expected: Collection[str]) -> None:
        """To be called when a pool returns.

        Raises:
            Drained: the build was asked to stop before all ``expected`` units were handed out.
            KeyboardInterrupt: see `check_interrupt`.
        """
        self.check_interrupt()
        if self.open & set(expected):
            self._drain.check(self._stage)

    @property
    def waiting(self) -> int:
        """Units that can still be handed out."""
        return 0 if self.draining else len(self._pending)

    @property
    def in_flight(self) -> int:
        """Units handed out and not yet returned."""
        return len(self._in_flight)

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
                f"fix the cause and run again with --retry-failed"
            )
            raise StageStopped(msg)

    def _stop_when_blame_does_not_end(self, unit: QueuedUnit) -> None:
        # Each death adds at least one suspect, so a unit can be blamed at most once per member.
        if self._blamed[unit.id] > len(unit.members) + 1:
            msg = f"{self._stage} stopped: unit {unit.id} killed its worker {self._blamed[unit.id]} times"
            raise StageStopped(msg)
