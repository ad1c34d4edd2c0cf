"""The loop of a worker: load a stage once, then unit by unit read, process, isolate what breaks, commit."""

from __future__ import annotations

import logging
import os
import pickle
import socket
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tasks.records.errors import FAILURES, GroundEditError, Reason, SampleError, StorageFault
from tasks.records.outcomes import Outcome, Stage, StageInput
from tasks.storage.objects.pixel_reader import StorePixels
from tasks.storage.objects.store import Store
from tasks.storage.protocol.attempts import begin_attempt, deaths, leave_attempt, read_attempts
from tasks.storage.protocol.commits import Commit, commit_unit, find_commit
from tasks.storage.protocol.fault_points import FaultPoint, pass_point
from tasks.storage.protocol.layout import StageKey
from tasks.storage.protocol.load_inputs import InputLoader
from tasks.storage.protocol.units import Unit
from tasks.worker.isolate_failures import answer, stage_for
from tasks.worker.libraries import library_versions
from tasks.worker.suspects import SuspectSearch

SUSPICIOUS = 2
"""Deaths of a unit's worker after which the unit is run in a process of its own."""

KEPT_AHEAD = 2
"""Units read ahead; one that another driver did meanwhile is never asked for."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkContext:
    """What a worker knows besides its stage and store.

    Attributes:
        config8: of the stage.
        build_stage: makes the stage again in a process of its own, so that a death there has a witness; must be
            picklable. Without it suspects are run in the worker itself, and dying alone twice is the rule.
        read_ahead: blobs of the next unit to read and decode while this one is at work.
        trial_timeout_s: seconds until a process of its own is cut off.
    """

    config8: str
    build_stage: Callable[[], Stage] | None = None
    read_ahead: tuple[str, ...] = ("source.jpg",)
    trial_timeout_s: float = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitSummary:
    """What a worker tells about a unit: never pixels, never records.

    Attributes:
        path: of the commit, below the dataset.
        counts: of the commit (`tasks.storage.protocol.rows.count_rows`).
        seconds: from the start of `Worker.run`, wall clock.
        fresh: our commit; False when the unit was done before or another worker was first.
    """

    stage: str
    unit_id: str
    path: str
    counts: Mapping[str, Any]
    seconds: float
    fresh: bool

    @property
    def inputs(self) -> int:
        """Inputs of the unit."""
        return int(self.counts["inputs"])

    @property
    def kept(self) -> int:
        """Kept children."""
        return int(self.counts["children_kept"])

    @property
    def failures(self) -> dict[str, int]:
        """Failed inputs and children by reason."""
        failed: Counter[str] = Counter()
        for name, count in self.counts["reasons"].items():
            reason = name.partition(":")[2]
            if Reason(reason) in FAILURES:
                failed[reason] += count
        return dict(failed)


class Worker:
    """A stage with its models, a store, and the pictures at hand."""

    def __init__(self, stage_name: str, stage: Stage, store: Store, context: WorkContext) -> None:
        self.key = StageKey(stage=stage_name, config8=context.config8)
        self._stage = stage
        self.store = store
        self.context = context
        if context.build_stage is not None:
            pickle.dumps(context.build_stage)  # now, and not when the first sample is under suspicion
        self._libraries = library_versions()
        self._pixels = StorePixels(store)
        self._loader = InputLoader(store)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="read-ahead")
        self._ahead: dict[str, Future[list[StageInput]]] = {}

    def run(self, unit: Unit, *, following: Unit | None = None, cut_off: bool = False) -> UnitSummary:
        """Do a unit and commit it; a committed one is only reported.

        Args:
            unit: of a plan of this stage.
            following: the unit that comes next, if known; its pictures are read and decoded meanwhile.
            cut_off: the driver saw this unit kill its worker, or killed the worker since it took too long.

        Raises:
            EnvironmentFault: the surroundings failed; nothing was committed.
            DataFault: what the store holds contradicts itself.
        """
        began = time.monotonic()
        ahead = self._ahead.pop(unit.id, None)
        known = find_commit(self.store, self.key, unit.id)
        if known is not None:
            return self._summary(known, began, fresh=False)
        attempts = read_attempts(self.store, self.key, unit.id)
        if cut_off or deaths(attempts) >= SUSPICIOUS:
            log.warning(
                "%s unit %s: %s workers died at it; looking for the sample",
                *self._name(unit),
                deaths(attempts),
            )
            pass_point(FaultPoint.UNIT_ATTEMPTED)
            # Nothing is read ahead: a picture of another unit must not kill the witness.
            inputs = self._inputs(unit, ahead)
            commit, fresh = self._commit(unit, inputs, self._search(unit, inputs), len(attempts), began)
            return self._summary(commit, began, fresh)
        number = begin_attempt(self.store, self.key, unit.id)
        pass_point(FaultPoint.UNIT_ATTEMPTED)
        try:
            inputs = self._inputs(unit, ahead)
            if following is not None:
                self.expect(following)
            outcomes = answer(stage_for(self._stage, unit.extra), inputs, self._pixels)
            commit, fresh = self._commit(unit, inputs, outcomes, number, began)
        except BaseException as error:
            self._leave(unit, number, type(error).__name__)
            raise
        return self._summary(commit, began, fresh)

    def expect(self, unit: Unit) -> None:
        """Read and decode the pictures of a unit that comes next; may be called while another is at work."""
        if self.context.read_ahead:
            self._ahead[unit.id] = self._thread.submit(self._fetch, unit)
            while len(self._ahead) > KEPT_AHEAD:
                self._ahead.pop(next(iter(self._ahead)))

    def close(self) -> None:
        """Stop reading ahead."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _commit(
        self,
        unit: Unit,
        inputs: Sequence[StageInput],
        outcomes: Sequence[Outcome],
        attempt: int,
        began: float,
    ) -> tuple[Commit, bool]:
        pass_point(FaultPoint.UNIT_COMPUTED)
        run = {
            "ended": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "seconds": round(time.monotonic() - began, 3),
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "attempt": attempt,
            "libraries": self._libraries,
        }
        return commit_unit(self.store, self.key, unit, inputs=inputs, outcomes=outcomes, run=run)

    def _inputs(self, unit: Unit, ahead: Future[list[StageInput]] | None) -> list[StageInput]:
        inputs: list[StageInput] | None = None
        if ahead is not None:
            with suppress(GroundEditError):  # what failed ahead is tried again here, where it counts
                inputs = ahead.result()
        if inputs is None:
            inputs = self._loader.load(unit)
        # What was read ahead for the next unit stays, if it is all there already.
        coming = [item for future in list(self._ahead.values()) for item in _result_of(future)]
        self._pixels.forget_all_but(ref for item in (*inputs, *coming) for ref in item.blobs.values())
        return inputs

    def _fetch(self, unit: Unit) -> list[StageInput]:
        inputs = self._loader.load(unit)
        for item in inputs:
            for name in self.context.read_ahead:
                if name in item.blobs:
                    with suppress(SampleError):
                        self._pixels.rgb(item.blobs[name])
        return inputs

    def _search(self, unit: Unit, inputs: Sequence[StageInput]) -> list[Outcome]:
        search = SuspectSearch(
            key=self.key,
            unit=unit,
            store=self.store,
            build_stage=self.context.build_stage,
            timeout_s=self.context.trial_timeout_s,
            in_process=lambda part: answer(stage_for(self._stage, unit.extra), part, self._pixels),
        )
        return search.outcomes(inputs)

    def _leave(self, unit: Unit, number: int, why: str) -> None:
        with suppress(StorageFault):  # the store itself may be what is gone
            leave_attempt(self.store, self.key, unit.id, number, why)

    def _summary(self, commit: Commit, began: float, fresh: bool) -> UnitSummary:
        return UnitSummary(
            stage=self.key.stage,
            unit_id=commit.unit,
            path=commit.path,
            counts=commit.counts,
            seconds=time.monotonic() - began,
            fresh=fresh,
        )

    def _name(self, unit: Unit) -> tuple[str, str]:
        return self.key.stage, unit.id


def _result_of(future: Future[list[StageInput]]) -> list[StageInput]:
    """What a future holds by now, if anything."""
    return future.result() if future.done() and future.exception() is None else []
