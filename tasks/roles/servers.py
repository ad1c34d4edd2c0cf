"""A server of models, shared by roles: many requests at the same time, spread over its URLs."""

from __future__ import annotations

import asyncio
import itertools
import math
import os
import ssl
from collections.abc import AsyncIterator, Callable, Container, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx

from tasks.records.errors import (
    ConfigurationError,
    EnvironmentFault,
    ModelUnavailable,
    Reason,
    SampleError,
)
from tasks.records.process_environment import is_loopback
from tasks.roles.availability import Availability, State, Turn
from tasks.roles.chat import ChatReply, ServedRequest
from tasks.roles.chat_http import (
    Away,
    Complaint,
    Refused,
    WrongServer,
    failure,
    transport_is_away,
)
from tasks.roles.placement import ServerSettings
from tasks.roles.route_counts import RouteCounts
from tasks.roles.server_check import ServerFacts, check_pictures, facts_of
from tasks.roles.wires import Encoded, Exchange, encoded

ERRORS_BEFORE_CONTROL = 2

CONNECT_S = 30.0
PLACES_PER_CLIENT = 8
"""httpx looks through all connections of a client at each request, so that 64 are dear in one and cheap in eight."""

ERROR_BODY_BYTES = 4096

ENDS_TOGETHER, ENDS_ALONE = 2, 2
"""So often a server of our own may end under a question beside others, until it is asked alone; and then alone."""

OWN_ERRORS = 5
"""So often a question may get a status of 500 or above, with others answered in between, before it is the cause."""


@dataclass(slots=True)
class _Trial:
    """Whether a status of 500 or above, or the end of a server of our own, is the question's own doing or an outage.

    An outage hits all, so only errors count that come while the server answers something else. Where there is nothing
    else to be asked, a control takes its place.

    Attributes:
        alive: the server's count of replies when this question got its last error.
        put_to: URL of the last try.
        ends: how often the server that the question had been put to ended.
        controlled: whether a control was answered since the last end.
    """

    alive: int
    errors: int = 0
    own_errors: int = 0
    put_to: str = ""
    ends: int = 0
    controlled: bool = False

    @property
    def alone(self) -> bool:
        return self.ends >= ENDS_TOGETHER

    @property
    def convicted(self) -> bool:
        return self.ends >= ENDS_TOGETHER + ENDS_ALONE

    def saw_end(self, gone: Container[str]) -> bool:
        """Whether the server of the last try has ended; true once for each end."""
        ended = self.put_to in gone
        if ended:
            self.ends, self.put_to, self.controlled = self.ends + 1, "", False
        return ended

    def needs_control(self, alive: int) -> bool:
        if self.alone and not self.controlled:
            return True
        return self.errors >= ERRORS_BEFORE_CONTROL and alive == self.alive

    def convicts(self, status: int, alive: int) -> bool:
        if status < 500:
            return False
        self.errors += 1
        self.own_errors += alive > self.alive
        self.alive = alive
        return self.own_errors >= OWN_ERRORS


