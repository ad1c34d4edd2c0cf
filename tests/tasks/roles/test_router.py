from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tasks.records.errors import (
    EnvironmentFault,
    Reason,
    SampleError,
    StageStopped,
)
from tasks.roles.replicas import OwnerDied
from tests.tasks.roles.scripted_replicas import ScriptedMaker, crash
from tests.tasks.roles.scripted_routers import (
    SID,
    FakeLocal,
    FakeReproducible,
    ask_all,
    call,
    routing,
)


def test_what_is_stored_is_not_asked_for_again(tmp_path: Path) -> None:
    maker = ScriptedMaker()

    async def build() -> tuple[list[Any], dict[str, Any]]:
        async with routing(tmp_path, maker) as router:
            answers = await ask_all(router, [call(i) for i in range(10)])
            return answers, router.status()["routes"]["rewriter"]

    expected = [f"rewriter:{i}" for i in range(10)]
    first, counts = asyncio.run(build())
    assert (first, counts["answered"], counts["kept_used"]) == (expected, 10, 0)
    assert counts["batch_fill"] == 10 / (counts["batches"] * 8)
    second, counts = asyncio.run(build())
    assert (second, counts["answered"], counts["kept_used"]) == (expected, 0, 10)
    assert sum(len(batch) for batch in maker.batches) == 10


def test_a_backend_that_repeats_itself_keeps_nothing(tmp_path: Path) -> None:
    maker = ScriptedMaker()

    async def build() -> None:
        async with routing(tmp_path, maker, FakeReproducible) as router:
            assert await ask_all(router, [call(1)]) == ["rewriter:1"]

    asyncio.run(build())
    asyncio.run(build())
    assert maker.batches == [[1], [1]]
    assert not list(tmp_path.rglob("*.tar"))


def test_equal_questions_in_flight_are_asked_once(tmp_path: Path) -> None:
    async def build() -> None:
        maker = ScriptedMaker()
        async with routing(tmp_path, maker) as router:
            answers = await ask_all(router, [call(i % 4) for i in range(40)])
            assert answers == [f"rewriter:{i % 4}" for i in range(40)]
            assert Counter(p for batch in maker.batches for p in batch) == Counter(range(4))
            counts = router.status()["routes"]["rewriter"]
            assert (counts["asked"], counts["joined"], counts["answered"]) == (40, 36, 4)
            assert counts["in_flight"] == 0

    asyncio.run(build())


def test_each_photograph_keeps_its_own_answers(tmp_path: Path) -> None:
    other = "cd" + "e" * 24

    async def build() -> None:
        async with routing(tmp_path, ScriptedMaker()) as router:
            await ask_all(router, [call(1), call(1, sid=other)])

    asyncio.run(build())
    assert len(list(tmp_path.rglob(f"{SID}/*.tar"))) == len(list(tmp_path.rglob(f"{other}/*.tar"))) == 1


def test_an_asker_that_is_cancelled_leaves_the_others_their_answer(tmp_path: Path) -> None:
    async def build() -> None:
        maker = ScriptedMaker()
        maker.gate.clear()
        async with routing(tmp_path, maker) as router:
            asking = [asyncio.create_task(router.ask(call("same"))) for _ in range(3)]
            alone = asyncio.create_task(router.ask(call("other")))
            while not maker.batches:
                await asyncio.sleep(0.001)
            asking[0].cancel()  # it asked first; the others joined it
            alone.cancel()
            await asyncio.sleep(0)
            maker.gate.set()
            answers = await asyncio.gather(*asking[1:])
            assert [answered.answer for answered in answers] == ["rewriter:same"] * 2
            assert asking[0].cancelled()
            assert alone.cancelled()
            assert (await router.ask(call("other"))).answer == "rewriter:other"

    asyncio.run(build())


def test_a_question_outlives_the_worker_that_asked_it_first(tmp_path: Path) -> None:
    """The pictures of the first asker go with its process; the one who joined has its own."""

    def script(route: str, payloads: list[str]) -> list[Any]:
        return [OwnerDied("worker 1") if p == "of the dead" else f"answer {p}" for p in payloads]

    async def build() -> None:
        async with routing(tmp_path, ScriptedMaker(script)) as router:
            first, second = await ask_all(
                router, [call("of the dead", key="same"), call("of the living", key="same")]
            )
            assert isinstance(first, OwnerDied)
            assert second == "answer of the living"

    asyncio.run(build())


def test_the_loser_of_a_race_uses_what_is_stored(tmp_path: Path) -> None:
    async def builds() -> None:
        one, two = ScriptedMaker(), ScriptedMaker()
        one.script = lambda route, payloads: ["one's answer" for _ in payloads]
        two.script = lambda route, payloads: ["two's answer" for _ in payloads]
        two.gate.clear()
        async with routing(tmp_path, one) as first, routing(tmp_path, two) as second:
            slow = asyncio.create_task(second.ask(call("same")))
            while not two.batches:
                await asyncio.sleep(0.001)
            assert (await first.ask(call("same"))).answer == "one's answer"
            two.gate.set()
            assert (await slow).answer == "one's answer"

    asyncio.run(builds())


def test_an_answer_is_stored_before_it_is_used(tmp_path: Path) -> None:
    async def build() -> None:
        async with routing(tmp_path, ScriptedMaker()) as router:
            assert (await router.ask(call(1))).answer == "rewriter:1"
            assert len(list(tmp_path.rglob("*.tar"))) == 1

    asyncio.run(build())


