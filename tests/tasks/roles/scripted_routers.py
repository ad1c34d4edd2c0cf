"""Routers over scripted backends, with a pool or a server behind them."""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

from tasks.records.errors import (
    Reason,
    SampleError,
)
from tasks.records.records import ModelIdentity
from tasks.records.settings_base import Settings
from tasks.roles.answers import KeptAnswers
from tasks.roles.backend import Backend, LocalBackend, ServedBackend
from tasks.roles.backends import BackendChoice
from tasks.roles.calls import Answered, RoleCall, Route
from tasks.roles.chat import BadReply, ChatReply, ChatRequest
from tasks.roles.placement import PoolSettings, ServerSettings
from tasks.roles.router import Router
from tasks.storage.objects.store import open_store
from tests.serving.chat_server import ChatServer

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
