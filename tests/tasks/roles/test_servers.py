from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tasks.records.errors import (
    ConfigurationError,
    EnvironmentFault,
    ModelUnavailable,
    Reason,
    SampleError,
)
from tasks.roles.chat import ChatPicture, ChatReply, ChatRequest
from tasks.roles.placement import ServerSettings
from tasks.roles.servers import OWN_ERRORS, Server
from tests.serving.chat_server import ChatServer
from tests.serving.scripts import Answer, Asked, busy

UNIT = 0.02
"""Seconds of pauses and of patience here; in earnest they are 50 times as long and more."""


def settings(*servers: ChatServer, **changes: Any) -> ServerSettings:
    of_server = {
        "model": {"id": "test-model"},
        "urls": [server.url for server in servers],
        "timeout_s": 5,
        "patience_s": 30,
        "probe_s": UNIT,
    }
    return ServerSettings.model_validate({**of_server, **changes})


def request(text: str = "How many cups?", **changes: Any) -> ChatRequest:
    fields: dict[str, Any] = {"parts": (text,), "sampling": {"max_tokens": 8, "temperature": 0}, "seed": 7}
    return ChatRequest(**{**fields, **changes})


def echo(asked: Asked) -> Answer:
    return Answer(text=f"heard {asked.texts[0]}")


class Scripted:
    """Faults for the first requests, in order, then echoes."""

    def __init__(self, *faults: Answer) -> None:
        self.faults = list(faults)
        self.came = 0

    def __call__(self, asked: Asked) -> Answer:
        self.came += 1
        return self.faults.pop(0) if self.faults else echo(asked)


async def ask_all(server: Server, texts: Any) -> list[Any]:
    replies = await asyncio.gather(*(server.ask(request(str(t))) for t in texts), return_exceptions=True)
    return [reply.text if isinstance(reply, ChatReply) else reply for reply in replies]


def heard(texts: Any) -> list[str]:
    return [f"heard {text}" for text in texts]


@contextmanager
def served(script: Any = echo, **changes: Any) -> Iterator[ChatServer]:
    with ChatServer(script, **changes) as server:
        yield server


def run_against(server: ChatServer, texts: Any, **changes: Any) -> tuple[list[Any], dict[str, Any]]:
    async def run() -> tuple[list[Any], dict[str, Any]]:
        client = Server("vlm", settings(server, **changes))
        try:
            return await ask_all(client, texts), client.status()
        finally:
            await client.close()

    return asyncio.run(run())


