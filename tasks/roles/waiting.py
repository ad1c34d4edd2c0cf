"""Questions that wait for a replica, and which of them go out next, together."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tasks.records.errors import GroundEditError


@dataclass(slots=True, eq=False)
class WaitingQuestion:
    """A question that waits or is at work.

    Attributes:
        since: time of the event loop at which it came, seconds.
        lone_deaths: replicas that crashed while they held it and nothing else.
        answers_at_death: how many batches the pool had answered at the last of these.
        no_memory: it was alone in its batch when the device's memory did not suffice.
    """

    route: str
    payload: Any
    since: float
    answer: asyncio.Future[Any]
    lone_deaths: int = 0
    answers_at_death: int = 0
    no_memory: bool = False

    @property
    def over(self) -> bool:
        """It has an answer or an error, or its asker was cancelled."""
        return self.answer.done()

    def give(self, answer: Any) -> None:
        """Ends it with an answer or an exception; nothing happens when it is over."""
        if self.over:
            return
        if isinstance(answer, GroundEditError):
            self.answer.set_exception(answer)
        else:
            self.answer.set_result(answer)


class Waiting:
    """The queues of a pool: one per route, and one of questions that must be asked alone.

    Args:
        max_batch: questions in one batch.
        max_wait_s: how long the first question of a batch waits for others, while a replica is busy anyway.
    """

    def __init__(self, routes: Iterable[str], max_batch: int, max_wait_s: float) -> None:
        self._routes: dict[str, deque[WaitingQuestion]] = {route: deque() for route in routes}
        self._alone: deque[WaitingQuestion] = deque()
        self._max_batch = max_batch
        self._max_wait_s = max_wait_s

    def add(self, question: WaitingQuestion, *, alone: bool = False) -> None:
        """At the end of its queue."""
        (self._alone if alone else self._routes[question.route]).append(question)

    def put_back(self, questions: Iterable[WaitingQuestion]) -> None:
        """To the front, in their order."""
        for question in reversed(list(questions)):
            self._routes[question.route].appendleft(question)

    def count(self, route: str | None = None) -> int:
        """How many wait, for one route or all."""
        return sum(not q.over for q in self._all() if route in (None, q.route))

    def take_all(self) -> list[WaitingQuestion]:
        """Everything, out of the queues."""
        taken = list(self._all())
        for queue in (*self._routes.values(), self._alone):
            queue.clear()
        return taken

    def next_due(self) -> float | None:
        """When a batch that is not full has waited long enough."""
        self._drop_cancelled()
        firsts = [queue[0].since for queue in self._routes.values() if queue]
        return min(firsts) + self._max_wait_s if firsts else None

    def next_batch(self, now: float, *, idle: bool) -> list[WaitingQuestion]:
        """Of the routes that may go out the one whose first question waits longest; for an idle replica all may."""
        self._drop_cancelled()
        ripe = [
            queue
            for queue in self._routes.values()
            if queue and (idle or len(queue) >= self._max_batch or queue[0].since + self._max_wait_s <= now)
        ]
        batch: list[WaitingQuestion] = []
        if ripe:
            queue = min(ripe, key=lambda q: q[0].since)
            while queue and len(batch) < self._max_batch:
                question = queue.popleft()
                if not question.over:
                    batch.append(question)
        return batch

    def lone_one(self, answered: int, *, busy: bool, from_end: bool = False) -> WaitingQuestion | None:
        """The question that must be alone and is next; it stays in its queue.

        One that was alone in a replica that crashed waits until another question has been answered, as long as there
        are others: without an answer in between nobody could tell a question that kills from a machine that fails.

        Args:
            answered: batches answered by the pool.
            busy: some replica is at work.
            from_end: look from the other end of the queue.
        """
        self._drop_cancelled()
        for question in reversed(self._alone) if from_end else self._alone:
            if not question.over and (not question.lone_deaths or answered > question.answers_at_death):
                return question
        if busy or any(self._routes.values()):
            return None
        return next((question for question in self._alone if not question.over), None)

    def take(self, question: WaitingQuestion) -> None:
        """Out of the queue of those that must be alone."""
        self._alone.remove(question)

    def _all(self) -> Iterable[WaitingQuestion]:
        for queue in (*self._routes.values(), self._alone):
            yield from queue

    def _drop_cancelled(self) -> None:
        for queue in (*self._routes.values(), self._alone):
            while queue and queue[0].over:
                queue.popleft()
