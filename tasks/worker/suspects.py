"""Finds the sample that kills its worker: suspects are halved until a single one dies alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.records.errors import Reason
from tasks.records.outcomes import Outcome, StageInput
from tasks.storage.objects.store import Store
from tasks.storage.protocol.attempts import begin_attempt, deaths, leave_attempt, read_attempts, subset_name
from tasks.storage.protocol.layout import StageKey
from tasks.storage.protocol.units import Unit
from tasks.worker.engine import Engine
from tasks.worker.quarantine import Trial, TrialEnd, as_tuple, run_trial

if TYPE_CHECKING:
    from tasks.worker.role_asks import RouterClient
    from tasks.worker.run_unit import StageBuilder

WITNESSED_DEATHS = 2
"""Crashes of a single sample, observed by a surviving parent, after which it becomes a failed row."""

LAST_RESORT = 5
"""Crashes of a single sample together with its parent after which it becomes a failed row as well."""

SPLIT_WITNESSED_AFTER = 2
"""Crashes of a group together with its parent after which it is split without another trial."""

SPLIT_UNWITNESSED_AFTER = 1
"""The same where groups run in the worker itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SuspectSearch:
    """Search within a unit that killed its workers.

    Blame needs evidence that an operator's ``kill -9`` of everything does not leave: a surviving parent that saw the
    sample's process die. A sample's death together with its parent counts less; a death in the worker itself (where
    no stage can be built elsewhere) counts only if the sample ran alone, and twice.

    Attributes:
        build_stage: makes the stage in a separate process, or None.
        timeout_s: of one such process, loading included.
        in_process: runs samples in this process if there is no ``build_stage``.
        engine, client: forward a trial's questions to models elsewhere.
    """

    key: StageKey
    unit: Unit
    store: Store
    build_stage: StageBuilder | None
    timeout_s: float
    in_process: Callable[[Sequence[StageInput]], list[Outcome]]
    engine: Engine
    client: RouterClient | None

    def outcomes(self, inputs: Sequence[StageInput]) -> list[Outcome]:
        """One outcome per input, in order: the samples' own outcomes, ``crashed`` or ``timed_out`` for the culprits.

        Raises:
            EnvironmentFault: the environment failed; the search continues at the next attempt.
        """
        name = subset_name([item.id for item in inputs])
        died = deaths(read_attempts(self.store, self.key, self.unit.id), name)
        witness = self.build_stage is not None
        if len(inputs) > 1 and died >= (SPLIT_WITNESSED_AFTER if witness else SPLIT_UNWITNESSED_AFTER):
            return self._halves(inputs)
        if len(inputs) == 1 and died >= (LAST_RESORT if witness else WITNESSED_DEATHS):
            return [_crashed(inputs[0])]
        for _ in range(WITNESSED_DEATHS if len(inputs) == 1 else 1):
            end = self._try(inputs, name)
            if end.error is not None:
                raise end.error
            if end.outcomes is not None:
                return list(end.outcomes)
            if end.timed_out:
                break
        if len(inputs) > 1:
            return self._halves(inputs)
        return [self._timed_out(inputs[0]) if end.timed_out else _crashed(inputs[0])]

    def _halves(self, inputs: Sequence[StageInput]) -> list[Outcome]:
        middle = len(inputs) // 2
        return self.outcomes(inputs[:middle]) + self.outcomes(inputs[middle:])

    def _try(self, inputs: Sequence[StageInput], name: str) -> TrialEnd:
        if self.build_stage is not None:
            trial = Trial(
                build_stage=self.build_stage,
                uri=self.store.uri,
                options=self.store.options,
                key=self.key,
                unit=self.unit.id,
                part=name,
                inputs=as_tuple(inputs),
                extra=dict(self.unit.extra),
            )
            return run_trial(trial, self.timeout_s, self.engine, self.client)
        number = begin_attempt(self.store, self.key, self.unit.id, name)
        try:
            return TrialEnd(outcomes=tuple(self.in_process(inputs)))
        finally:
            leave_attempt(self.store, self.key, self.unit.id, number, "ended")

    def _timed_out(self, item: StageInput) -> Outcome:
        detail = f"alone, after {self.timeout_s:g} s"
        return Outcome(input_id=item.id, reason=Reason.TIMED_OUT, detail=detail)


def _crashed(item: StageInput) -> Outcome:
    return Outcome(input_id=item.id, reason=Reason.CRASHED, detail="its process died")
