"""The next step's packs, read and built in a thread while this one trains."""

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from intercog_model.training.objective import TrainingBatch
from intercog_model.training.step_plan import StepPlan, StepPlanner


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReadyStep:
    """What one rank trains on in one step, and the reader's state right behind it."""

    plan: StepPlan
    batches: tuple[tuple[TrainingBatch, bool], ...]  # each with whether it counts
    position: dict[str, Any]  # a resumed run reads on from here

    @property
    def broken(self) -> dict[str, int]:
        """Unreadable samples met since the run began, by key."""
        found: dict[str, int] = self.position["broken"]
        return found

    @property
    def too_long(self) -> dict[str, int]:
        """Samples left out for their length since the run began, by key."""
        found: dict[str, int] = self.position["too_long"]
        return found

    @property
    def reasons(self) -> dict[str, str]:
        """Why each sample of either kind was left out, by key."""
        found: dict[str, str] = self.position["reasons"]
        return found


class StepFeed:
    """Steps in order, one of them ahead; what a step holds does not depend on when it was built.

    The thread alone touches the mixture, so a checkpoint takes the position from the step that it follows, not from
    the mixture, which is already further on. Host memory holds the packs of two steps.
    """

    def __init__(self, planner: StepPlanner, *, rank: int, ranks: int, first: int, stop: int) -> None:
        self.planner, self.rank, self.ranks = planner, rank, ranks
        self.step, self.stop = first, stop
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="step-feed")
        self.ahead: Future[ReadyStep] | None = None

    def take(self) -> ReadyStep:
        """The next step; errors of its reading are raised here."""
        future = self.ahead or self.thread.submit(self._build, self.step)
        ready = future.result()
        self.step += 1
        self.ahead = self.thread.submit(self._build, self.step) if self.step < self.stop else None
        return ready

    def close(self) -> None:
        """Ends the thread; a step being built is waited for and dropped."""
        self.thread.shutdown(cancel_futures=True)

    def _build(self, step: int) -> ReadyStep:
        plan = self.planner.plan(step)
        return ReadyStep(
            plan=plan,
            batches=tuple(
                (self.planner.batch(members, step), counted)
                for members, counted in plan.share(self.rank, self.ranks)
            ),
            position=self.planner.position(),
        )
