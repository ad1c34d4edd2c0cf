"""A server that the build starts by itself: at its first question, again when it ends, given up when it always ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, TypeAlias

from tasks.records.errors import ConfigurationError, EnvironmentFault, ModelUnavailable
from tasks.roles.placement import ServeSettings
from tasks.roles.servers import Server

ENDS_WITHOUT_ANSWER = 3

DOWN_S = 60.0
"""A server that says it is well and refuses everything for so long is started again."""

STABLE_S = 600.0
"""A server that ran for so long did not fail to start, even if nobody asked it anything."""

POLL_S = 1.0


class CannotStart(ModelUnavailable):
    """A server that no further try would start: its command is missing, or it takes longer than it may."""


class RunningServer(Protocol):
    """A server that answers.

    Attributes:
        urls: its base URLs.
    """

    urls: tuple[str, ...]

    async def ended(self) -> str:
        """Waits until it has ended and nothing of it is left; how it did."""
        ...

    async def close(self) -> None:
        """Ends it; returns when nothing of it is left."""
        ...


StartServer: TypeAlias = Callable[[str, str], Awaitable[RunningServer]]
"""Starts one server of the given name, which takes requests with the given key alone, and waits until it is ready.

It raises `ModelUnavailable` when the server did not start, `CannotStart` when it never will; cancelled, it leaves
nothing behind.
"""


class OwnServer:
    """Keeps the servers of one name running once they are wanted. Used from one event loop.

    Args:
        server: whose URLs are those of the servers that run.
        serve: how many there are.
        start: starts one.
        api_key: of requests.
        pictures: role -> most pictures in one of its requests, for the check of a server that was started.
    """

    def __init__(
        self,
        server: Server,
        serve: ServeSettings,
        start: StartServer,
        api_key: str,
        pictures: Mapping[str, int] | None = None,
    ) -> None:
        self._server = server
        self._pictures = pictures
        self._start = start
        self._api_key = api_key
        self._size = 1 if serve.replicas == "auto" else serve.replicas
        self._log = logging.getLogger(f"servers.{server.name}")
        self._keeping: list[asyncio.Task[None]] = []
        self._running: list[RunningServer] = []
        self._starting = 0
        self._starts = 0
        self._in_a_row = 0
        self._replies = 0
        self._over = False
        self._changed = asyncio.Event()

    def resize(self, replicas: int) -> None:
        """Sets how many run; counts for those that are started from now on."""
        self._size = replicas

    def want(self) -> None:
        """Starts what is not running or starting; returns at once."""
        self._keeping = [task for task in self._keeping if not task.done()]
        while not self._over and len(self._keeping) < self._size:
            number = len(self._keeping)
            self._keeping.append(
                asyncio.create_task(self._keep(), name=f"keep {self._server.name} {number} running")
            )

    async def up(self) -> None:
        """Starts it and waits until one runs, or none ever will."""
        self.want()
        while not self._running and not self._over:
            await self._changed.wait()

    async def close(self) -> None:
        """Ends all of its servers; returns when nothing of them is left."""
        self._over = True
        for task in self._keeping:
            task.cancel()
        await asyncio.gather(*self._keeping, return_exceptions=True)
        self._notify()

    def status(self) -> dict[str, Any]:
        """``running``, ``starting``, and how often one had to be started again; ``state`` while none runs."""
        counts = {
            "running": len(self._running),
            "starting": self._starting,
            "restarts": max(0, self._starts - self._size),
        }
        if self._running:
            return counts
        return {**counts, "state": "starting" if self._starting else "not started"}

    async def _keep(self) -> None:
        """One server after the other, until it is given up."""
        while not self._over:
            self._starting += 1
            self._starts += 1
            try:
                running = await self._start(self._server.name, self._api_key)
            except CannotStart as error:
                self._give_up(error)
                continue
            except EnvironmentFault as error:
                self._count(str(error))
                continue
            except Exception as error:  # a folder for its log that cannot be written, ...
                fault = CannotStart(f"servers.{self._server.name}: {type(error).__name__}: {error}")
                fault.__cause__ = error
                self._give_up(fault)
                continue
            finally:
                self._starting -= 1
            try:
                await self._run(running)
            finally:
                self._leave(running)
                await asyncio.shield(running.close())

    async def _run(self, running: RunningServer) -> None:
        """Lets questions go to it until it ends, or answers nothing but errors."""
        try:
            await self._server.check(self._pictures, running.urls)
        except ConfigurationError as error:
            self._give_up(CannotStart(str(error)))
            return
        except EnvironmentFault as error:
            self._count(str(error))
            return
        self._running.append(running)
        self._move()
        self._log.info("ready at %s", ", ".join(running.urls))
        self._notify()
        loop = asyncio.get_running_loop()
        begun = loop.time()
        why = await self._end_of(running)
        self._count(f"servers.{self._server.name}: the server {why}", stable=loop.time() - begun > STABLE_S)

    async def _end_of(self, running: RunningServer) -> str:
        end = asyncio.create_task(running.ended())
        try:
            while not (await asyncio.wait([end], timeout=POLL_S))[0]:
                if self._server.away_s(running.urls) > DOWN_S:
                    return f"answered nothing but errors for {DOWN_S:g} s ({self._server.last_trouble})"
            return end.result()
        except EnvironmentFault as fault:
            return f"was lost: {fault}"
        finally:
            end.cancel()

    def _leave(self, running: RunningServer) -> None:
        if running in self._running:
            self._running.remove(running)
            self._move()

    def _move(self) -> None:
        self._server.at([url for running in self._running for url in running.urls])

    def _count(self, trouble: str, *, stable: bool = False) -> None:
        """Takes note of an end; after too many with no answer between there is no other start."""
        self._log.warning("%s", trouble)
        if stable or self._server.replies > self._replies:
            self._in_a_row = 0
        self._replies = self._server.replies
        self._in_a_row += 1
        if self._in_a_row >= ENDS_WITHOUT_ANSWER:
            times = f"{self._in_a_row} ends with no answer between; mend the cause and run the same command"
            self._give_up(ModelUnavailable(f"{trouble}\n({times})"))

    def _give_up(self, fault: EnvironmentFault) -> None:
        self._over = True
        self._server.give_up(fault)
        self._notify()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
