"""A server of models, shared by roles: many requests at the same time, spread over its URLs."""

from __future__ import annotations

import asyncio
import itertools
import math
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from tasks.records.errors import (
    ConfigurationError,
    EnvironmentFault,
    ModelUnavailable,
    Reason,
    SampleError,
)
from tasks.roles.availability import Availability, State, Turn
from tasks.roles.chat import ChatReply, ChatRequest
from tasks.roles.chat_http import (
    Away,
    Complaint,
    Refused,
    WrongServer,
    chat_body,
    failure,
    streamed_reply,
    transport_is_away,
    whole_reply,
)
from tasks.roles.placement import ServerSettings
from tasks.roles.route_counts import RouteCounts
from tasks.roles.server_check import ServerFacts, facts_of

ERRORS_BEFORE_CONTROL = 2

CONNECT_S = 30.0
PLACES_PER_CLIENT = 8
"""httpx looks through all connections of a client at each request, so that 64 are dear in one and cheap in eight."""

ERROR_BODY_BYTES = 4096

OWN_ERRORS = 5
"""So often a question may get a status of 500 or above, with others answered in between, before it is the cause."""


@dataclass(slots=True)
class _Trial:
    """Whether a status of 500 or above is the question's own doing or an outage.

    An outage hits all, so only errors count that come while the server answers something else. Where there is nothing
    else to be asked, a control takes its place.

    Attributes:
        alive: the server's count of replies when this question got its last error.
    """

    alive: int
    errors: int = 0
    own_errors: int = 0

    def needs_control(self, alive: int) -> bool:
        return self.errors >= ERRORS_BEFORE_CONTROL and alive == self.alive

    def convicts(self, status: int, alive: int) -> bool:
        if status < 500:
            return False
        self.errors += 1
        self.own_errors += alive > self.alive
        self.alive = alive
        return self.own_errors >= OWN_ERRORS


