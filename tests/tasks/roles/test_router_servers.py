"""Questions that the router puts to servers."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tasks.records.errors import (
    ModelUnavailable,
    Reason,
    SampleError,
    StageStopped,
)
from tasks.roles.route_counts import WINDOW
from tests.serving.chat_server import Answer, Asked, ChatServer
from tests.tasks.roles.scripted_routers import (
    ask_all,
    call,
    request,
    routing_to,
)


def served(*replies: str) -> Callable[[Asked], Answer]:
    """Replies in this order; the last one for ever."""
    left = list(replies)
    return lambda asked: Answer(text=left.pop(0) if len(left) > 1 else left[0])


def test_a_released_server_takes_questions_again(tmp_path: Path) -> None:
    async def build(server: ChatServer) -> None:
        async with routing_to(tmp_path, server) as router:
            assert (await router.ask(call(request("1"), key=1))).answer == "ok"
            await router.release(["llm"])
            assert (await router.ask(call(request("2"), key=2))).answer == "ok"
            assert (await router.check(["llm"]))["llm"][0].root == "test-model"

    with ChatServer(served("ok")) as server:
        asyncio.run(build(server))


def test_a_bad_reply_goes_back_with_the_reason(tmp_path: Path) -> None:
    asked = request("Rewrite.", again="Not used: $reason. Again.", reasons={"not_ok": "it was not ok"})

    async def build(server: ChatServer) -> None:
        async with routing_to(tmp_path, server) as router:
            assert (await router.ask(call(asked, key=1))).answer == "ok now"
            counts = router.status()["routes"]["rewriter"]
            assert (counts["answered"], counts["refused"], counts["asked_again"]) == (1, 0, 1)

    with ChatServer(served("mumble", "ok now")) as server:
        asyncio.run(build(server))
        first, second = (body for _, body in server.bodies)
    assert [m["role"] for m in second["messages"]] == ["user", "assistant", "user"]
    assert second["messages"][0] == first["messages"][0]
    assert second["messages"][1]["content"] == "mumble"
    assert second["messages"][2]["content"] == "Not used: it was not ok (no ok in it). Again."


def test_a_reply_that_stays_bad_is_kept_as_refused_and_asked_again_by_the_next_build(tmp_path: Path) -> None:
    async def build(server: ChatServer) -> Any:
        async with routing_to(tmp_path, server, bad_replies=1) as router:
            (answer,) = await ask_all(router, [call(request("Rewrite."), key=1)])
            again = await ask_all(router, [call(request("Rewrite."), key=1)])
            assert str(again[0]) == str(answer)
            return answer

    with ChatServer(served("mumble")) as server:
        answer = asyncio.run(build(server))
        assert (answer.reason, answer.detail) == (Reason.BAD_REPLY, "not_ok: no ok in it")
        assert server.came.total() == 2  # once more with another seed, and not again within the build
        assert len({body["seed"] for _, body in server.bodies}) == 2
    (stored,) = tmp_path.rglob("*.tar")
    assert b"mumble" in stored.read_bytes()
    with ChatServer(served("ok at last")) as server:
        assert asyncio.run(build(server)) == "ok at last"
    assert len(list(tmp_path.rglob("*.tar"))) == 2


def test_a_model_that_declines_is_a_failure_with_its_reason(tmp_path: Path) -> None:
    async def build(server: ChatServer) -> None:
        async with routing_to(tmp_path, server) as router:
            (answer,) = await ask_all(router, [call(request("Rewrite."), key=1)])
            assert (answer.reason, answer.detail) == (Reason.REFUSED_BY_MODEL, "said no")
            assert server.came.total() == 1

    with ChatServer(served("no")) as server:
        asyncio.run(build(server))


def test_a_server_that_talks_nonsense_stops_the_stage(tmp_path: Path) -> None:
    async def build(server: ChatServer) -> list[Any]:
        async with routing_to(tmp_path, server, bad_replies=0, in_flight=8) as router:
            answers = []
            for start in range(0, 160, 16):
                calls = [call(request(str(i)), key=i) for i in range(start, start + 16)]
                answers += await ask_all(router, calls)
            return answers

    with ChatServer(served("!!!!")) as server:
        answers = asyncio.run(build(server))
    kinds = Counter(type(answer) for answer in answers)
    assert WINDOW // 2 < kinds[SampleError] <= WINDOW // 2 + 16
    assert kinds[StageStopped] == 160 - kinds[SampleError]


def test_one_server_that_goes_away_is_one_fault_for_all_its_questions(tmp_path: Path) -> None:
    async def build(server: ChatServer) -> None:
        async with routing_to(tmp_path, server, patience_s=0.1) as router:
            await asyncio.to_thread(server.die)
            answers = await ask_all(router, [call(request(str(i)), key=i) for i in range(20)])
            assert {type(answer) for answer in answers} == {ModelUnavailable}
            counts = router.status()["routes"]["rewriter"]
            assert (counts["answered"], counts["refused"], counts["failed"]) == (0, 0, 0)
            assert router.status()["servers"]["llm"]["state"] == "down"

    with ChatServer(served("ok")) as server:
        asyncio.run(build(server))
        server.revive()
    assert not list(tmp_path.rglob("*.tar"))


def test_all_troubles_of_a_server_at_once_lose_no_question(tmp_path: Path) -> None:
    """Slow, busy, silent, broken off, gone for a while: each question ends with its answer, kept once."""
    rng = random.Random(11)
    troubles = [
        Answer(status=429, headers={"Retry-After": "0.05"}),
        Answer(status=503),
        Answer(text="ok but not all of it", half=True),
        Answer(text="ok much too late", after_s=30),
        Answer(text="ok with a stall", between_s=30),
        Answer(text="mumble"),
    ]

    def script(asked: Asked) -> Answer:
        if rng.random() < 0.15:
            return rng.choice(troubles)
        return Answer(text=f"ok {asked.texts[0]}", after_s=rng.random() * 0.02)

    async def build(server: ChatServer) -> None:
        async with routing_to(tmp_path, server, in_flight=16, timeout_s=0.5, bad_replies=4) as router:
            asking = asyncio.create_task(ask_all(router, [call(request(str(i)), key=i) for i in range(120)]))
            while router.status()["routes"]["rewriter"]["answered"] < 40:
                await asyncio.sleep(0.005)
            await asyncio.to_thread(server.die, 0.2)
            assert await asking == [f"ok {i}" for i in range(120)]
            status = router.status()
            counts = status["routes"]["rewriter"]
            assert (counts["answered"], counts["refused"], counts["failed"]) == (120, 0, 0)
            assert status["servers"]["llm"]["times_down"] >= 1

    with ChatServer(script) as server:
        asyncio.run(build(server))
    assert len(list(tmp_path.rglob("*.tar"))) == 120
