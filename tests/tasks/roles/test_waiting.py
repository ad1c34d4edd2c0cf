from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from tasks.records.errors import Reason, SampleError
from tasks.roles.waiting import Waiting, WaitingQuestion


def with_questions(test: Callable[[Callable[..., WaitingQuestion]], None]) -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()

        def question(payload: Any, route: str = "tags", since: float = 0.0) -> WaitingQuestion:
            return WaitingQuestion(route, payload, since, loop.create_future())

        test(question)

    asyncio.run(run())


def payloads(batch: list[WaitingQuestion]) -> list[Any]:
    return [question.payload for question in batch]


def test_a_batch_is_due_when_full_or_old_and_at_once_for_an_idle_replica() -> None:
    def test(question: Callable[..., WaitingQuestion]) -> None:
        waiting = Waiting(["tags", "boxes"], max_batch=3, max_wait_s=5)
        waiting.add(question("a", since=10))
        assert waiting.next_due() == 15
        assert waiting.next_batch(14, idle=False) == []
        assert payloads(waiting.next_batch(15, idle=False)) == ["a"]
        for name in "bcde":
            waiting.add(question(name, since=20))
        assert payloads(waiting.next_batch(20, idle=False)) == ["b", "c", "d"]
        assert waiting.next_batch(20, idle=False) == []
        assert payloads(waiting.next_batch(20, idle=True)) == ["e"]
        assert waiting.next_due() is None

    with_questions(test)


def test_the_route_that_waits_longest_goes_first() -> None:
    def test(question: Callable[..., WaitingQuestion]) -> None:
        waiting = Waiting(["tags", "boxes"], max_batch=3, max_wait_s=5)
        waiting.add(question("late", since=2))
        waiting.add(question("early", "boxes", since=1))
        assert payloads(waiting.next_batch(2, idle=True)) == ["early"]

    with_questions(test)


def test_questions_put_back_are_first_and_cancelled_ones_are_nowhere() -> None:
    def test(question: Callable[..., WaitingQuestion]) -> None:
        waiting = Waiting(["tags"], max_batch=8, max_wait_s=5)
        one, two, three = (question(name) for name in ("one", "two", "three"))
        waiting.add(three)
        waiting.put_back([one, two])
        two.answer.cancel()
        assert waiting.count() == waiting.count("tags") == 2
        assert payloads(waiting.next_batch(0, idle=True)) == ["one", "three"]

    with_questions(test)


def test_a_question_that_was_alone_at_a_death_waits_for_an_answer_while_there_are_others() -> None:
    def test(question: Callable[..., WaitingQuestion]) -> None:
        waiting = Waiting(["tags"], max_batch=8, max_wait_s=5)
        killer, suspect = question("killer"), question("suspect")
        killer.lone_deaths, killer.answers_at_death = 1, 7
        waiting.add(killer, alone=True)
        waiting.add(suspect, alone=True)
        assert waiting.lone_one(7, busy=False) is suspect
        waiting.take(suspect)
        assert waiting.lone_one(7, busy=True) is None
        assert waiting.lone_one(8, busy=True) is killer
        assert waiting.lone_one(7, busy=False) is killer  # nobody else is there

    with_questions(test)


def test_what_is_given_twice_counts_once_and_an_error_is_raised() -> None:
    async def run() -> None:
        question = WaitingQuestion("tags", 1, 0.0, asyncio.get_running_loop().create_future())
        question.give(SampleError(Reason.CRASHED))
        question.give("late")
        assert isinstance(question.answer.exception(), SampleError)

    asyncio.run(run())
