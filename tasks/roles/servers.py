"""A server of models, shared by roles: many requests at the same time, spread over its URLs."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
from tasks.roles.availability import Availability, Turn
from tasks.roles.chat import ChatReply, ChatRequest
from tasks.roles.chat_http import (
    Away,
    Complaint,
    Refused,
    WrongServer,
    chat_body,
    failure,
    streamed_reply,
    whole_reply,
)
from tasks.roles.placement import ServerSettings
from tasks.roles.route_counts import RouteCounts

CONNECT_S = 30.0
ERROR_BODY_BYTES = 4096

OWN_ERRORS = 5
"""So often a question may get a status of 500 or above, with others answered in between, before it is the cause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFacts:
    """What a URL says about its model; empty or 0 where it says nothing."""

    url: str
    root: str
    context_length: int


class Server:
    """Puts chat requests to one configured server. Used from one event loop.

    Args:
        name: of the server in the configuration.
        settings: of the server.
        urls: where it is, for a server that the build started by itself.

    Raises:
        ConfigurationError: the variable that should hold the key is not set, or there is no URL.
    """

    def __init__(self, name: str, settings: ServerSettings, urls: Sequence[str] = ()) -> None:
        self.name = name
        self.settings = settings
        self.answered = 0
        self._urls = tuple(url.rstrip("/") for url in urls or settings.urls)
        if not self._urls:
            msg = f"servers.{name}.urls: none, and no server was started"
            raise ConfigurationError(msg)
        self._available = Availability(
            name, self._urls, probe_s=settings.probe_s, patience_s=settings.patience_s
        )
        self._api_key = _api_key(name, settings.api_key_env)
        self._slots = asyncio.Semaphore(settings.in_flight)
        self._waiting = 0
        self._client = httpx.AsyncClient(
            headers={"authorization": f"Bearer {self._api_key}"} if self._api_key else {},
            # A request waits for no connection of ours: the slots bound them. Its clock starts when it was sent.
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=settings.in_flight),
            timeout=httpx.Timeout(
                settings.timeout_s, connect=min(CONNECT_S, settings.timeout_s), write=None, pool=None
            ),
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
        self._waiting += 1
        counts.queued += 1
        try:
            await self._slots.acquire()
        finally:
            self._waiting -= 1
            counts.queued -= 1
        try:
            body = await asyncio.to_thread(chat_body, self.settings.model.id, request, complaint)
            loop = asyncio.get_running_loop()
            own_errors, seen = 0, self.answered
            while True:
                turn = await self._available.turn()
                begun = loop.time()
                try:
                    return await self._post(turn, body)
                except Away as away:
                    # An outage hits all; what only this question meets while others are answered is its own.
                    if away.status is not None and away.status >= 500 and self.answered > seen:
                        own_errors, seen = own_errors + 1, self.answered
                    if own_errors >= OWN_ERRORS:
                        raise SampleError(Reason.ENDPOINT_REFUSED, f"status {away.status}") from None
                finally:
                    counts.seconds += loop.time() - begun
        finally:
            self._slots.release()

    async def check(self) -> tuple[ServerFacts, ...]:
        """Asks each URL for its models, before any work.

        Raises:
            ConfigurationError: key, address, model id, root or context length are not those configured.
            ModelUnavailable: a URL does not answer.
        """
        return tuple([await self._facts(url) for url in self._urls])

    def recover(self) -> None:
        """Forgets that it was given up, for another build with this router."""
        self._available.recover()

    async def close(self) -> None:
        """Ends its connections; requests that are waited for get an `EnvironmentFault`."""
        self._available.give_up(EnvironmentFault(f"servers.{self.name}: closed"))
        await self._client.aclose()

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
            self.answered += 1
            return reply
        finally:
            self._available.done(turn)

    async def _exchange(self, turn: Turn, body: bytes) -> ChatReply:
        headers = {"content-type": "application/json", "accept": "text/event-stream, application/json"}
        with _transport_is_away():
            async with self._client.stream(
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

    async def _facts(self, url: str) -> ServerFacts:
        where = f"servers.{self.name}"
        model = self.settings.model
        try:
            with _transport_is_away():
                response = await self._client.get(f"{url}/models")
                if response.status_code != httpx.codes.OK:
                    raise failure(response.status_code, response.headers, response.text, self._api_key)
            listed = {str(item["id"]): item for item in response.json()["data"]}
        except Away as away:
            msg = f"{where}: {url} does not answer ({away})"
            raise ModelUnavailable(msg) from away
        except (Refused, WrongServer) as wrong:
            key = "api_key_env" if str(wrong).startswith(("status 401", "status 403")) else "urls"
            value = self.settings.api_key_env if key == "api_key_env" else url
            msg = f"{where}.{key}: {value!r}: {url}/models gives {wrong}"
            raise ConfigurationError(msg) from wrong
        except (ValueError, KeyError, TypeError) as error:
            msg = f"{where}.urls: {url!r}: {url}/models gives no list of models; expected a base URL ending in /v1"
            raise ConfigurationError(msg) from error
        if model.id not in listed:
            there = ", ".join(sorted(listed)) or "none"
            msg = f"{where}.model.id: {model.id!r} is not served at {url} (there: {there})"
            raise ConfigurationError(msg)
        facts = ServerFacts(
            url=url,
            root=str(listed[model.id].get("root") or ""),
            context_length=int(listed[model.id].get("max_model_len") or 0),
        )
        if model.root and facts.root != model.root:
            msg = f"{where}.model.root: {model.root!r}, but {url} serves {model.id!r} from {facts.root!r}"
            raise ConfigurationError(msg)
        if 0 < facts.context_length < model.context_length:
            msg = f"{where}.model.context_length: {model.context_length}, but {url} takes {facts.context_length} tokens"
            raise ConfigurationError(msg)
        return facts


@contextmanager
def _transport_is_away() -> Iterator[None]:
    """Lost connections, half bodies and silence say nothing about the question."""
    try:
        yield
    except httpx.ReadTimeout:
        msg = "no reply within the time limit"
        raise Away(msg) from None
    except httpx.RequestError as error:
        raise Away(f"{type(error).__name__}: {error}") from None


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
