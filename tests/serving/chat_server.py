"""A small OpenAI-style chat server whose answers and faults a test scripts.

It runs on 127.0.0.1 with an event loop in a thread of its own, or as a process (``python -m`` and this module).
It serves ``/v1/models``, ``/v1/chat/completions`` (whole or as a stream of server-sent events), ``/health`` and
``/version``. The role of a request is told by the prompt that it begins with, so nothing extra is sent for the test's
sake.

    with ChatServer(writer.answer) as server:
        server.url          # http://127.0.0.1:40123/v1
        server.asked        # Counter of requests that were answered, by role
        server.die(0.5)     # connections break and nobody listens for half a second
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Self

from aiohttp import web

from prompts import load_prompt
from tests.serving.scripts import ROLES, UNKNOWN, Answer, Asked, Script, awaited, fixed_answers

TRIAL = "."
"""All words of the question with pictures by which a server is checked before any work; it reaches no script."""


class ChatServer:
    """Serves a script until `stop`; use it as a context manager.

    Args:
        script: answers each request; may be a coroutine function.
        model: name that requests must ask for; another one is 404.
        root: what the model really is (``/v1/models``); the same without.
        latency_s: added before each answer.
        at_work: requests answered at the same time; others wait, as in a real server. 0: any number.
        api_key: wanted in every request; another or none is 401. Empty: none wanted.
        pictures: most pictures in a request; 0 refuses any as llama.cpp does, another number as vLLM does. None: any.
        record: keep the requests' bodies; off for benchmarks.
        port: 0 takes a free one.
    """

    def __init__(
        self,
        script: Script,
        *,
        model: str = "test-model",
        root: str = "",
        latency_s: float = 0.0,
        at_work: int = 0,
        api_key: str = "",
        pictures: int | None = None,
        record: bool = True,
        port: int = 0,
    ) -> None:
        self.script = script
        self.model = model
        self.root = root or model
        self.latency_s = latency_s
        self.port = port
        self.came: Counter[str] = Counter()
        self.asked: Counter[str] = Counter()
        self.bodies: list[tuple[str, Mapping[str, Any]]] = []
        self.most_in_flight = 0
        self._in_flight = 0
        self._at_work = at_work
        self._api_key = api_key
        self.pictures = pictures
        self.trials = 0
        self.trial = Answer(text=TRIAL)
        """What is answered to the trial question of a check."""
        self._record = record
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="chat server", daemon=True)

    @property
    def url(self) -> str:
        """Base URL, ending in ``/v1``."""
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listens; returns when requests can come."""
        self._thread.start()
        self._call(self._open())

    def stop(self) -> None:
        """Breaks off what is at work and ends the thread."""
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def die(self, seconds: float | None = None) -> None:
        """Breaks all connections and listens no more; after ``seconds`` it is back on the same port."""
        self._call(self._close())
        if seconds is not None:
            self._loop.call_soon_threadsafe(
                lambda: self._loop.call_later(seconds, lambda: self._loop.create_task(self._open()))
            )

    def revive(self) -> None:
        """Listens again on the same port, after `die`."""
        self._call(self._open())

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _call(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=30)

    async def _open(self) -> None:
        self._gate = asyncio.Semaphore(self._at_work) if self._at_work else None
        app = web.Application(client_max_size=256 * 1024 * 1024)
        app.router.add_get("/health", self._health)
        app.router.add_get("/version", self._version)
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/chat/completions", self._complete)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, backlog=1024)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def _close(self) -> None:
        server = self._runner.server
        for connection in list(server.connections) if server is not None else []:
            if connection.transport is not None:
                connection.transport.abort()
        await self._runner.cleanup()

    async def _health(self, _: web.Request) -> web.Response:
        return web.Response()

    async def _version(self, _: web.Request) -> web.Response:
        return web.json_response({"version": "0.0-test"})

    async def _models(self, request: web.Request) -> web.StreamResponse:
        if (refused := self._unauthorized(request)) is not None:
            return refused
        card = {"id": self.model, "object": "model", "created": 0, "owned_by": "tests", "root": self.root}
        return web.json_response({"object": "list", "data": [{**card, "max_model_len": 32768}]})

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        if (refused := self._unauthorized(request)) is not None:
            return refused
        body = await request.json()
        if body.get("model") != self.model:
            return _error(404, f"The model `{body.get('model')}` does not exist.", {})
        asked = Asked(role=UNKNOWN, number=0, body=body)
        count = len(asked.parts) - len(asked.texts)
        if self.pictures is not None and count > self.pictures:
            if not self.pictures:
                return _error(500, "image input is not supported - hint: a projector file may be needed", {})
            return _error(
                400, f"At most {self.pictures} image(s) may be provided in one prompt, not {count}.", {}
            )
        if count and asked.texts == [TRIAL]:
            self.trials += 1
            if self.trial.status != 200:
                return _error(self.trial.status, "scripted fault", self.trial.headers)
            return await self._stream(request, asked, self.trial)
        asked = self._noted(body)
        self._in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self._in_flight)
        try:
            if self._gate is None:
                return await self._answered(request, asked)
            async with self._gate:
                return await self._answered(request, asked)
        finally:
            self._in_flight -= 1

    async def _answered(self, request: web.Request, asked: Asked) -> web.StreamResponse:
        answer = await awaited(self.script(asked))
        if self.latency_s + answer.after_s:
            await asyncio.sleep(self.latency_s + answer.after_s)
        if answer.status != 200:
            return _error(answer.status, "scripted fault", answer.headers)
        self.asked[asked.role] += 1
        send = self._stream if asked.body.get("stream") else self._whole
        return await send(request, asked, answer)

    async def _whole(self, request: web.Request, asked: Asked, answer: Answer) -> web.StreamResponse:
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": answer.text},
            "logprobs": _logprobs(asked, _tokens(answer)),
            "finish_reason": answer.finish,
        }
        body = json.dumps({**self._frame(asked, answer, "chat.completion"), "choices": [choice]}).encode()
        if not answer.half:
            return web.Response(body=body, content_type="application/json", headers=answer.headers)
        response = web.StreamResponse(
            headers={"Content-Type": "application/json", "Content-Length": str(len(body))}
        )
        await response.prepare(request)
        await response.write(body[: len(body) // 2])
        return _broken(request, response)

    async def _stream(self, request: web.Request, asked: Asked, answer: Answer) -> web.StreamResponse:
        frame = self._frame(asked, answer, "chat.completion.chunk")
        frame.pop("usage")
        deltas: list[dict[str, Any]] = [{"delta": {"role": "assistant", "content": ""}}]
        deltas += [
            {"delta": {"content": token[0]}, "logprobs": _logprobs(asked, [token])}
            for token in _tokens(answer)
        ]
        deltas.append({"delta": {}, "finish_reason": answer.finish})
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for delta in deltas[: len(deltas) // 2] if answer.half else deltas:
            choice = {"index": 0, "logprobs": None, "finish_reason": None, **delta}
            await response.write(f"data: {json.dumps({**frame, 'choices': [choice]})}\n\n".encode())
            if answer.between_s:
                await asyncio.sleep(answer.between_s)
        if answer.half:
            return _broken(request, response)
        if (asked.body.get("stream_options") or {}).get("include_usage"):
            usage = self._frame(asked, answer, "chat.completion.chunk")
            await response.write(f"data: {json.dumps({**usage, 'choices': []})}\n\n".encode())
        await response.write(b"data: [DONE]\n\n")
        await response.write_eof()
        return response

    def _noted(self, body: Mapping[str, Any]) -> Asked:
        role = UNKNOWN
        asked = Asked(role=role, number=0, body=body)
        opening = asked.texts[0] if asked.texts else ""
        role = next((r for begin, r in _openings().items() if opening.startswith(begin)), UNKNOWN)
        number = self.came[role]
        self.came[role] += 1
        if self._record:
            self.bodies.append((role, body))
        return Asked(role=role, number=number, body=body)

    def _unauthorized(self, request: web.Request) -> web.Response | None:
        if self._api_key and request.headers.get("Authorization") != f"Bearer {self._api_key}":
            return _error(401, "Unauthorized", {})
        return None

    def _frame(self, asked: Asked, answer: Answer, kind: str) -> dict[str, Any]:
        words = len(answer.text.split())
        told = sum(len(text.split()) for text in asked.texts)
        return {
            "id": f"chatcmpl-{self.came.total()}",
            "object": kind,
            "created": int(time.time()),
            "model": answer.model or self.model,
            "usage": {"prompt_tokens": told, "completion_tokens": words, "total_tokens": told + words},
        }


@cache
def _openings() -> dict[str, str]:
    """How a prompt begins -> its role; no two begin alike."""
    return {load_prompt(name).text[:60]: load_prompt(name).role for name in (*ROLES, "edit_judge_yes_no")}


def _error(status: int, message: str, headers: Mapping[str, str]) -> web.Response:
    error = {"message": message, "type": "error", "param": None, "code": status}
    return web.json_response({"error": error}, status=status, headers=headers)


def _broken(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.close()
    return response


def _tokens(answer: Answer) -> list[tuple[str, Mapping[str, float]]]:
    """The text in pieces, each with the probabilities of its alternatives, empty for a server without any."""
    if answer.probabilities is None:
        words = answer.text.split(" ") if answer.text else []
        return [(word if i == 0 else f" {word}", {}) for i, word in enumerate(words)]
    several = isinstance(answer.probabilities, tuple)
    places = list(answer.probabilities if several else (answer.probabilities,))
    pieces = re.findall(r"\d|\D+", answer.text)
    digits = [i for i, piece in enumerate(pieces) if piece.isdigit()]
    likely = dict(zip(digits, places, strict=False)) if digits else dict.fromkeys(range(1), places[0])
    return [(piece, likely.get(i, {piece: 1.0})) for i, piece in enumerate(pieces)]


def _logprobs(asked: Asked, tokens: Sequence[tuple[str, Mapping[str, float]]]) -> dict[str, Any] | None:
    """Of each token, if they were asked for and there are some."""
    if not asked.body.get("logprobs") or not any(likely for _, likely in tokens):
        return None
    wanted = int(asked.body.get("top_logprobs") or 0)
    return {"content": [_token(token, likely, wanted) for token, likely in tokens], "refusal": None}


def _token(token: str, likely: Mapping[str, float], wanted: int) -> dict[str, Any]:
    alternatives = [
        {"token": word, "logprob": math.log(max(p, 1e-9)), "bytes": list(word.encode())}
        for word, p in sorted(likely.items(), key=lambda pair: -pair[1])
    ]
    chosen = next((a for a in alternatives if a["token"] == token), {"token": token, "logprob": 0.0})
    return {**chosen, "top_logprobs": alternatives[:wanted]}


def main() -> None:
    """Serves `fixed_answers` until its standard input ends; prints the base URL first."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--latency", type=float, default=0.0, help="seconds per answer")
    parser.add_argument("--at-work", type=int, default=0, help="answers at the same time; 0: any number")
    parser.add_argument("--model", default="test-model")
    given = parser.parse_args()
    server = ChatServer(
        fixed_answers, model=given.model, latency_s=given.latency, at_work=given.at_work, record=False
    )
    with server:
        print(server.url, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