def test_a_request_says_all_it_has_to_say() -> None:
    picture = ChatPicture(data=b"\x89PNG", media_type="image/png", recipe={"blob": "0"})
    schema = {"type": "object", "properties": {"count": {"type": "integer"}}}
    asked = request(parts=("Look:", picture, "How many?"), schema=schema, choices=("1", "2"))
    answer = Answer(text="2", probabilities={"2": 0.75, "1": 0.25})
    with served(lambda _: answer) as server:

        async def run() -> ChatReply:
            client = Server("vlm", settings(server))
            reply = await client.ask(asked)
            await client.close()
            return reply

        reply = asyncio.run(run())
        ((_, body),) = server.bodies
    assert body["messages"][0]["content"] == [
        {"type": "text", "text": "Look:"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw=="}},
        {"type": "text", "text": "How many?"},
    ]
    assert (body["model"], body["seed"], body["max_tokens"], body["temperature"]) == ("test-model", 7, 8, 0)
    assert body["response_format"]["json_schema"]["schema"] == schema
    assert body["stream"]
    assert (reply.text, reply.finish, reply.model) == ("2", "stop", "test-model")
    assert reply.places == ({"2": pytest.approx(-0.288, abs=1e-3), "1": pytest.approx(-1.386, abs=1e-3)},)


def test_many_requests_are_at_work_at_once_and_no_more_than_allowed() -> None:
    """The server answers nobody until 64 have come, and again: 500 questions take 8 rounds, or this never ends."""
    came = 0
    rounds = [asyncio.Event() for _ in range(8)]

    async def script(asked: Asked) -> Answer:
        nonlocal came
        mine, came = came // 64, came + 1
        if came % 64 == 0 or came == 500:
            rounds[mine].set()
        await rounds[mine].wait()
        return echo(asked)

    with served(script) as server:
        answers, status = run_against(server, range(500), in_flight=64, timeout_s=60)
    assert answers == heard(range(500))
    assert server.most_in_flight == 64
    assert (status["answered"], status["times_down"], status["queued"]) == (500, 0, 0)


def test_requests_are_spread_over_the_urls() -> None:
    with served(latency_s=UNIT) as one, served(latency_s=UNIT) as two:

        async def run() -> list[Any]:
            client = Server("vlm", settings(one, two, in_flight=8))
            answers = await ask_all(client, range(40))
            await client.close()
            return answers

        assert asyncio.run(run()) == heard(range(40))
        assert max(one.most_in_flight, two.most_in_flight) <= 4
        assert min(one.came.total(), two.came.total()) >= 4


def test_of_two_urls_one_that_is_gone_costs_no_answer() -> None:
    with served() as one, served() as two:
        urls = settings(one, two, patience_s=0.2)
        two.die()

        async def run() -> tuple[list[Any], str]:
            client = Server("vlm", urls)
            answers = await ask_all(client, range(40))
            await client.close()
            return answers, client.state.value

        assert asyncio.run(run()) == (heard(range(40)), "up")
        two.revive()


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504])
def test_later_is_no_answer_and_nobodys_fault(status: int) -> None:
    script = Scripted(*[busy(0, status)] * 3)
    with served(script) as server:
        answers, seen = run_against(server, range(6))
    assert answers == heard(range(6))
    assert seen["state"] == "up"
    assert seen["times_down"] >= 1


def test_retry_after_is_honored() -> None:
    times: list[float] = []

    def script(asked: Asked) -> Answer:
        times.append(asyncio.get_running_loop().time())
        return busy(0.3) if len(times) == 1 else echo(asked)

    with served(script) as server:
        answers, _ = run_against(server, ["one"])
    assert answers == ["heard one"]
    assert times[1] - times[0] >= 0.3  # not before; how much later does not matter


def test_while_a_server_is_down_one_question_at_a_time_tries_it() -> None:
    script = Scripted(*[busy(0, 503)] * 12)
    with served(script) as server:

        async def run() -> list[Any]:
            client = Server("vlm", settings(server, in_flight=8))
            answers = await ask_all(client, range(50))
            await client.close()
            return answers

        assert asyncio.run(run()) == heard(range(50))
    # Eight found it away at once, four probes more did; then each question was asked once.
    assert script.came == 50 + 12


def test_a_server_that_dies_for_a_while_loses_nothing() -> None:
    with served(latency_s=UNIT) as server:

        async def run() -> tuple[list[Any], dict[str, Any]]:
            client = Server("vlm", settings(server, in_flight=8))
            asking = asyncio.create_task(ask_all(client, range(60)))
            while client.answered < 10:
                await asyncio.sleep(0.001)
            await asyncio.to_thread(server.die, 10 * UNIT)
            answers = await asking
            await client.close()
            return answers, client.status()

        answers, status = asyncio.run(run())
    assert answers == heard(range(60))
    assert status["times_down"] >= 1


def test_a_server_that_stays_away_is_one_fault_for_all() -> None:
    with served() as server:
        server.die()
        answers, status = run_against(server, range(20), patience_s=5 * UNIT)
        server.revive()
    assert {type(answer) for answer in answers} == {ModelUnavailable}
    assert len({id(answer) for answer in answers}) == 1
    assert "servers.vlm" in str(answers[0])
    assert status["state"] != "up"