def test_an_answer_that_cannot_be_stored_is_that_questions_row(tmp_path: Path) -> None:
    def script(route: str, payloads: list[int]) -> list[Any]:
        return [float("nan") if p == 1 else f"rewriter:{p}" for p in payloads]

    async def build() -> None:
        async with routing(tmp_path, ScriptedMaker(script)) as router:
            answers = await ask_all(router, [call(i) for i in range(3)])
            assert (answers[0], answers[2]) == ("rewriter:0", "rewriter:2")
            assert isinstance(answers[1], SampleError)

    asyncio.run(build())
    assert len(list(tmp_path.rglob("*.tar"))) == 3  # a replay has to know that there was none


def test_the_next_build_tries_failures_again_and_keeps_rejections(tmp_path: Path) -> None:
    maker = ScriptedMaker()

    def script(route: str, payloads: list[str]) -> list[Any]:
        reasons = {"fails": Reason.BACKEND_ERROR, "declines": Reason.NO_UNIQUE_REFERENCE}
        return [SampleError(reasons[p]) for p in payloads]

    maker.script = script

    async def build() -> None:
        async with routing(tmp_path, maker) as router:
            for _ in range(2):
                answers = await ask_all(router, [call("fails"), call("declines")])
                assert [a.reason.value for a in answers] == ["backend_error", "no_unique_reference"]

    asyncio.run(build())
    asyncio.run(build())
    assert Counter(p for batch in maker.batches for p in batch) == {"fails": 2, "declines": 1}
    assert Counter(path.suffixes[0] for path in tmp_path.rglob("*.tar")) == {".r0": 2, ".r1": 1}


def test_the_models_of_a_pool_are_loaded_and_asked_in_a_thread_of_their_own(tmp_path: Path) -> None:
    FakeLocal.threads.clear()
    FakeLocal.blocking_s = 0.3

    async def build() -> int:
        async with routing(tmp_path) as router:
            asking = asyncio.create_task(ask_all(router, [call(i) for i in range(5)]))
            turns = 0
            while not asking.done():
                turns += 1
                await asyncio.sleep(0.005)
            assert asking.result() == [f"local {i}" for i in range(5)]
            return turns

    try:
        assert asyncio.run(build()) > 5  # the loop went on meanwhile
    finally:
        FakeLocal.blocking_s = 0.0
    assert len(set(FakeLocal.threads)) == 1
    assert FakeLocal.threads[0].startswith("replica")


def test_a_closed_router_takes_no_questions_and_leaves_nobody_waiting(tmp_path: Path) -> None:
    async def build(drain: bool) -> list[Any]:
        maker = ScriptedMaker()
        maker.gate.clear()
        async with routing(tmp_path / str(drain), maker, max_batch=2) as router:
            asking = asyncio.create_task(ask_all(router, [call(i) for i in range(5)]))
            while not maker.batches:
                await asyncio.sleep(0.001)
            closing = asyncio.create_task(router.close(drain=drain))
            await asyncio.sleep(0)
            with pytest.raises(EnvironmentFault, match="no more questions"):
                await router.ask(call(99))
            maker.gate.set()
            await closing
            return await asking

    assert {type(answer) for answer in asyncio.run(build(drain=False))} == {EnvironmentFault}
    assert asyncio.run(build(drain=True)) == [f"rewriter:{i}" for i in range(5)]


def test_a_pool_that_is_released_is_ended_and_made_again_when_somebody_asks(tmp_path: Path) -> None:
    async def build() -> None:
        maker = ScriptedMaker()
        async with routing(tmp_path, maker) as router:
            await router.ready(["writers"])
            assert router.status()["pools"]["writers"]["replicas"] == 1
            await router.ask(call(1))
            await router.release(["writers"])
            assert [replica.closed for replica in maker.made] == [True]
            assert router.status()["pools"]["writers"]["replicas"] == 0
            assert (await router.ask(call(1))).kept  # what is stored needs nobody
            router.pool_at("writers", 3)
            await router.ready(["writers"])
            assert (await router.ask(call(2))).answer == "rewriter:2"
            assert [replica.closed for replica in maker.made] == [True, False, False, False]
            assert router.status()["routes"]["rewriter"]["asked"] == 3

    asyncio.run(build())


def test_a_route_that_too_often_lacks_memory_stops(tmp_path: Path) -> None:
    def script(route: str, payloads: list[int]) -> list[Any]:
        return [SampleError(Reason.OUT_OF_MEMORY) if p < 5 else f"rewriter:{p}" for p in payloads]

    async def build() -> None:
        async with routing(tmp_path, ScriptedMaker(script)) as router:
            answers = await ask_all(router, [call(i) for i in range(5)])
            assert {type(answer) for answer in answers} == {SampleError}
            with pytest.raises(StageStopped, match="rewriter: 5 of 5 questions did not fit"):
                await router.ask(call(9))

    asyncio.run(build())


def test_counts_tell_of_deaths(tmp_path: Path) -> None:
    async def build() -> None:
        maker = ScriptedMaker()

        def script(route: str, payloads: list[int]) -> list[str]:
            if len(maker.made) == 1:
                raise crash()
            return [f"rewriter:{p}" for p in payloads]

        maker.script = script
        async with routing(tmp_path, maker) as router:
            await ask_all(router, [call(i) for i in range(4)])
            status = router.status()
            assert status["routes"]["rewriter"]["deaths"] == 1
            assert status["routes"]["rewriter"]["asked_again"] >= 1
            assert (status["pools"]["writers"]["deaths"], status["pools"]["writers"]["restarts"]) == (1, 1)

    asyncio.run(build())
