"""Which URL of a server takes the next request, and how long to be patient when none does.

Each URL is up, down, or being probed. The first request that finds it away takes it down; after a pause one question
goes out as a probe, and with the first words of its reply the URL is up again. Questions wait meanwhile, without a
clock that runs. When no URL has answered for ``patience_s``, all that wait get one and the same `EnvironmentFault`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from tasks.records.errors import EnvironmentFault, ModelUnavailable

LONGEST_PAUSE_S = 60.0


class State(StrEnum):
    """Of a URL, and of a server as the best of its URLs."""

    UP = "up"
    PROBING = "probing"
    DOWN = "down"


@dataclass(slots=True)
class _Url:
    url: str
    state: State = State.UP
    falls: int = 0
    since: float = 0.0
    outstanding: int = 0
    pause_s: float = 0.0
    next_try: float = 0.0


@dataclass(slots=True, eq=False)
class Turn:
    """Permission for one request to ``url``. A request of before a fall says nothing about the time after it."""

    _url: _Url
    _probe: bool
    _falls: int

    @property
    def url(self) -> str:
        """Where to."""
        return self._url.url


class Availability:
    """The states of a server's URLs. Used from one event loop.

    Args:
        name: of the server, for messages.
        urls: its base URLs; with none, questions wait until there are some (`move`), for as long as it takes.
        probe_s: first pause before a URL that is down is tried again; doubles at each failure.
        patience_s: how long all URLs may be away.
    """

    def __init__(self, name: str, urls: Sequence[str], *, probe_s: float, patience_s: float) -> None:
        self.name = name
        self.fault: EnvironmentFault | None = None
        self.last_trouble = ""
        self._log = logging.getLogger(f"servers.{name}")
        self._urls = [_Url(url) for url in urls]
        self._falls_before = 0
        self._probe_s = probe_s
        self._patience_s = patience_s
        self._away_since: float | None = None
        self._troubles: list[int] = []
        self._changed = asyncio.Event()

    @property
    def state(self) -> State:
        """That of the best URL; down without any."""
        states = {url.state for url in self._urls}
        return next((state for state in State if state in states), State.DOWN)

    @property
    def outstanding(self) -> int:
        """Requests at work."""
        return sum(url.outstanding for url in self._urls)

    @property
    def falls(self) -> int:
        """How often a URL went down."""
        return self._falls_before + sum(url.falls for url in self._urls)

    def away_s(self, urls: Sequence[str]) -> float:
        """Seconds since the last of these URLs went down; 0 while one is up."""
        mine = [url.since for url in self._urls if url.url in urls and url.state is not State.UP]
        return asyncio.get_running_loop().time() - max(mine) if len(mine) == len(urls) else 0.0

    def move(self, urls: Sequence[str]) -> None:
        """The server is at these URLs from now on; those that it keeps stay as they are."""
        known = {url.url: url for url in self._urls}
        self._urls = [known.pop(url) if url in known else _Url(url) for url in urls]
        self._falls_before += sum(url.falls for url in known.values())
        self._away_since = None
        self._wake()

    async def turn(self, troubles: int = 0) -> Turn:
        """Waits for a URL: one that is due for a probe, else the least busy of those that are up.

        Must be given back with `done`.

        Args:
            troubles: how often the question found a URL away. The probe is the question with the fewest, so that one
                that itself is the trouble does not keep the server down for the others.

        Raises:
            EnvironmentFault: none came back in time, or the server was given up.
        """
        self._troubles.append(troubles)
        try:
            return await self._next_turn(troubles)
        finally:
            self._troubles.remove(troubles)
            self._wake()

    async def _next_turn(self, troubles: int) -> Turn:
        loop = asyncio.get_running_loop()
        while True:
            if self.fault is not None:
                raise self.fault
            if not self._urls:
                await self._changed.wait()
                continue
            now = loop.time()
            down = [url for url in self._urls if url.state is State.DOWN]
            due = next((url for url in down if url.next_try <= now), None)
            if due is not None and troubles <= min(self._troubles):
                due.state = State.PROBING
                return self._turn_to(due, probe=True)
            up = [url for url in self._urls if url.state is State.UP]
            if up:
                return self._turn_to(min(up, key=lambda url: url.outstanding), probe=False)
            end = (now if self._away_since is None else self._away_since) + self._patience_s
            if now >= end:
                self.give_up(ModelUnavailable(self._away_words()))
                continue
            changed = self._changed
            try:
                # Of a URL that is due already, another question is the probe, and its end wakes this one.
                tries = [url.next_try for url in down if url.next_try > now]
                async with asyncio.timeout_at(min([end, *tries])):
                    await changed.wait()
            except TimeoutError:
                continue

    def heard(self, turn: Turn) -> None:
        """A part of a reply came."""
        url = turn._url
        if turn._probe:
            turn._probe = False
            url.state, url.pause_s = State.UP, 0.0
            self._log.info("%s: up again", url.url)
            self._away_since = None
            self._wake()
        elif turn._falls != url.falls and self._away_since is not None:
            # It lives, but the last thing it said to new requests was no.
            self._away_since = asyncio.get_running_loop().time()

    def away(self, turn: Turn, words: str, retry_after: float) -> None:
        """The URL did not answer, or asked to be left alone for ``retry_after`` seconds."""
        url, now = turn._url, asyncio.get_running_loop().time()
        self.last_trouble = words
        if turn._probe or (url.state is State.UP and turn._falls == url.falls):
            url.falls += not turn._probe
            url.since = url.since if turn._probe else now
            url.pause_s = min(max(2 * url.pause_s, self._probe_s), LONGEST_PAUSE_S)
            url.next_try = now + url.pause_s
            self._log.warning("%s: down, tried again in %g s: %s", url.url, url.pause_s, words)
            url.state, turn._probe = State.DOWN, False
        url.next_try = max(url.next_try, now + retry_after)
        if self._away_since is None and self.state is State.DOWN:
            self._away_since = now
        self._wake()

    def done(self, turn: Turn) -> None:
        """The request has ended, however it did."""
        turn._url.outstanding -= 1
        if turn._probe:  # it was cancelled: the next question is the probe
            turn._url.state, turn._url.next_try = State.DOWN, 0.0
            self._wake()

    def give_up(self, fault: EnvironmentFault) -> None:
        """All that wait, and all that come, get this fault; the first one stays."""
        if self.fault is None:
            self.fault = fault
            self._log.info("takes no more requests: %s", fault)
        self._wake()

    def recover(self) -> None:
        """Forgets that it was given up."""
        self.fault = self._away_since = None
        for url in self._urls:
            url.state, url.pause_s = State.UP, 0.0
        self._wake()

    def _turn_to(self, url: _Url, *, probe: bool) -> Turn:
        url.outstanding += 1
        return Turn(url, probe, url.falls)

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _away_words(self) -> str:
        urls = ", ".join(url.url for url in self._urls)
        return (
            f"servers.{self.name}: no answer for {self._patience_s:g} s from {urls} "
            f"(last: {self.last_trouble}); the same command goes on when it is back"
        )
