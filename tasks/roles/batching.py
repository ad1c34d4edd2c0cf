"""A pool: replicas of a process with one or several models, and the batches in which questions reach them.

A batch holds questions of one route; a replica has at most two in hand, so that it never waits for the next. A batch
goes out when it is full, when its first question has waited long enough, or when a replica has nothing to do.

Who is to blame when something breaks:

    the backend raises on a batch       the batch is halved until the guilty question is alone
    the device's memory is too small    the same; a single question is asked once more with nothing beside it
    a replica crashes                   its questions are asked one by one; two crashes alone with one convict it
    a replica ends in another way       nobody; its questions are asked again
    three ends with no answer between   the machine or the model: the pool stops

Replicas that end beside one that ended count as one end. Before the third of these, a question that was answered
earlier is asked again if there is one, so that a few questions that kill, side by side, are not taken for a machine
that fails.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from tasks.records.errors import (
    EnvironmentFault,
    GroundEditError,
    OutOfMemory,
    Reason,
    SampleError,
)
from tasks.roles.placement import PoolSettings
from tasks.roles.replica_set import HeldReplica, ReplicaSet
from tasks.roles.replicas import Cause, MakeReplica, OwnerDied, ReplicaDied
from tasks.roles.route_counts import RouteCounts
from tasks.roles.waiting import Waiting, WaitingQuestion

CALLS_PER_REPLICA = 2
DEATHS_ALONE = 2

ABOUT_QUESTIONS = (SampleError, OwnerDied, OutOfMemory)
"""What a replica raises because of what it was asked; our other errors are about the replica itself."""


class Pool:
    """Puts the questions of some routes to the replicas of one pool. Used from one event loop.

    Args:
        name: of the pool in the configuration.
        settings: batch size, waiting time, and what `ReplicaSet` needs.
        make_replica: gives a new, loaded replica.
        counts: counters of the routes that the pool answers, by route.
    """

    def __init__(
        self, name: str, settings: PoolSettings, make_replica: MakeReplica, counts: Mapping[str, RouteCounts]
    ) -> None:
        self.name = name
        self.settings = settings
        self._counts = counts
        self._waiting = Waiting(counts, settings.max_batch, settings.max_wait_ms / 1000)
        self._replicas = ReplicaSet(name, settings, make_replica, on_ready=self._look, on_end=self._finish)
        self._serving: set[asyncio.Task[None]] = set()
        self._answers = 0
        self._known_good: tuple[str, Any] | None = None
        self._control: WaitingQuestion | None = None
        self._next_look: asyncio.Handle | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def ask(self, route: str, payload: Any) -> Any:
        """The answer to one question; replicas are made when the first question comes.

        Raises:
            SampleError: this question has no answer.
            OwnerDied: its pictures went away with their process.
            EnvironmentFault: there can be no replica.
            StageStopped: replicas end again and again.
        """
        if self._replicas.end is not None:
            raise self._replicas.end
        self._replicas.fill_up()
        loop = asyncio.get_running_loop()
        question = WaitingQuestion(route, payload, loop.time(), loop.create_future())
        self._waiting.add(question)
        self._look()
        return await question.answer

    async def ready(self) -> None:
        """Starts the replicas and waits until each is loaded.

        Raises:
            EnvironmentFault, StageStopped: as `ask`.
        """
        await self._replicas.ready()

    def resize(self, replicas: int) -> None:
        """Another number of replicas; none is ended for it."""
        self._replicas.size = replicas

    async def close(self) -> None:
        """Ends all replicas; questions that still wait get an `EnvironmentFault`."""
        self._replicas.finish(EnvironmentFault(f"pools.{self.name}: closed"))
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        await self._replicas.close()

    @property
    def living(self) -> int:
        """Replicas that are loaded."""
        return len(self._replicas.living)

    def queued(self, route: str) -> int:
        """Questions of a route that wait for a replica."""
        return self._waiting.count(route)

    def status(self) -> dict[str, Any]:
        """Replicas ready and in the making, and how many ended or were made anew."""
        return {**self._replicas.status(), "queued": self._waiting.count()}

    def _finish(self, end: GroundEditError) -> None:
        self._known_good = None
        for question in self._waiting.take_all():
            question.give(end)

    def _look(self) -> None:
        """Hands out batches once the questions that are being asked at this moment have come in."""
        if self._next_look is None:
            self._next_look = asyncio.get_running_loop().call_soon(self._hand_out)

    def _hand_out(self) -> None:
        self._next_look = None
        while held := self._free():
            batch, reserved = self._next_for(held)
            if not batch:
                break
            held.reserved = reserved
            held.calls += 1
            task = asyncio.create_task(self._serve(held, batch))
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)
        self._set_timer()

    def _next_for(self, held: HeldReplica) -> tuple[list[WaitingQuestion], bool]:
        """What goes to a replica next, if anything, and whether the replica must hold nothing else meanwhile."""
        idle = held.calls == 0
        if self._replicas.last_chance and (self._control is not None or self._known_good is not None):
            # The next death would stop the pool: nothing goes out until it is known that the machine can answer.
            if self._control is not None or not idle:
                return [], False
            self._control = self._known_good_again()
            return [self._control], True
        lone = self._lone_one() if idle else None
        if lone is not None:
            self._waiting.take(lone)
            return [lone], True
        return self._waiting.next_batch(asyncio.get_running_loop().time(), idle=idle), False

    def _free(self) -> HeldReplica | None:
        """The replica with least to do that may get another batch."""
        free = [
            held for held in self._replicas.living if held.calls < CALLS_PER_REPLICA and not held.reserved
        ]
        free.sort(key=lambda held: held.calls)
        if free and free[0].calls and self._lone_one() is not None:
            del free[0]  # it gets nothing more, so that it becomes empty for a question that must be alone
        return free[0] if free else None

    def _lone_one(self) -> WaitingQuestion | None:
        """The next question that must be alone; one at a time, since several that kill would look like a machine."""
        if any(held.reserved for held in self._replicas.living):
            return None
        # Questions that kill tend to stand side by side: before the last death another neighborhood has its turn.
        return self._waiting.lone_one(
            self._answers, busy=self._replicas.busy, from_end=self._replicas.last_chance
        )

    def _known_good_again(self) -> WaitingQuestion:
        """A question that was answered before, as a control; each is used once."""
        assert self._known_good is not None
        (route, payload), self._known_good = self._known_good, None
        loop = asyncio.get_running_loop()
        control = WaitingQuestion(route, payload, loop.time(), loop.create_future())
        control.answer.add_done_callback(lambda answer: answer.cancelled() or answer.exception())
        return control

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = self._waiting.next_due()
        if due is not None and self._free() is not None:
            # Some clocks are coarse: a timer for a moment that has passed already would only spin.
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(max(due, loop.time() + 0.001), self._look)

    async def _serve(self, held: HeldReplica, batch: list[WaitingQuestion]) -> None:
        """One batch and what is left of it after halving."""
        parts = [batch]
        try:
            while parts:
                part = [question for question in parts.pop() if not question.answer.done()]
                if part and held.calls_at_death is None:
                    parts += reversed(await self._call(held, part))
                else:
                    self._ask_again(part)
        except BaseException as error:  # cancelled by `close`, or a mistake here: nobody may wait for ever
            for question in batch:
                question.give(self._replicas.end or EnvironmentFault(f"pools.{self.name}: {error!r}"))
            raise
        finally:
            if batch[0] is self._control:
                self._control.answer.cancel()  # one try is all it gets
                self._control = None
            held.calls -= 1
            held.reserved = False
            self._look()

    async def _call(self, held: HeldReplica, part: list[WaitingQuestion]) -> list[list[WaitingQuestion]]:
        """Puts one batch to a replica; what is returned has to be asked again in this order."""
        route = part[0].route
        counts = self._counts[route]
        counts.batches += 1
        counts.batched += len(part)
        loop = asyncio.get_running_loop()
        begun = loop.time()
        try:
            answers = await held.replica.answer(route, [question.payload for question in part])
        except ReplicaDied as death:
            counts.deaths += 1
            self._replicas.died(death, held)
            self._suspect(part, death, alone=held.calls_at_death == 1 and len(part) == 1)
            return []
        except Exception as error:
            return self._broken(part, error)
        finally:
            counts.seconds += loop.time() - begun
        self._give(part, answers)
        return []

    def _give(self, part: list[WaitingQuestion], answers: Sequence[Any]) -> None:
        self._answers += 1
        self._replicas.answered()
        if len(answers) != len(part):
            msg = f"{len(answers)} answers for {len(part)} questions"
            raise ValueError(msg)
        for question, answer in zip(part, answers, strict=True):
            question.give(answer)
            if not isinstance(answer, Exception):
                self._known_good = question.route, question.payload

    def _broken(self, part: list[WaitingQuestion], error: Exception) -> list[list[WaitingQuestion]]:
        """What follows from an exception of a replica that goes on: halves, or an end for a single question."""
        if isinstance(error, GroundEditError) and not isinstance(error, ABOUT_QUESTIONS):
            for question in part:
                question.give(error)
            return []
        if len(part) > 1:
            middle = len(part) // 2
            return [part[:middle], part[middle:]]
        (question,) = part
        if isinstance(error, OutOfMemory):
            if question.no_memory:
                question.give(SampleError(Reason.OUT_OF_MEMORY, "alone on its device"))
            else:
                question.no_memory = True
                self._alone(question)
        elif isinstance(error, (SampleError, OwnerDied)):
            question.give(error)
        else:
            log = logging.getLogger(f"pools.{self.name}")
            log.warning("%s: the backend failed on one question", question.route, exc_info=error)
            question.give(SampleError(Reason.BACKEND_ERROR, type(error).__name__))
        return []

    def _suspect(self, part: list[WaitingQuestion], death: ReplicaDied, *, alone: bool) -> None:
        """What becomes of questions that a replica held when it ended."""
        if death.cause is not Cause.CRASHED:
            self._ask_again(part)
            return
        for question in part:
            if alone:
                question.lone_deaths += 1
                question.answers_at_death = self._answers
            if question.lone_deaths >= DEATHS_ALONE:
                question.give(SampleError(Reason.CRASHED, f"{DEATHS_ALONE} crashes with this question alone"))
            else:
                self._alone(question)

    def _alone(self, question: WaitingQuestion) -> None:
        if self._replicas.end is not None:
            question.give(self._replicas.end)
        else:
            self._counts[question.route].asked_again += 1
            self._waiting.add(question, alone=True)

    def _ask_again(self, part: list[WaitingQuestion]) -> None:
        """Questions that nobody blames go back to the front of their queue."""
        if self._replicas.end is not None:
            for question in part:
                question.give(self._replicas.end)
        elif part:
            self._counts[part[0].route].asked_again += len(part)
            self._waiting.put_back(part)
