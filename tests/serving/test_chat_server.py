"""The test server speaks the API as real servers do, and fails as they fail."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time

import httpx
import pytest

from tasks.backends.served.rewriter import ChatRewriter, RewriterOptions
from tasks.roles.chat_http import chat_body
from tests.serving.chat_server import ChatServer
from tests.serving.scripts import Answer, busy, first_times, fixed_answers
from tests.tasks.backends.served.asked import SERVED, questions


def rewriting(**more):
    request = ChatRewriter(RewriterOptions(served=SERVED)).request(questions()["rewriter"])
    return {**json.loads(chat_body("test-model", request)), "stream": False, **more}


def post(server: ChatServer, **more) -> httpx.Response:
    return httpx.post(f"{server.url}/chat/completions", json=rewriting(**more), timeout=10)


def text_of(response: httpx.Response) -> str:
    return response.json()["choices"][0]["message"]["content"]


def events(response: httpx.Response) -> list[str]:
    return [line.removeprefix("data: ") for line in response.text.splitlines() if line]


def test_a_request_is_known_by_its_prompt_counted_and_recorded():
    with ChatServer(fixed_answers) as server:
        assert text_of(post(server)) == "Make the first thing from the left blue."
        assert (server.came, server.asked) == ({"rewriter": 1}, {"rewriter": 1})
        ((role, body),) = server.bodies
        assert (role, body["temperature"]) == ("rewriter", 0.7)


def test_the_script_sees_texts_seed_and_whether_it_is_asked_again():
    seen = []

    def script(asked):
        seen.append((asked.texts[1], asked.seed, asked.again, asked.number))
        return Answer(text="ok")

    with ChatServer(script) as server:
        post(server)
        complaint = [{"role": "assistant", "content": "?"}, {"role": "user", "content": "Again."}]
        post(server, messages=[*rewriting()["messages"], *complaint])
    told = "Instruction: Turn the left cup blue."
    assert seen == [(told, 7, False, 0), (told, 7, True, 1)]


def test_a_stream_holds_the_same_text_and_ends_as_the_api_says():
    with ChatServer(fixed_answers) as server:
        sent = events(post(server, stream=True, stream_options={"include_usage": True}))
    assert sent[-1] == "[DONE]"
    chunks = [json.loads(event) for event in sent[:-1]]
    deltas = [c["choices"][0] for c in chunks if c["choices"]]
    assert (
        "".join(d["delta"].get("content", "") for d in deltas) == "Make the first thing from the left blue."
    )
    assert [d["finish_reason"] for d in deltas if d["finish_reason"]] == ["stop"]
    assert chunks[-1]["usage"]["completion_tokens"] == 8


@pytest.mark.parametrize("stream", [False, True])
def test_probabilities_are_sent_when_they_are_asked_for(stream):
    with ChatServer(lambda _: Answer(text="1", probabilities={"0": 0.2, "1": 0.8})) as server:
        asked = post(server, stream=stream, logprobs=True, top_logprobs=2)
        silent = post(server, stream=stream)
    holder = json.loads(events(asked)[1]) if stream else asked.json()
    first = holder["choices"][0]["logprobs"]["content"][0]
    assert [a["token"] for a in first["top_logprobs"]] == ["1", "0"]
    assert "top_logprobs" not in silent.text


def test_the_model_card_says_what_the_model_really_is():
    with ChatServer(fixed_answers, root="Qwen/another") as server:
        (card,) = httpx.get(f"{server.url}/models").json()["data"]
        assert (card["id"], card["root"], card["max_model_len"]) == ("test-model", "Qwen/another", 32768)
        assert post(server, model="other").status_code == 404
        assert httpx.get(server.url.removesuffix("/v1") + "/health").status_code == 200


def test_another_models_name_stands_in_the_reply():
    with ChatServer(first_times(1, Answer(model="other"), fixed_answers)) as server:
        assert [post(server).json()["model"] for _ in range(2)] == ["other", "test-model"]


def test_without_the_key_nothing_is_answered():
    with ChatServer(fixed_answers, api_key="secret") as server:
        assert post(server).status_code == 401
        assert httpx.get(f"{server.url}/models").status_code == 401


def test_a_busy_server_says_when_to_come_back():
    with ChatServer(first_times(1, busy(0.2), fixed_answers)) as server:
        first, second = post(server), post(server)
    assert (first.status_code, first.headers["Retry-After"]) == (429, "0.2")
    assert first.json()["error"]["code"] == 429
    assert second.status_code == 200
    assert (server.came["rewriter"], server.asked["rewriter"]) == (2, 1)


@pytest.mark.parametrize("stream", [False, True])
def test_half_a_reply_breaks_the_connection(stream):
    with ChatServer(first_times(1, Answer(half=True), fixed_answers)) as server:
        with pytest.raises(httpx.RemoteProtocolError):
            post(server, stream=stream)
        assert post(server, stream=stream).status_code == 200


def test_a_dead_server_breaks_what_it_holds_and_comes_back_on_its_port():
    with ChatServer(fixed_answers, latency_s=30) as server:

        async def hold() -> None:
            async with httpx.AsyncClient(timeout=10) as client:
                waiting = asyncio.create_task(client.post(f"{server.url}/chat/completions", json=rewriting()))
                while not server.came["rewriter"]:
                    await asyncio.sleep(0.01)
                await asyncio.to_thread(server.die)
                with pytest.raises(httpx.TransportError):
                    await waiting

        asyncio.run(hold())
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{server.url}/models")
        server.revive()
        assert httpx.get(f"{server.url}/models").status_code == 200


def test_a_server_that_dies_for_a_while_comes_back_by_itself():
    with ChatServer(fixed_answers) as server:
        server.die(0.2)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                assert httpx.get(f"{server.url}/models").status_code == 200
                break
            except httpx.TransportError:
                time.sleep(0.02)
        else:
            pytest.fail("the server did not come back")


def test_many_requests_wait_at_the_same_time_and_only_some_are_at_work():
    at_once = []
    running = 0

    async def script(asked):
        nonlocal running
        running += 1
        at_once.append(running)
        await asyncio.sleep(0.01)
        running -= 1
        return Answer(text="ok")

    async def ask(server: ChatServer) -> None:
        async with httpx.AsyncClient(timeout=30, limits=httpx.Limits(max_connections=64)) as client:
            url = f"{server.url}/chat/completions"
            sent = await asyncio.gather(*(client.post(url, json=rewriting()) for _ in range(64)))
            assert {response.status_code for response in sent} == {200}

    with ChatServer(script, at_work=8) as server:
        asyncio.run(ask(server))
        assert server.asked["rewriter"] == 64
    assert max(at_once) <= 8


def test_it_runs_as_a_process_until_its_input_ends():
    command = [sys.executable, "-m", "tests.serving.chat_server", "--latency", "0.01"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        reply = httpx.post(f"{url}/chat/completions", json=rewriting(), timeout=10)
        assert text_of(reply) == "Make the first thing from the left blue."
        process.communicate()
    assert process.returncode == 0
