"""A server that the build starts on Ray: an actor has its GPUs, and the server ends with the actor."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from dataclasses import replace
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from flows.ray.reservation import Reservation
from tasks.records.errors import EnvironmentFault, first_line
from tasks.records.process_environment import set_up
from tasks.serving.server_process import Launch, ServerProcess

CLOSE_S = 30.0
"""Time for a server to end by itself; then its actor is killed, and its supervisor kills it."""


PARENT_POLL_S = 1.0


class ServerActor:
    """The process that owns a server. Its GPUs are those that the server sees."""

    def __init__(self) -> None:
        set_up()
        self._server: ServerProcess | None = None
        self._watch: asyncio.Task[None] | None = None

    async def start(self, launch: Launch, *, loopback: bool) -> tuple[str, ...]:
        """Starts the server and waits until it is ready; its base URLs."""
        self._watch = asyncio.create_task(_end_with_parent(os.getppid()))
        node_address: Any = ray.util.get_node_ip_address
        host = launch.host if loopback else str(node_address())
        self._server = await ServerProcess.start(replace(launch, host=host))
        return self._server.urls

    async def ended(self) -> str:
        """See `tasks.roles.own_server.RunningServer`."""
        assert self._server is not None, "started"
        return await self._server.ended()

    async def close(self) -> None:
        """See `tasks.roles.own_server.RunningServer`."""
        if self._server is not None:
            await self._server.close()

    def supervisor(self) -> int:
        """Pid of the process below which the server runs; 0 while there is none."""
        return self._server.supervised.supervisor if self._server is not None else 0


async def _end_with_parent(parent: int) -> None:
    """Ends this process, and so the server, when the raylet that started it is gone.

    Ray's own check takes a process for an orphan when its parent has become 1, which is not so everywhere.
    """
    while os.getppid() == parent:
        await asyncio.sleep(PARENT_POLL_S)
    os._exit(1)


class RayServer:
    """The router's view of a server; see `tasks.roles.own_server.RunningServer`."""

    def __init__(self, reservation: Reservation) -> None:
        self.urls: tuple[str, ...] = ()
        as_actor: Any = ray.remote
        self._loopback = reservation.loopback
        self._actor = as_actor(ServerActor).options(**reservation.options(), max_concurrency=4).remote()

    async def start(self, launch: Launch) -> None:
        """Waits until the server answers.

        Raises:
            ModelUnavailable: as `ServerProcess.start`.
            EnvironmentFault: the actor ended.
        """
        self.urls = await self._result(self._actor.start.remote(launch, loopback=self._loopback))

    async def ended(self) -> str:
        """See `tasks.roles.own_server.RunningServer`."""
        return str(await self._result(self._actor.ended.remote()))

    async def close(self) -> None:
        """See `tasks.roles.own_server.RunningServer`."""
        if self.urls:
            with suppress(RayError, TimeoutError):
                await asyncio.wait_for(self._actor.close.remote(), CLOSE_S)
        ray.kill(self._actor)

    @staticmethod
    async def _result(ref: Any) -> Any:
        try:
            return await ref
        except RayTaskError as error:
            raise error.cause from error
        except RayError as error:
            msg = f"its actor ended: {first_line(error)}"
            raise EnvironmentFault(msg) from error
