"""Servers that are started at the first question, again when they end, and given up when they always end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from tasks.records.errors import EnvironmentFault, ModelUnavailable, Reason, SampleError
from tasks.roles import own_server
from tasks.roles.own_server import CannotStart
from tasks.roles.placement import ServerSettings
from tasks.roles.server_set import ServerSet
from tasks.roles.servers import ENDS_ALONE, ENDS_TOGETHER
from tests.serving.chat_server import ChatServer
from tests.serving.scripts import Answer, Asked
from tests.tasks.roles.test_servers import request


@dataclass
class Started:
    """A server on a thread; `die` ends it as a crash would."""

    chat: ChatServer
    died: asyncio.Event = field(default_factory=asyncio.Event)
    closed: bool = False

    @property
    def urls(self) -> tuple[str, ...]:
        return (self.chat.url,)

    async def die(self) -> None:
        await asyncio.to_thread(self.chat.die)
        self.died.set()

    async def ended(self) -> str:
        await self.died.wait()
        return "was ended by SIGKILL"

    async def close(self) -> None:
        if not self.closed:
            self.closed = True
            await asyncio.to_thread(self.chat.stop)


class Starter:
    """Starts servers and remembers them; ``faults`` are raised first."""

    def __init__(self, *faults: Exception, script: Any = None) -> None:
        self.faults = list(faults)
        self.script = script or (lambda asked: Answer(text=f"heard {asked.texts[0]}"))
        self.made: list[Started] = []
        self.keys: set[str] = set()

    async def __call__(self, name: str, api_key: str) -> Started:
        self.keys.add(api_key)
        await asyncio.sleep(0.01)
        if self.faults:
            raise self.faults.pop(0)
        made = Started(ChatServer(self.script, api_key=api_key))
        await asyncio.to_thread(made.chat.start)
        self.made.append(made)
        return made


Test = Callable[[ServerSet, Starter], Awaitable[None]]


def run(test: Test, starter: Starter, **serve: Any) -> None:
    async def inside() -> None:
        settings = ServerSettings.model_validate(
            {"model": {"id": "test-model"}, "serve": {"python": "p", **serve}, "probe_s": 0.02}
        )
        servers = ServerSet({"vlm": settings}, starter)
        try:
            await test(servers, starter)
        finally:
            await servers.close()
        assert all(made.closed for made in starter.made)

    asyncio.run(inside())


async def ask(servers: ServerSet, *texts: str) -> list[Any]:
    replies = await asyncio.gather(
        *(servers.asked("vlm").ask(request(text)) for text in texts), return_exceptions=True
    )
    return [reply if isinstance(reply, BaseException) else reply.text for reply in replies]


def test_it_is_started_by_the_first_question_with_a_key_of_its_own() -> None:
    async def test(servers: ServerSet, starter: Starter) -> None:
        assert servers.status()["vlm"]["state"] == "not started"
        assert starter.made == []
        assert await ask(servers, "a", "b") == ["heard a", "heard b"]
        assert len(starter.made) == 1
        (key,) = starter.keys
        assert len(key) > 30
        status = servers.status()["vlm"]
        assert (status["state"], status["running"], status["restarts"]) == ("up", 1, 0)

    run(test, Starter())


def test_one_that_dies_is_started_again_elsewhere_and_no_question_is_lost() -> None:
    async def test(servers: ServerSet, starter: Starter) -> None:
        asking = asyncio.create_task(ask(servers, *map(str, range(30))))
        while not starter.made or servers.status()["vlm"]["answered"] < 3:
            await asyncio.sleep(0.005)
        await starter.made[0].die()
        assert await asking == [f"heard {n}" for n in range(30)]
        assert len(starter.made) == 2
        assert servers.status()["vlm"]["restarts"] == 1

    def slow(asked: Asked) -> Answer:
        return Answer(text=f"heard {asked.texts[0]}", after_s=0.1 * (asked.number % 5))

    run(test, Starter(script=slow))


def test_three_ends_with_no_answer_between_are_the_last() -> None:
    faults = [ModelUnavailable(f"servers.vlm: ended with exit code 1 ({n})") for n in range(5)]

    async def test(servers: ServerSet, starter: Starter) -> None:
        answers = await ask(servers, "a", "b")
        assert {type(answer) for answer in answers} == {ModelUnavailable}
        assert "exit code 1 (2)" in str(answers[0])
        assert "3 ends with no answer between" in str(answers[0])
        assert len(starter.faults) == 2
        assert await ask(servers, "c") == [answers[0]]

    run(test, Starter(*faults))


def test_an_answer_between_two_ends_starts_the_count_again() -> None:
    async def test(servers: ServerSet, starter: Starter) -> None:
        for n in range(5):
            assert await ask(servers, str(n)) == [f"heard {n}"]
            await starter.made[-1].die()
        assert len(starter.made) == 5

    run(test, Starter())


@pytest.mark.parametrize("others", [0, 20])
def test_a_question_that_ends_the_server_is_one_failure_and_no_other_suffers(others: int) -> None:
    def script(asked: Asked) -> Answer:
        if asked.texts[0] == "poison":
            starter.end_soon()
            return Answer(after_s=30)
        return Answer(text=f"heard {asked.texts[0]}", after_s=0.02)

    class Mortal(Starter):
        def end_soon(self) -> None:
            self.loop.call_soon_threadsafe(lambda: asyncio.ensure_future(self.made[-1].die()))

    async def test(servers: ServerSet, starter: Mortal) -> None:
        starter.loop = asyncio.get_running_loop()
        poison, *answers = await ask(servers, "poison", *map(str, range(others)))
        assert isinstance(poison, SampleError)
        assert poison.reason is Reason.CRASHED
        assert answers == [f"heard {n}" for n in range(others)]
        assert len(starter.made) <= ENDS_TOGETHER + ENDS_ALONE + 1
        assert await ask(servers, "z") == ["heard z"]

    starter = Mortal(script=script)
    run(test, starter)


def test_one_that_cannot_be_started_is_not_tried_twice() -> None:
    async def test(servers: ServerSet, starter: Starter) -> None:
        (answer,) = await ask(servers, "a")
        assert isinstance(answer, CannotStart)
        assert len(starter.faults) == 1
        assert servers.status()["vlm"]["stopped"] == "no such python"

    run(test, Starter(CannotStart("no such python"), CannotStart("again")))


def test_one_that_is_released_begins_again_with_the_next_question() -> None:
    async def test(servers: ServerSet, starter: Starter) -> None:
        assert await ask(servers, "a") == ["heard a"]
        await servers.release("vlm")
        assert starter.made[0].closed
        assert servers.status()["vlm"]["state"] == "not started"
        assert await ask(servers, "b") == ["heard b"]
        assert len(starter.made) == 2

    run(test, Starter())


def test_replicas_share_the_questions() -> None:
    async def test(servers: ServerSet, starter: Starter) -> None:
        servers.expect(["vlm"])
        await servers.up()
        while servers.status()["vlm"]["running"] < 3:
            await asyncio.sleep(0.01)
        await ask(servers, *map(str, range(30)))
        assert [made.chat.asked.total() > 0 for made in starter.made] == [True, True, True]

    run(test, Starter(script=lambda asked: Answer(text="ok", after_s=0.05)), replicas=3)


def test_one_that_answers_nothing_but_errors_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_server, "DOWN_S", 0.2)
    monkeypatch.setattr(own_server, "POLL_S", 0.05)
    first: list[str] = []

    def ill(asked: Asked) -> Answer:
        first.append(asked.texts[0])
        return Answer(status=500) if len(starter.made) < 2 else Answer(text="well")

    async def test(servers: ServerSet, starter: Starter) -> None:
        assert await ask(servers, "a") == ["well"]
        assert len(starter.made) == 2

    starter = Starter(script=ill)
    run(test, starter)


def test_another_model_than_the_configured_one_is_given_up() -> None:
    class Wrong(Starter):
        async def __call__(self, name: str, api_key: str) -> Started:
            made = await super().__call__(name, api_key)
            made.chat.model = "other"
            return made

    async def test(servers: ServerSet, starter: Starter) -> None:
        (answer,) = await ask(servers, "a")
        assert isinstance(answer, EnvironmentFault)
        assert "'test-model' is not served" in str(answer)
        assert len(starter.made) == 1

    run(test, Wrong())


def test_closing_ends_one_that_is_still_starting() -> None:
    class Slow(Starter):
        cancelled = False

        async def __call__(self, name: str, api_key: str) -> Started:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                Slow.cancelled = True
                raise
            raise AssertionError

    async def test(servers: ServerSet, starter: Starter) -> None:
        asking = asyncio.create_task(ask(servers, "a"))
        await asyncio.sleep(0.05)
        assert servers.status()["vlm"]["state"] == "starting"
        await servers.close()
        assert isinstance((await asking)[0], EnvironmentFault)

    run(test, Slow())
    assert Slow.cancelled
