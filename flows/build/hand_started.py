"""Starts the servers of a profile by hand and keeps them running, so that builds find them warm."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from flows.ray.placement import pack, place
from tasks.records.errors import ConfigurationError
from tasks.roles.own_server import OwnServer
from tasks.roles.placement import ServerSettings, ServeSettings
from tasks.roles.servers import Server, key_of
from tasks.serving.local_servers import LocalServers
from tasks.stages.config import BuildConfig, ExecutionSettings

POLL_S = 1.0

Tell = Callable[[str, tuple[str, ...]], None]


def own_servers(config: BuildConfig, names: Sequence[str] = ()) -> dict[str, ServerSettings]:
    """Servers of the configuration that can be started, by name; only ``names`` if there are any.

    Raises:
        ConfigurationError: there is none, or a name is not one of them.
    """
    own = {name: server for name, server in config.servers.items() if server.serve is not None}
    available = ", ".join(own) or "none"
    for name in names:
        if name not in own:
            msg = f"--server {name!r}: no server with 'serve' (available: {available})"
            raise ConfigurationError(msg)
    if not own:
        msg = f"profile {config.profile!r}: no server has 'serve', so there is nothing to start"
        raise ConfigurationError(msg)
    return {name: own[name] for name in names or own}


async def keep_running(
    servers: Mapping[str, ServerSettings],
    execution: ExecutionSettings,
    log_of: Callable[[str], Path],
    tell: Tell,
) -> None:
    """Starts one server of each name and keeps it until SIGINT or SIGTERM, started again when it ends.

    Args:
        servers: with ``serve``, by name.
        execution: size and number of the cards of this machine.
        log_of: file for the output of a server, by its name.
        tell: called with a server's name and its URLs whenever these are new.

    Raises:
        ConfigurationError: they do not fit the cards of this machine.
        ModelUnavailable: one of them cannot be started.
    """
    placed = cards_of(servers, execution)
    local = LocalServers(servers, card_gb=execution.card_gb, log_of=log_of, cards=placed)
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, over.set)
    doors = {name: _Door(name, settings, local) for name, settings in servers.items()}
    try:
        while not over.is_set():
            for name, door in doors.items():
                if door.look():
                    tell(name, door.server.urls)
            await _wait(over)
    finally:
        await asyncio.gather(*(door.close() for door in doors.values()))


async def _wait(over: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(POLL_S):
            await over.wait()
    except TimeoutError:
        return


class _Door:
    """One server, without anybody who asks it."""

    def __init__(self, name: str, settings: ServerSettings, local: LocalServers) -> None:
        assert settings.serve is not None, "chosen for it"
        key = key_of(name, settings.api_key_env)
        self.server = Server(name, settings, key)
        one = settings.serve.model_copy(update={"replicas": 1})
        self._own = OwnServer(self.server, one, local.start, key)
        self._told: tuple[str, ...] = ()

    def look(self) -> bool:
        """Whether there are new URLs to tell; starts what is not running.

        Raises:
            EnvironmentFault: it was given up.
        """
        self._own.want()
        if (fault := self.server.fault) is not None:
            raise fault
        urls = self.server.urls
        news = bool(urls) and urls != self._told
        self._told = urls or self._told
        return news

    async def close(self) -> None:
        await self.server.close()
        await self._own.close()


def cards_of(servers: Mapping[str, ServerSettings], execution: ExecutionSettings) -> dict[str, str]:
    """The cards of each server as ``CUDA_VISIBLE_DEVICES``; a server without a GPU sees none.

    Raises:
        ConfigurationError: they do not fit.
    """
    serve: dict[str, ServeSettings] = {n: s.serve for n, s in servers.items() if s.serve is not None}
    here = gpus_here()
    if execution.local_gpus is not None:
        here = here[: execution.local_gpus]
    one_each = {name: settings.model_copy(update={"replicas": 1}) for name, settings in serve.items()}
    placed = place(one_each, card_gb=execution.card_gb, cards=[len(here)], final=True)
    on_cards = [each for each in placed if each.share]
    packed = pack([each.share for each in on_cards], [len(here)]) or []
    found = {
        each.name: ",".join(here[card] for card in cards)
        for each, cards in zip(on_cards, packed, strict=True)
    }
    return {name: found.get(name, "") for name in serve}


def gpus_here() -> list[str]:
    """GPUs that this process may use, as named in ``CUDA_VISIBLE_DEVICES`` or counted by ``nvidia-smi``."""
    if (visible := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [card.strip() for card in visible.split(",") if card.strip()]
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    done = subprocess.run([tool, "--list-gpus"], capture_output=True, text=True, check=False)
    return [str(n) for n, line in enumerate(done.stdout.splitlines()) if line.startswith("GPU ")]
