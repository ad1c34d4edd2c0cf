"""A look at the configured servers before any work: a wrong one is told at once, an absent one is waited for later."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from tasks.records.errors import ModelUnavailable
from tasks.roles.placement import ServerSettings
from tasks.roles.servers import Server


def check_servers(servers: Mapping[str, ServerSettings]) -> tuple[str, ...]:
    """Asks each URL of each server for its models.

    Args:
        servers: settings by name; those that the build starts by itself have no URL yet and are left out.

    Returns:
        One line for each server that does not answer. Its questions wait for ``patience_s``, if any are asked.

    Raises:
        ConfigurationError: a key, an address, a model or its context length is not the one configured.
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
