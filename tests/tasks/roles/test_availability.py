from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tasks.records.errors import ModelUnavailable
from tasks.roles.availability import Availability, State

Test = Callable[[Availability], Awaitable[None]]


def run(test: Test, *urls: str, probe_s: float = 0.01, patience_s: float = 30.0) -> None:
    async def inside() -> None:
        await test(Availability("vlm", urls or ("http://one/v1",), probe_s=probe_s, patience_s=patience_s))

    asyncio.run(inside())


async def soon(task: asyncio.Task[Any]) -> bool:
    await asyncio.wait([task], timeout=0.1)
    return task.done()


def test_the_first_trouble_takes_a_url_down_and_the_first_words_of_a_probe_bring_it_back() -> None:
    async def test(available: Availability) -> None:
        turn = await available.turn()
        available.away(turn, "status 503", 0)
        available.done(turn)
        assert available.state is State.DOWN
        probe = await available.turn(1)
        assert available.state is State.PROBING
        others = [asyncio.create_task(available.turn()) for _ in range(3)]
        assert not await soon(others[0])
        available.heard(probe)
        for other in others:
            await other
        assert (available.state, available.outstanding, available.falls) == (State.UP, 4, 1)

    run(test)


def test_what_was_sent_before_a_fall_says_nothing_about_the_time_after_it() -> None:
    async def test(available: Availability) -> None:
        old, first = await available.turn(), await available.turn()
        available.away(first, "connection lost", 0)
        probe = await available.turn()
        available.away(old, "connection lost", 0)  # while the probe is under way
        assert available.state is State.PROBING
        available.heard(probe)
        available.away(old, "no reply within the time limit", 0)  # after it is back
        assert available.state is State.UP
        assert available.falls == 1

    run(test)


def test_an_old_request_that_is_answered_does_not_end_the_pause_the_server_asked_for() -> None:
    async def test(available: Availability) -> None:
        old, first = await available.turn(), await available.turn()
        available.away(first, "status 429", 30)
        available.heard(old)
        assert available.state is State.DOWN
        assert not await soon(asyncio.create_task(available.turn()))

    run(test)


def test_the_probe_is_the_question_with_least_trouble() -> None:
    async def test(available: Availability) -> None:
        turn = await available.turn()
        available.away(turn, "status 500", 0.05)
        troubled = asyncio.create_task(available.turn(3))
        await asyncio.sleep(0)
        fresh = asyncio.create_task(available.turn(0))
        done, _ = await asyncio.wait([troubled, fresh], return_when=asyncio.FIRST_COMPLETED)
        assert done == {fresh}
        available.heard(fresh.result())
        await troubled

    run(test)


def test_a_cancelled_probe_is_followed_by_the_next() -> None:
    async def test(available: Availability) -> None:
        turn = await available.turn()
        available.away(turn, "status 500", 0)
        probe = await available.turn()
        waiting = asyncio.create_task(available.turn())
        available.done(probe)  # neither heard nor away
        await waiting
        assert available.state is State.PROBING

    run(test)


def test_a_url_that_is_up_serves_while_another_is_down() -> None:
    async def test(available: Availability) -> None:
        one, two = await available.turn(), await available.turn()
        assert {one.url, two.url} == {"http://one/v1", "http://two/v1"}
        available.away(two, "connection refused", 60)
        assert available.state is State.UP
        assert {(await available.turn()).url for _ in range(5)} == {one.url}

    run(test, "http://one/v1", "http://two/v1", patience_s=0.01)


def test_patience_ends_in_one_fault_and_the_clock_starts_again_with_any_reply() -> None:
    async def test(available: Availability) -> None:
        turn = await available.turn()
        available.away(turn, "status 503", 60)
        with pytest.raises(
            ModelUnavailable, match=r"servers\.vlm: no answer for 0\.05 s .*status 503"
        ) as first:
            await available.turn()
        with pytest.raises(ModelUnavailable) as second:
            await available.turn()
        assert first.value is second.value
        available.recover()
        await available.turn()

    run(test, patience_s=0.05)
