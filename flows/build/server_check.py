"""Checks the configured servers before any work: a wrong one is an error, an absent one is waited for later."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from tasks.records.errors import ModelUnavailable
from tasks.roles.placement import ServerSettings
from tasks.roles.servers import Server


def check_servers(servers: Mapping[str, ServerSettings]) -> tuple[str, ...]:
    """Asks each URL of each server for its models.

    Args:
        servers: settings by name; servers started by the build itself have no URL yet and are skipped.

    Returns:
        One line per server that does not answer. Questions to it wait for up to ``patience_s``.

    Raises:
        ConfigurationError: the key, address, model or context length differs from the configured one.
    """
    return asyncio.run(_check_all({name: server for name, server in servers.items() if server.urls}))


async def _check_all(servers: Mapping[str, ServerSettings]) -> tuple[str, ...]:
    found = await asyncio.gather(*(_check(name, settings) for name, settings in servers.items()))
    return tuple(line for line in found if line)


async def _check(name: str, settings: ServerSettings) -> str:
    server = Server(name, settings)
    try:
        await server.check()
    except ModelUnavailable as away:
        return f"{away}; questions to it wait for up to {settings.patience_s:g} s"
    finally:
        await server.close()
    return ""
