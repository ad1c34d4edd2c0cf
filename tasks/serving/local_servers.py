"""Servers that this process starts on its own machine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path

from tasks.roles.own_server import RunningServer
from tasks.roles.placement import ServerSettings
from tasks.serving.server_process import Launch, ServerProcess


class LocalServers:
    """Starts servers; those on GPUs one after the other, since each measures its card while it starts.

    Args:
        servers: settings by name.
        card_gb: memory of a GPU, GB.
        log_of: file for the output of a server, by its name.
        cards: value of ``CUDA_VISIBLE_DEVICES`` by server; the others see what this process sees.
    """

    def __init__(
        self,
        servers: Mapping[str, ServerSettings],
        *,
        card_gb: float,
        log_of: Callable[[str], Path],
        cards: Mapping[str, str] | None = None,
    ) -> None:
        self._servers = dict(servers)
        self._card_gb = card_gb
        self._log_of = log_of
        self._cards = dict(cards or {})
        self._on_cards = asyncio.Lock()

    async def start(self, name: str, api_key: str) -> RunningServer:
        """See `tasks.roles.own_server.StartServer`."""
        settings = self._servers[name]
        on_card = settings.serve is not None and settings.serve.gpu_gb > 0
        launch = Launch(
            name=name,
            settings=settings,
            api_key=api_key,
            card_gb=self._card_gb,
            log=self._log_of(name),
            visible=self._cards.get(name),
        )
        async with self._on_cards if on_card else nullcontext():
            return await ServerProcess.start(launch)