class Server:
    """Puts chat requests to one configured server. Used from one event loop.

    Args:
        name: of the server in the configuration.
        settings: of the server.

    Raises:
        ConfigurationError: the variable that should hold the key is not set.
    """

    def __init__(self, name: str, settings: ServerSettings) -> None:
        self.name = name
        self.settings = settings
        self.answered = 0
        self._alive = 0
        self._urls = tuple(url.rstrip("/") for url in settings.urls)
        self._available = Availability(
            name, self._urls, probe_s=settings.probe_s, patience_s=settings.patience_s
        )
        self._api_key = _api_key(name, settings.api_key_env)
        self._slots = asyncio.Semaphore(settings.in_flight)
        self._waiting = 0
        tls = httpx.create_ssl_context()
        self._clients = [
            self._new_client(tls) for _ in range(math.ceil(settings.in_flight / PLACES_PER_CLIENT))
        ]
        self._next_client = itertools.cycle(self._clients)

    def _new_client(self, tls: ssl.SSLContext) -> httpx.AsyncClient:
        silence_s = self.settings.timeout_s
        return httpx.AsyncClient(
            headers={"authorization": f"Bearer {self._api_key}"} if self._api_key else {},
            verify=tls,
            # A request waits for no connection of ours: the places bound them. Its clock starts when it was sent.
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=PLACES_PER_CLIENT),
            timeout=httpx.Timeout(silence_s, connect=min(CONNECT_S, silence_s), write=None, pool=None),
        )

    async def chat(
        self, request: ChatRequest, counts: RouteCounts | None = None, complaint: Complaint | None = None
    ) -> ChatReply:
        """The reply to one request; waits for a free place and while the server is away.

        Args:
            request: what is asked.
            counts: of the route that asks.
            complaint: about the last reply to this request.

        Raises:
            SampleError: `ENDPOINT_REFUSED`; the server will not take this request.
            EnvironmentFault: the server was away for longer than ``patience_s``, or is not the one configured.
        """
        counts = counts or RouteCounts()
        loop = asyncio.get_running_loop()
        body, troubles = b"", 0
        trial = _Trial(alive=self._alive)
        while True:
            # A question that met trouble gives its place back, and is not in the way of others.
            async with self._place(counts):
                if not body:
                    body = await asyncio.to_thread(chat_body, self.settings.model.id, request, complaint)
                turn = await self._available.turn(troubles)
                begun = loop.time()
                try:
                    if trial.needs_control(self._alive):
                        await self._post_control(turn)
                        continue
                    reply = await self._post(turn, body)
                except Away as away:
                    troubles += 1
                    if away.status is not None and trial.convicts(away.status, self._alive):
                        raise SampleError(Reason.ENDPOINT_REFUSED, f"status {away.status}") from None
                else:
                    self.answered += 1
                    return reply
                finally:
                    counts.seconds += loop.time() - begun

    async def check(self) -> tuple[ServerFacts, ...]:
        """Asks each URL for its models, before any work.

        Raises:
            ConfigurationError: key, address, model id, root or context length are not those configured.
            ModelUnavailable: a URL does not answer.
        """
        return tuple(
            [
                await facts_of(self.name, self.settings, url, self._clients[0], self._api_key)
                for url in self._urls
            ]
        )

    def recover(self) -> None:
        """Forgets that it was given up, for another build with this router."""
        self._available.recover()

    async def close(self) -> None:
        """Ends its connections; requests that are waited for get an `EnvironmentFault`."""
        self._available.give_up(EnvironmentFault(f"servers.{self.name}: closed"))
        await asyncio.gather(*(client.aclose() for client in self._clients))

    @property
    def state(self) -> State:
        """Of its best URL."""
        return self._available.state

    def status(self) -> dict[str, Any]:
        """State, requests at work and waiting, and how often it went down."""
        available = self._available
        return {
            "state": available.state.value,
            "in_flight": available.outstanding,
            "queued": self._waiting,
            "answered": self.answered,
            "times_down": available.falls,
            "last_trouble": available.last_trouble,
            "stopped": None if available.fault is None else str(available.fault),
        }

    @asynccontextmanager
    async def _place(self, counts: RouteCounts) -> AsyncIterator[None]:
        """One of the ``in_flight`` places; those who wait get them in their order."""
        self._waiting += 1
        counts.queued += 1
        try:
            await self._slots.acquire()
        finally:
            self._waiting -= 1
            counts.queued -= 1
        try:
            yield
        finally:
            self._slots.release()

    async def _post(self, turn: Turn, body: bytes) -> ChatReply:
        """One request to one URL.

        Raises:
            Away: nothing is known about the question; it has to be put again.
            SampleError, EnvironmentFault: as `chat`.
        """
        try:
            reply = await self._exchange(turn, body)
            self._check_model(reply)
        except Away as away:
            self._available.away(turn, away.words, away.retry_after)
            raise
        except Refused as refused:
            self._available.heard(turn)
            raise SampleError(Reason.ENDPOINT_REFUSED, f"status {refused.status}") from None
        except WrongServer as wrong:
            fault = ModelUnavailable(f"servers.{self.name}: {turn.url}: {wrong}")
            self._available.give_up(fault)
            raise fault from None
        else:
            self._available.heard(turn)
            self._alive += 1
            return reply
        finally:
            self._available.done(turn)

    async def _post_control(self, turn: Turn) -> None:
        """The smallest request there is, to see whether the server answers anything at all."""
        control = ChatRequest(parts=(".",), sampling={"max_tokens": 1, "temperature": 0}, seed=0)
        try:
            await self._post(turn, chat_body(self.settings.model.id, control))
        except SampleError:
            self._alive += 1  # it works well enough to refuse this one

    async def _exchange(self, turn: Turn, body: bytes) -> ChatReply:
        headers = {"content-type": "application/json", "accept": "text/event-stream, application/json"}
        with transport_is_away():
            async with next(self._next_client).stream(
                "POST", f"{turn.url}/chat/completions", content=body, headers=headers
            ) as response:
                if response.status_code != httpx.codes.OK:
                    raise failure(
                        response.status_code, response.headers, await _beginning(response), self._api_key
                    )
                if "json" in response.headers.get("content-type", ""):
                    return whole_reply(await response.aread())
                return await streamed_reply(
                    response.aiter_lines(),
                    self.settings.timeout_s,
                    heard=lambda: self._available.heard(turn),
                )

    def _check_model(self, reply: ChatReply) -> None:
        if reply.model and reply.model != self.settings.model.id:
            msg = f"answers as model {reply.model!r}, configured is {self.settings.model.id!r}"
            raise WrongServer(msg)


async def _beginning(response: httpx.Response) -> str:
    """The first bytes of an error's body; servers have been seen to send whole pages."""
    body = b""
    async for part in response.aiter_bytes():
        body += part
        if len(body) >= ERROR_BODY_BYTES:
            break
    return body[:ERROR_BODY_BYTES].decode(errors="replace")


def _api_key(server: str, variable: str) -> str:
    if not variable:
        return ""
    key = os.environ.get(variable, "").strip()
    if not key:
        msg = f"servers.{server}.api_key_env: environment variable {variable!r} is not set"
        raise ConfigurationError(msg)
    return key
