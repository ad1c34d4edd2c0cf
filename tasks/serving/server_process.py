"""A server that this process runs: from its command line to an address that answers, and how its end is seen."""

from __future__ import annotations

import asyncio
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import httpx

from tasks.records.errors import ConfigurationError, ModelUnavailable
from tasks.roles.own_server import CannotStart
from tasks.roles.placement import ServerSettings, ServeSettings
from tasks.serving.gpu_memory import wait_for_memory
from tasks.serving.supervised import Supervised
from tasks.serving.vllm import Place, memory_share, vllm_command

LOOPBACK = "127.0.0.1"

STARTING_POLL_S, HEALTH_POLL_S = 0.5, 2.0
HEALTH_TIMEOUT_S = 30.0

SICK = 3
"""So many statuses of 500 or above in a row, from a server that was well, are its end."""

SILENT_S = 300.0
"""A server that accepts no connection, or answers nothing there, for so long is taken for dead."""

LAST_BYTES, LAST_LINES = 16_384, 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """All that one start of a server needs; picklable.

    Attributes:
        name: of the server in the configuration.
        settings: with ``serve``.
        api_key: that requests must have; empty: none.
        card_gb: memory of a GPU, GB.
        log: file to which the server's output is appended.
        host: address on which it listens.
        visible: value of ``CUDA_VISIBLE_DEVICES``; None: as in this process.
    """

    name: str
    settings: ServerSettings
    api_key: str
    card_gb: float
    log: Path
    host: str = LOOPBACK
    visible: str | None = None


class ServerProcess:
    """A running server; see `tasks.roles.own_server.RunningServer`. It ends with this process at the latest."""

    def __init__(self, launch: Launch, supervised: Supervised, port: int) -> None:
        self.urls: tuple[str, ...] = (f"http://{launch.host}:{port}/v1",)
        self.supervised = supervised
        self._launch = launch
        self._health = f"http://{launch.host}:{port}/health"
        self._end = asyncio.create_task(supervised.ended())

    @classmethod
    async def start(cls, launch: Launch) -> Self:
        """Starts it and waits until it says that it is well.

        Raises:
            CannotStart: its command cannot be run, or it took longer than ``ready_s``.
            ModelUnavailable: it ended before, or the memory of its card is taken.
        """
        serve = _serve(launch)
        share = memory_share(serve, launch.card_gb)
        await wait_for_memory(_cards(launch, serve), share)
        begun = launch.log.stat().st_size if launch.log.exists() else 0
        port = _free_port(launch.host)
        place = Place(host=launch.host, port=port, card_gb=launch.card_gb, visible=launch.visible)
        try:
            command = vllm_command(
                launch.settings, place, api_key=launch.api_key, environment=dict(os.environ)
            )
            supervised = await Supervised.start(command, launch.log)
        except (ConfigurationError, ModelUnavailable) as error:
            raise CannotStart(f"servers.{launch.name}: {error}") from error
        server = cls(launch, supervised, port)
        try:
            await server._until_well(serve.ready_s, begun)
        except BaseException:
            await server.close()
            raise
        return server

    async def ended(self) -> str:
        """Waits for its end, which is brought about when it is no longer well; says how it ended.

        When this returns no process of it is left.
        """
        async with _client() as client:
            loop = asyncio.get_running_loop()
            sick, heard = 0, loop.time()
            while not await self._over_within(HEALTH_POLL_S):
                status = await self._status(client)
                sick = sick + 1 if status is not None and status >= 500 else 0
                heard = heard if status is None else loop.time()
                if sick >= SICK:
                    return await self._put_down(f"was up and answered {status}")
                if loop.time() - heard > SILENT_S:
                    return await self._put_down(f"was silent for {SILENT_S:g} s")
        return await self._end

    async def close(self) -> None:
        """Ends it; returns when no process of it is left."""
        self.supervised.stop()
        await asyncio.shield(self._end)

    async def _put_down(self, why: str) -> str:
        await self.close()
        return why

    async def _until_well(self, ready_s: float, begun: int) -> None:
        where = f"servers.{self._launch.name}"
        log = self._launch.log
        loop = asyncio.get_running_loop()
        deadline = loop.time() + ready_s
        async with _client() as client:
            while not await self._over_within(STARTING_POLL_S):
                if await self._status(client) == httpx.codes.OK:
                    return
                if loop.time() >= deadline:
                    msg = f"{where}: not ready within {ready_s:g} s (serve.ready_s); {last_lines(log, begun)}"
                    raise CannotStart(msg)
        raise ModelUnavailable(f"{where}: {await self._end} while it started; {last_lines(log, begun)}")

    async def _over_within(self, seconds: float) -> bool:
        done, _ = await asyncio.wait([self._end], timeout=seconds)
        return bool(done)

    async def _status(self, client: httpx.AsyncClient) -> int | None:
        """Of ``/health``; None when nothing came."""
        try:
            return (await client.get(self._health)).status_code
        except httpx.RequestError:
            return None


def _client() -> httpx.AsyncClient:
    """For an address of this cluster: no proxy, no TLS."""
    return httpx.AsyncClient(timeout=HEALTH_TIMEOUT_S, trust_env=False, verify=False)


def last_lines(log: Path, begun: int = 0) -> str:
    """Path and last lines of a log, from the byte ``begun`` on."""
    with log.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(begun, file.tell() - LAST_BYTES))
        lines = file.read().decode(errors="replace").splitlines()
    return "\n".join([f"the end of {log}:", *lines[-LAST_LINES:]])


def _cards(launch: Launch, serve: ServeSettings) -> list[str]:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES") if launch.visible is None else launch.visible
    if visible is None:
        return [str(number) for number in range(serve.tensor_parallel)]
    return [card for card in visible.split(",") if card][: serve.tensor_parallel]


def _free_port(host: str) -> int:
    """A port that was free a moment ago; a server that finds it taken is started again with another one."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def _serve(launch: Launch) -> ServeSettings:
    assert launch.settings.serve is not None, "only such a server is launched"
    return launch.settings.serve
