"""The servers of a router: those that run by themselves, and those that the build starts."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable, Mapping
from typing import Any

from tasks.records.errors import ConfigurationError
from tasks.roles.availability import State
from tasks.roles.own_server import OwnServer, StartServer
from tasks.roles.placement import ServerSettings
from tasks.roles.server_check import ServerFacts
from tasks.roles.servers import Server, key_of


class ServerSet:
    """Servers by name. Used from one event loop.

    Args:
        settings: by name.
        start: starts a server with ``serve``.
        pictures: server -> role -> most pictures in one of its requests, for the check of each server.

    Raises:
        ConfigurationError: a server's key is not in the environment, or nobody is there to start one.
    """

    def __init__(
        self,
        settings: Mapping[str, ServerSettings],
        start: StartServer | None,
        pictures: Mapping[str, Mapping[str, int]] | None = None,
    ) -> None:
        self._settings = dict(settings)
        self._pictures = pictures or {}
        self._start = start
        self._servers: dict[str, Server] = {}
        self._own: dict[str, OwnServer] = {}
        self._expected: frozenset[str] = frozenset()
        for name in self._settings:
            self._open(name)

    def __contains__(self, name: str) -> bool:
        return name in self._servers

    def asked(self, name: str) -> Server:
        """The server for a question; it is started if it does not run and is ours to start."""
        if name in self._own:
            self._own[name].want()
        return self._servers[name]

    def working(self, name: str) -> int:
        """URLs of a server that answers; 0 while it is down or not started yet."""
        server = self._servers[name]
        return len(server.urls) if server.state is State.UP else 0

    def resize(self, name: str, replicas: int) -> None:
        """Says how many servers of a name there is room for; counts for those that are started from now on."""
        self._own[name].resize(replicas)

    def expect(self, names: Iterable[str]) -> None:
        """Says which servers the questions to come may need."""
        self._expected = frozenset(names) & self._own.keys()

    async def up(self) -> None:
        """Starts all that are expected, and waits until they run or it is known that they never will."""
        await asyncio.gather(*(self._own[name].up() for name in self._expected))

    async def check(self, name: str) -> tuple[ServerFacts, ...]:
        """See `Server.check`; one of our own is checked when it is started."""
        return await self._servers[name].check(self._pictures.get(name))

    async def release(self, name: str) -> None:
        """Ends its connections, and the server if it is ours; a later question begins again."""
        server, own = self._servers.pop(name), self._own.pop(name, None)
        self._open(name)
        await self._end(server, own)

    async def close(self) -> None:
        """Ends all connections and all servers of our own."""
        await asyncio.gather(*(self._end(self._servers[name], self._own.get(name)) for name in self._servers))

    def status(self) -> dict[str, dict[str, Any]]:
        """Counters by name, as of `Server.status` and `OwnServer.status`."""
        return {
            name: {**server.status(), **(self._own[name].status() if name in self._own else {})}
            for name, server in self._servers.items()
        }

    def _open(self, name: str) -> None:
        settings = self._settings[name]
        if settings.serve is None:
            self._servers[name] = Server(name, settings)
            return
        if self._start is None:
            msg = f"servers.{name}.serve: nobody is there to start it; give its urls"
            raise ConfigurationError(msg)
        key = key_of(name, settings.api_key_env) or secrets.token_urlsafe(32)
        server = self._servers[name] = Server(name, settings, key)
        pictures = self._pictures.get(name)
        self._own[name] = OwnServer(server, settings.serve, self._start, key, pictures)

    @staticmethod
    async def _end(server: Server, own: OwnServer | None) -> None:
        await server.close()
        if own is not None:
            await own.close()