def test_a_server_that_was_given_up_can_be_tried_again() -> None:
    with served() as server:

        async def run() -> list[Any]:
            client = Server("vlm", settings(server, patience_s=3 * UNIT))
            await asyncio.to_thread(server.die)
            lost = await ask_all(client, ["one", "two"])
            await asyncio.to_thread(server.revive)
            still = await ask_all(client, ["three"])
            client.recover()
            answers = await ask_all(client, ["four"])
            await client.close()
            return [*lost, *still, *answers]

        *faults, last = asyncio.run(run())
    assert {type(fault) for fault in faults} == {ModelUnavailable}
    assert last == "heard four"


def test_half_a_reply_is_asked_again_and_never_read() -> None:
    script = Scripted(*[Answer(text="heard something else entirely, at length", half=True)] * 2)
    with served(script) as server:
        answers, _ = run_against(server, range(5))
    assert answers == heard(range(5))


def test_a_long_answer_is_waited_for_and_a_stall_is_not() -> None:
    words = " ".join(["word"] * 12)

    def long_one(asked: Asked) -> Answer:
        return Answer(text=words, between_s=0.25)

    with served(long_one) as server:
        answers, status = run_against(server, ["one"], timeout_s=2)  # takes longer than that in all
        assert (answers, status["times_down"]) == ([words], 0)

    script = Scripted(Answer(text=words, between_s=30), Answer(text=words, after_s=30))
    with served(script) as server:
        answers, status = run_against(server, ["one"], timeout_s=0.2)
    assert answers == ["heard one"]
    assert status["times_down"] >= 1


def test_waiting_for_a_place_runs_no_clock() -> None:
    """Twenty questions one by one take longer together than any may be silent."""
    with served(latency_s=0.1) as server:
        answers, status = run_against(server, range(20), in_flight=1, timeout_s=1.5)
    assert answers == heard(range(20))
    assert status["times_down"] == 0


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_question_that_the_server_will_not_take_is_a_row_with_the_status_alone(status: int) -> None:
    def script(asked: Asked) -> Answer:
        return Answer(status=status) if asked.texts[0] == "2" else echo(asked)

    with served(script) as server:
        answers, seen = run_against(server, range(4))
        assert server.came.total() == 4
    assert [answers[i] for i in (0, 1, 3)] == heard([0, 1, 3])
    assert isinstance(answers[2], SampleError)
    assert (answers[2].reason, answers[2].detail) == (Reason.ENDPOINT_REFUSED, f"status {status}")
    assert seen["times_down"] == 0


@pytest.mark.parametrize("status", [401, 403, 404, 405])
def test_a_wrong_key_or_address_is_a_fault_for_all_and_no_row(status: int) -> None:
    with served(lambda _: Answer(status=status)) as server:
        answers, _ = run_against(server, range(6))
    assert {type(answer) for answer in answers} == {ModelUnavailable}


def test_a_reply_of_another_model_is_a_fault() -> None:
    with served(lambda _: Answer(text="heard", model="another-model")) as server:
        (answer,), _ = run_against(server, ["one"])
    assert isinstance(answer, ModelUnavailable)
    assert "another-model" in str(answer)
    assert "test-model" in str(answer)


def test_a_question_that_breaks_the_server_while_others_are_answered_is_a_row() -> None:
    came: Counter[str] = Counter()

    def script(asked: Asked) -> Answer:
        came[asked.texts[0]] += 1
        return Answer(status=500) if asked.texts[0] == "3" else echo(asked)

    with served(script) as server:
        answers, _ = run_against(server, range(200), in_flight=2, probe_s=0.001)
        assert [a for i, a in enumerate(answers) if i != 3] == heard(i for i in range(200) if i != 3)
        assert (answers[3].reason, answers[3].detail) == (Reason.ENDPOINT_REFUSED, "status 500")
        assert OWN_ERRORS <= came["3"] <= OWN_ERRORS + 2
        (alone,), _ = run_against(server, ["3"], probe_s=0.001)
        assert (alone.reason, alone.detail) == (Reason.ENDPOINT_REFUSED, "status 500")


