"""Busy time of pools and servers, shared among the routes with questions there."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tasks.roles.occupancy import Occupancy
from tests.tasks.roles.scripted_routers import FakeLocal, ask_all, call, routing


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_place_is_busy_while_it_has_questions_and_no_longer() -> None:
    clock = Clock()
    busy = Occupancy(clock)
    busy.changed("gpu", "a", 1, instances=1)
    clock.now = 2.0
    busy.changed("gpu", "a", 1, instances=1)
    clock.now = 3.0
    busy.changed("gpu", "a", -1, instances=1)
    busy.changed("gpu", "a", -1, instances=1)
    clock.now = 100.0
    busy.changed("gpu", "a", 1, instances=1)
    assert busy.seconds("a") == 3.0
    assert busy.seconds("b") == 0.0


def test_routes_of_one_place_share_its_time_by_their_questions() -> None:
    clock = Clock()
    busy = Occupancy(clock)
    for route, number in (("a", 3), ("b", 1)):
        for _ in range(number):
            busy.changed("gpu", route, 1, instances=1)
    busy.changed("other", "c", 1, instances=1)
    clock.now = 8.0
    busy.changed("gpu", "a", -1, instances=1)
    busy.changed("other", "c", -1, instances=1)
    assert (busy.seconds("a"), busy.seconds("b"), busy.seconds("c")) == (6.0, 2.0, 8.0)


@pytest.mark.parametrize(("instances", "questions", "expected"), [(4, 2, 20.0), (4, 9, 40.0), (0, 5, 0.0)])
def test_idle_instances_do_not_count(instances: int, questions: int, expected: float) -> None:
    """Fewer questions than replicas leave some idle; while none is loaded, nobody is busy."""
    clock = Clock()
    busy = Occupancy(clock)
    for _ in range(questions):
        busy.changed("gpu", "a", 1, instances)
    clock.now = 10.0
    busy.changed("gpu", "a", -1, instances)
    assert busy.seconds("a") == pytest.approx(expected)


def test_a_router_tells_the_busy_time_of_each_route(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeLocal, "blocking_s", 0.05)

    async def build() -> float:
        async with routing(tmp_path, max_batch=1) as router:
            await router.ready(["writers"])
            await ask_all(router, [call(i) for i in range(4)])
            await asyncio.sleep(0.3)
            return float(router.status()["routes"]["rewriter"]["busy_s"])

    # Four answers of 0.05 s one after the other, though their latencies add up to 0.5 s; the rest is idle time.
    assert 0.2 <= asyncio.run(build()) < 0.45
