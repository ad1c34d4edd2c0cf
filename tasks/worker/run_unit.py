"""The worker: runs units and commits them; several units may run at once."""

from __future__ import annotations

import logging
import os
import pickle
import socket
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from tasks.records.errors import FAILURES, Reason, StorageFault
from tasks.records.outcomes import Outcome, StageInput
from tasks.stages.sample_stage import SampleStage
from tasks.storage.objects.pixel_reader import StorePixels
from tasks.storage.objects.store import Store
from tasks.storage.protocol.attempts import begin_attempt, deaths, leave_attempt, read_attempts, renew_attempt
from tasks.storage.protocol.commits import Commit, commit_unit, find_commit
from tasks.storage.protocol.fault_points import FaultPoint, pass_point
from tasks.storage.protocol.layout import StageKey
from tasks.storage.protocol.load_inputs import InputLoader
from tasks.storage.protocol.units import Unit
from tasks.worker.engine import Engine
from tasks.worker.libraries import library_versions
from tasks.worker.role_asks import RouterClient
from tasks.worker.suspects import SuspectSearch

SUSPICIOUS = 2
"""Unwitnessed deaths of a unit's worker after which the whole unit runs in separate processes."""

RENEW_S = 300.0
"""How often an open attempt is renewed, so that other machines do not take a waiting unit for dead."""

log = logging.getLogger(__name__)


class StageBuilder(Protocol):
    """Makes a stage in the process that will run it; picklable."""

    def __call__(self, engine: Engine, client: RouterClient | None) -> SampleStage:
        """Makes the stage, with its models of this process loaded.

        Raises:
            EnvironmentFault: a model cannot be loaded.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkContext:
    """What a worker knows besides its stage and store.

    Attributes:
        config8: of the stage.
        build_stage: makes the stage.
        trials: run suspects in separate processes, so that a death there is witnessed. Otherwise they run in the
            worker itself, and a sample is blamed after dying alone twice.
        trial_timeout_s: limit for such a process, in seconds.
    """

    config8: str
    build_stage: StageBuilder
    trials: bool = True
    trial_timeout_s: float = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitSummary:
    """What a worker reports about a unit: counts, without pixels or records.

    Attributes:
        path: of the commit, below the dataset.
        counts: of the commit (`tasks.storage.protocol.rows.count_rows`).
        seconds: from the start of `Worker.run`, wall clock.
        fresh: whether this worker committed it; False if the unit was done before or another worker was first.
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
    """A stage with its models, a store, and a cache of pictures.

    Args:
        engine: runs the samples; it outlives the worker, as do the pools and servers behind ``client``.
    """

    def __init__(
        self,
        stage_name: str,
        store: Store,
        context: WorkContext,
        *,
        engine: Engine,
        client: RouterClient | None = None,
    ) -> None:
        self.key = StageKey(stage=stage_name, config8=context.config8)
        self.store = store
        self.context = context
        self._engine = engine
        self._client = client
        if context.trials:
            pickle.dumps(context.build_stage)  # fail now, and not when the first sample is suspected
        self._stage = context.build_stage(engine, client)
        self._libraries = library_versions()
        self._pixels = StorePixels(store)
        self._loader = InputLoader(store)

    def run(self, unit: Unit, *, suspects: Collection[str] = ()) -> UnitSummary:
        """Processes and commits a unit; a committed one is only reported. May be called from several threads at once.

        Args:
            unit: of a plan of this stage.
            suspects: ids of inputs that were being computed when a worker died or was cut off; they run separately.

        Raises:
            EnvironmentFault: the environment failed; nothing was committed.
            DataFault: the store contradicts itself.
        """
        began = time.monotonic()
        known = find_commit(self.store, self.key, unit.id)
        if known is not None:
            return self._summary(known, began, fresh=False)
        attempts = read_attempts(self.store, self.key, unit.id)
        if not suspects and deaths(attempts) >= SUSPICIOUS:
            suspects = unit.members
        if suspects:
            log.warning("%s unit %s: looking for the sample that kills", self.key.stage, unit.id)
        number = len(attempts) if suspects else begin_attempt(self.store, self.key, unit.id)
        pass_point(FaultPoint.UNIT_ATTEMPTED)
        try:
            with self._renewed(unit, None if suspects else number):
                inputs = self._loader.load(unit)
                with self._pixels.held(ref for item in inputs for ref in item.blobs.values()):
                    outcomes = self._outcomes(unit, inputs, suspects)
                commit, fresh = self._commit(unit, inputs, outcomes, number, began)
        except BaseException as error:
            if not suspects:
                self._leave(unit, number, type(error).__name__)
            raise
        return self._summary(commit, began, fresh)

    def _outcomes(self, unit: Unit, inputs: Sequence[StageInput], suspects: Collection[str]) -> list[Outcome]:
        apart = [item for item in inputs if item.id in suspects]
        found = {outcome.input_id: outcome for outcome in self._search(unit, apart)} if apart else {}
        others = [item for item in inputs if item.id not in suspects]
        if others:
            outcomes = self._engine.answer(self._stage, others, self._pixels, unit.extra)
            found |= {outcome.input_id: outcome for outcome in outcomes}
        return [found[item.id] for item in inputs]

    def _search(self, unit: Unit, inputs: Sequence[StageInput]) -> list[Outcome]:
        search = SuspectSearch(
            key=self.key,
            unit=unit,
            store=self.store,
            build_stage=self.context.build_stage if self.context.trials else None,
            timeout_s=self.context.trial_timeout_s,
            in_process=lambda part: self._engine.answer(self._stage, part, self._pixels, unit.extra),
            engine=self._engine,
            client=self._client,
        )
        return search.outcomes(inputs)

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

    @contextmanager
    def _renewed(self, unit: Unit, number: int | None) -> Iterator[None]:
        """Renews the attempt regularly while the unit is running."""
        over = threading.Event()

        def renew() -> None:
            while not over.wait(RENEW_S):
                with suppress(StorageFault):  # if the store is gone, the unit itself will report it
                    renew_attempt(self.store, self.key, unit.id, number or 0)

        if number is not None:
            threading.Thread(target=renew, name="renew-attempt", daemon=True).start()
        try:
            yield
        finally:
            over.set()

    def _leave(self, unit: Unit, number: int, why: str) -> None:
        with suppress(StorageFault):  # the fault may be the store itself
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