def test_a_server_that_answers_500_to_everything_blames_no_question() -> None:
    with served(lambda _: Answer(status=500)) as server:
        (answer,), _ = run_against(server, ["one"], probe_s=0.001, patience_s=1.5)
        assert server.came.total() > 2
    assert isinstance(answer, ModelUnavailable)


def test_a_cancelled_question_gives_its_place_back_and_probing_goes_on() -> None:
    with served(latency_s=UNIT) as server:

        async def run() -> list[Any]:
            client = Server("vlm", settings(server, in_flight=2))
            await asyncio.to_thread(server.die)
            tasks = [asyncio.create_task(client.ask(request(str(i)))) for i in range(6)]
            while client.state.value == "up":
                await asyncio.sleep(0.001)
            for task in tasks[:3]:
                task.cancel()
            await asyncio.to_thread(server.revive)
            answers = await asyncio.gather(*tasks[3:])
            assert client.status()["queued"] == client.status()["in_flight"] == 0
            await client.close()
            return [answer.text for answer in answers]

        assert asyncio.run(run()) == heard([3, 4, 5])


def check(server: ChatServer, **changes: Any) -> Any:
    async def run() -> Any:
        client = Server("vlm", settings(server, **changes))
        try:
            return await client.check()
        finally:
            await client.close()

    return asyncio.run(run())


def test_the_check_tells_what_is_there() -> None:
    with served(root="Qwen/Qwen2.5-VL-7B-Instruct") as server:
        (facts,) = check(server)
        assert (facts.root, facts.context_length) == ("Qwen/Qwen2.5-VL-7B-Instruct", 32768)
        for model, words in (
            ({"id": "qwen"}, r"servers\.vlm\.model\.id: 'qwen' .*test-model"),
            (
                {"id": "test-model", "root": "Qwen/Qwen3"},
                r"servers\.vlm\.model\.root: 'Qwen/Qwen3', .*7B-Inst",
            ),
            ({"id": "test-model", "context_length": 65536}, r"context_length: 65536, .* 32768"),
        ):
            with pytest.raises(ConfigurationError, match=words):
                check(server, model=model)


def test_the_key_comes_from_the_environment_and_shows_nowhere(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ConfigurationError, match="VLM_KEY"), served() as server:
        check(server, api_key_env="VLM_KEY")
    monkeypatch.setenv("VLM_KEY", "right-and-secret")
    with served(api_key="right-and-secret") as server:
        assert run_against(server, ["one"], api_key_env="VLM_KEY")[0] == ["heard one"]
    monkeypatch.setenv("VLM_KEY", "wrong-and-secret")
    with served(api_key="right-and-secret") as server:
        with pytest.raises(ConfigurationError, match=r"servers\.vlm\.api_key_env: 'VLM_KEY'") as refused:
            check(server, api_key_env="VLM_KEY")
        (answer,), status = run_against(server, ["one"], api_key_env="VLM_KEY")
    assert isinstance(answer, ModelUnavailable)
    assert "secret" not in f"{answer} {refused.value} {status} {caplog.text}"


def test_a_check_of_a_server_that_is_away_is_a_fault_and_no_mistake_of_the_configuration() -> None:
    with served() as server:
        server.die()
        with pytest.raises(ModelUnavailable, match=r"servers\.vlm"):
            check(server)
        server.revive()


def test_a_closed_server_leaves_nobody_waiting() -> None:
    with served() as server:
        server.die()

        async def run() -> list[Any]:
            client = Server("vlm", settings(server, in_flight=1))
            asking = asyncio.create_task(ask_all(client, range(3)))
            while client.state.value == "up":
                await asyncio.sleep(0.001)
            await client.close()
            return await asking

        assert {type(answer) for answer in asyncio.run(run())} == {EnvironmentFault}
        server.revive()
