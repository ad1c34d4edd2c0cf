"""Checks the configured servers before any work: a wrong one is an error, an absent one is waited for later."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from tasks.records.errors import ModelUnavailable
from tasks.roles.calls import Route
from tasks.roles.placement import ServerSettings
from tasks.roles.server_check import pictures_sent
from tasks.roles.servers import Server


def check_servers(servers: Mapping[str, ServerSettings], routes: Sequence[Route] = ()) -> tuple[str, ...]:
    """Asks each URL of each server for its models and, if a role sends it pictures, one question with pictures.

    Args:
        servers: settings by name; those that the build starts are checked when they are started.
        routes: of the roles that are answered by them.

    Returns:
        One line per server that does not answer. Questions to it wait for up to ``patience_s``.

    Raises:
        ConfigurationError: the key, address, model or context length differs from the configured one, or pictures are
            refused that a role sends.
    """
    return asyncio.run(_check_all(servers, routes))


async def _check_all(servers: Mapping[str, ServerSettings], routes: Sequence[Route]) -> tuple[str, ...]:
    checks = (
        check_server(name, settings, pictures_sent(routes, name))
        for name, settings in servers.items()
        if settings.urls
    )
    return tuple(line for line in await asyncio.gather(*checks) if line)


async def check_server(name: str, settings: ServerSettings, pictures: Mapping[str, int] | None = None) -> str:
    """The same for one server; ``""`` if it answers."""
    server = Server(name, settings)
    try:
        await server.check(pictures)
    except ModelUnavailable as away:
        return f"{away}; questions to it wait for up to {settings.patience_s:g} s"
    finally:
        await server.close()
    return ""