class Server:
    """Puts requests to one configured server. Used from one event loop.

    Args:
        name: of the server in the configuration.
        settings: of the server. Without URLs questions wait until it is told where it is (`at`).
        api_key: of a server that the build starts; else that of ``api_key_env``.

    Raises:
        ConfigurationError: the variable that should hold the key is not set.
    """

    def __init__(self, name: str, settings: ServerSettings, api_key: str = "") -> None:
        self.name = name
        self.settings = settings
        self.answered = 0
        self._alive = 0
        self._urls = tuple(url.rstrip("/") for url in settings.urls)
        self._available = Availability(
            name, self._urls, probe_s=settings.probe_s, patience_s=settings.patience_s
        )
        self._api_key = api_key or key_of(name, settings.api_key_env)
        self._slots = asyncio.Semaphore(settings.in_flight)
        self._gone: set[str] = set()
        self._one_alone = asyncio.Lock()
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
            # A server of our own, and any on this machine, is reached without the user's proxy.
            trust_env=any(not is_loopback(url) for url in self.settings.urls),
            # A request waits for no connection of ours: the places bound them. Its clock starts when it was sent.
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=PLACES_PER_CLIENT),
            timeout=httpx.Timeout(silence_s, connect=min(CONNECT_S, silence_s), write=None, pool=None),
        )

    async def ask(
        self, request: ServedRequest, counts: RouteCounts | None = None, complaint: Complaint | None = None
    ) -> ChatReply:
        """The reply to one request; waits for a free place and while the server is away.

        Args:
            request: what is asked; its kind says by which route of the API (`tasks.roles.wires`).
            counts: of the route that asks.
            complaint: about the last reply to this request.

        Raises:
            SampleError: the server will not take this request (`ENDPOINT_REFUSED`), says that its rules forbid what is
                asked (`REFUSED_BY_MODEL`), or ends of it (`CRASHED`).
            EnvironmentFault: the server was away for longer than ``patience_s``, or is not the one configured.
        """
        counts = counts or RouteCounts()
        loop = asyncio.get_running_loop()
        sent: Encoded | None = None
        troubles = 0
        trial = _Trial(alive=self._alive)
        while True:
            # A question that met trouble gives its place back, and is not in the way of others.
            async with self._place(counts), self._one_alone if trial.alone else nullcontext():
                if sent is None:
                    sent = await asyncio.to_thread(encoded, self.settings.model.id, request, complaint)
                turn = await self._available.turn(troubles)
                if trial.saw_end(self._gone):
                    self._available.done(turn)
                    if trial.convicted:
                        raise SampleError(Reason.CRASHED, "the model server ended of this question")
                    continue
                begun = loop.time()
                try:
                    if trial.needs_control(self._alive):
                        await self._post_control(turn, sent)
                        trial.controlled = True
                        continue
                    trial.put_to = turn.url
                    reply = await self._post(turn, sent)
                except Away as away:
                    troubles += 1
                    if away.status is not None and trial.convicts(away.status, self._alive):
                        raise SampleError(Reason.ENDPOINT_REFUSED, f"status {away.status}") from None
                else:
                    self.answered += 1
                    return reply
                finally:
                    counts.seconds += loop.time() - begun

    async def check(
        self, pictures: Mapping[str, int] | None = None, urls: Sequence[str] | None = None
    ) -> tuple[ServerFacts, ...]:
        """Asks each URL for its models, and whether it reads pictures, before any work.

        Args:
            pictures: role -> most pictures in one of its requests; without any, no question is put.
            urls: only these, which need not be its own yet; None: all of its own.

        Raises:
            ConfigurationError: key, address, model id, root or context length are not those configured, or pictures
                are refused.
            ModelUnavailable: a URL does not answer.
        """
        found = []
        for url in self._urls if urls is None else urls:
            found.append(await facts_of(self.name, self.settings, url, self._clients[0], self._api_key))
            put = partial(self._put_once, url)
            await check_pictures(self.name, self.settings, url, pictures or {}, put)
        return tuple(found)

    async def _put_once(self, url: str, request: ServedRequest) -> ChatReply:
        """One request, once, whatever is known of the URL; raises `Away`, `Refused` or `WrongServer`."""
        reply = await self._exchange(url, encoded(self.settings.model.id, request), heard=lambda: None)
        self._check_model(reply)
        return reply

    def at(self, urls: Sequence[str]) -> None:
        """The server is at these URLs from now on; with none, questions wait."""
        before, self._urls = self._urls, tuple(url.rstrip("/") for url in urls)
        self._gone |= {url for url in before if url not in self._urls}
        self._gone -= {*self._urls}
        self._available.move(self._urls)

    def away_s(self, urls: Sequence[str]) -> float:
        """Seconds for which none of these URLs has answered; 0 while one does."""
        return self._available.away_s(urls)

    @property
    def urls(self) -> tuple[str, ...]:
        """Where it is; empty while one that the build starts does not run."""
        return self._urls

    @property
    def fault(self) -> EnvironmentFault | None:
        """Why it was given up; None while it was not."""
        return self._available.fault

    @property
    def replies(self) -> int:
        """Replies of any kind so far, to controls as well."""
        return self._alive

    @property
    def last_trouble(self) -> str:
        """What was seen when a URL was last found away."""
        return self._available.last_trouble

    def give_up(self, fault: EnvironmentFault) -> None:
        """All questions that wait, and all that come, get this fault."""
        self._available.give_up(fault)

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

    async def _post(self, turn: Turn, sent: Encoded) -> ChatReply:
        """One request to one URL.

        Raises:
            Away: nothing is known about the question; it has to be put again.
            SampleError, EnvironmentFault: as `ask`.
        """
        try:
            reply = await self._exchange(turn.url, sent, lambda: self._available.heard(turn))
            self._check_model(reply)
        except Away as away:
            self._available.away(turn, away.words, away.retry_after)
            raise
        except Refused as refused:
            self._available.heard(turn)
            reason = Reason.REFUSED_BY_MODEL if refused.by_rules else Reason.ENDPOINT_REFUSED
            raise SampleError(reason, f"status {refused.status}") from None
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

    async def _post_control(self, turn: Turn, sent: Encoded) -> None:
        """The smallest request of the kind there is, to see whether the server answers anything at all."""
        try:
            await self._post(turn, encoded(self.settings.model.id, sent.wire.control()))
        except SampleError:
            self._alive += 1  # it works well enough to refuse this one

    async def _exchange(self, url: str, sent: Encoded, heard: Callable[[], None]) -> ChatReply:
        headers = {"content-type": sent.content_type, "accept": sent.wire.accept}
        client = next(self._next_client)
        with transport_is_away():
            async with client.stream(
                "POST", f"{url}/{sent.wire.route}", content=sent.content, headers=headers
            ) as response:
                if response.status_code != httpx.codes.OK:
                    raise failure(
                        response.status_code, response.headers, await _beginning(response), self._api_key
                    )
                exchange = Exchange(
                    request=sent.request,
                    response=response,
                    client=client,
                    url=url,
                    silence_s=self.settings.timeout_s,
                    heard=heard,
                )
                return await sent.wire.read(exchange)

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


def key_of(server: str, variable: str) -> str:
    """The key in an environment variable; empty without one.

    Raises:
        ConfigurationError: the variable is not set.
    """
    if not variable:
        return ""
    key = os.environ.get(variable, "").strip()
    if not key:
        msg = f"servers.{server}.api_key_env: environment variable {variable!r} is not set"
        raise ConfigurationError(msg)
    return key
