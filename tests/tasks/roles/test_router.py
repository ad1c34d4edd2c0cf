from __future__ import annotations

import asyncio
import hashlib
import random
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tasks.records.errors import (
    EnvironmentFault,
    ModelUnavailable,
    Reason,
    SampleError,
    StageStopped,
)
from tasks.records.records import ModelIdentity
from tasks.records.settings_base import Settings
from tasks.roles.answers import KeptAnswers
from tasks.roles.backend import Backend, LocalBackend, ServedBackend
from tasks.roles.backends import BackendChoice
from tasks.roles.calls import Answered, RoleCall, Route
from tasks.roles.chat import BadReply, ChatReply, ChatRequest
from tasks.roles.placement import PoolSettings, ServerSettings
from tasks.roles.replicas import OwnerDied
from tasks.roles.route_counts import WINDOW
from tasks.roles.router import Router
from tasks.storage.objects.store import open_store
from tests.serving.chat_server import Answer, Asked, ChatServer
from tests.tasks.roles.scripted_replicas import ScriptedMaker, crash

SID = "ab" + "c" * 24


class Fake(Backend[Any, str]):
    Options: ClassVar[type[Settings]] = Settings
    answering: ClassVar[frozenset[str]] = frozenset()
    reproducible: ClassVar[bool] = False
    wire: ClassVar[int] = 1

    def __init__(self, options: Any) -> None:
        del options

    @classmethod
    def identity_of(cls, options: Any) -> ModelIdentity:
        return ModelIdentity(role="rewriter", backend="fake", model="fake", revision="1", digest="none")


class FakeLocal(Fake, LocalBackend[Any, str]):
    """Says in which thread it was loaded and asked."""

    threads: ClassVar[list[str]] = []
    blocking_s: ClassVar[float] = 0.0

    def __init__(self, options: Any) -> None:
        self.threads.append(threading.current_thread().name)
        super().__init__(options)

    def answer(self, questions: Sequence[str]) -> list[str]:
        self.threads.append(threading.current_thread().name)
        time.sleep(self.blocking_s)
        return [f"local {question}" for question in questions]


class FakeReproducible(FakeLocal):
    reproducible: ClassVar[bool] = True


class FakeServed(Fake, ServedBackend[Any, str]):
    """Accepts replies that begin with ``ok``."""

    reproducible: ClassVar[bool] = False

    def request(self, question: Any) -> ChatRequest:
        raise NotImplementedError

    def read(self, reply: ChatReply, request: ChatRequest) -> str:
        if reply.text == "no":
            raise SampleError(Reason.REFUSED_BY_MODEL, "said no")
        if not reply.text.startswith("ok"):
            raise BadReply("not_ok", "no ok in it")
        return reply.text


def route(backend: type[Backend[Any, Any]], run: str, name: str = "rewriter") -> Route:
    choice = BackendChoice(role="rewriter", name="fake", backend=backend, options=Settings(), prompts=())
    return Route(name=name, role="rewriter", choice=choice, run=run)


def call(payload: Any, *, key: Any = None, sid: str = SID, route: str = "rewriter") -> RoleCall:
    digest = hashlib.sha256(str(payload if key is None else key).encode()).hexdigest()
    return RoleCall(route=route, key=digest, sid=sid, subject=f"sample {payload}", payload=payload)


def pool_settings(**changes: Any) -> PoolSettings:
    return PoolSettings(**{"holds": ("rewriter",), "max_batch": 8, "max_wait_ms": 2, **changes})


@asynccontextmanager
async def routing(
    folder: Path, maker: Any = None, backend: type[Backend[Any, Any]] = FakeLocal, **pool: Any
) -> AsyncIterator[Router]:
    with KeptAnswers(open_store(str(folder / "out"))) as keeper:
        router = Router(
            [route(backend, "writers")],
            pools={"writers": pool_settings(**pool)},
            servers={},
            keeper=keeper,
            make_replica=maker,
        )
        try:
            yield router
        finally:
            await router.close()


@asynccontextmanager
async def routing_to(folder: Path, server: ChatServer, **changes: Any) -> AsyncIterator[Router]:
    of_server = {"model": {"id": "test-model"}, "urls": [server.url], "probe_s": 0.01, "timeout_s": 5}
    with KeptAnswers(open_store(str(folder / "out"))) as keeper:
        router = Router(
            [route(FakeServed, "llm")],
            pools={},
            servers={"llm": ServerSettings.model_validate({**of_server, **changes})},
            keeper=keeper,
        )
        try:
            yield router
        finally:
            await router.close()


def request(text: str, **changes: Any) -> ChatRequest:
    return ChatRequest(**{"parts": (text,), "sampling": {"max_tokens": 8}, "seed": 7, **changes})


async def ask_all(router: Router, calls: Any) -> list[Any]:
    given = await asyncio.gather(*(router.ask(c) for c in calls), return_exceptions=True)
    return [answered.answer if isinstance(answered, Answered) else answered for answered in given]


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
