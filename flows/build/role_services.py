"""Pools and servers of a build inside the driver's process: threads instead of actors, and a plain router."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Collection, Mapping
from typing import Any

from flows.build.log_files import close_logs, open_logs
from flows.build.service_spec import ServiceSpec
from tasks.roles.answers import KeptAnswers
from tasks.roles.calls import Answered, RoleCall
from tasks.roles.router import Router
from tasks.storage.objects.store import open_store
from tasks.worker.engine import Engine
from tasks.worker.role_asks import RouterClient


class RoleServices:
    """Made with a build; the router starts when a stage first asks one of its routes.

    Args:
        spec: the build's pools and servers; none by default.
    """

    def __init__(self, spec: ServiceSpec | None = None) -> None:
        self._spec = spec or ServiceSpec()
        self._lock = threading.Lock()
        self._client: LocalClient | None = None
        self._logs: list[logging.FileHandler] = []

    def client(self, engine: Engine, stage: str) -> RouterClient | None:
        """A client of the router, or None if the stage asks nothing outside its process."""
        return self.router_client(engine) if self._spec.stages.get(stage) else None

    def check(self, engine: Engine, servers: Collection[str]) -> None:
        """See `Router.check`."""
        router = self.router_client(engine).router
        asyncio.run_coroutine_threadsafe(router.check(servers), engine.loop).result()

    def router_client(self, engine: Engine) -> LocalClient:
        """A client of the router, which is made at the first call, on the engine's loop."""
        with self._lock:
            if self._client is None:
                made = asyncio.run_coroutine_threadsafe(make_router(self._spec), engine.loop)
                self._client = LocalClient(made.result())
                self._logs = open_logs(self._spec)
            return self._client

    def status(self) -> Mapping[str, Any]:
        """Counters of the router, as `Router.status`."""
        return self._client.router.status() if self._client else {}

    def close(self, engine: Engine) -> None:
        """Closes pools and connections."""
        if self._client is not None:
            asyncio.run_coroutine_threadsafe(self._client.router.close(), engine.loop).result()
            self._client = None
            close_logs(self._logs)


class LocalClient:
    """Client of a router in the same process and loop."""

    def __init__(self, router: Router) -> None:
        self.router = router

    async def kept(self, route: str, key: str, sid: str) -> Answered | None:
        """See `tasks.worker.role_asks.RouterClient`."""
        return await self.router.kept(route, key, sid)

    async def ask(self, call: RoleCall) -> Answered:
        """See `tasks.worker.role_asks.RouterClient`."""
        return await self.router.ask(call)


async def make_router(spec: ServiceSpec) -> Router:
    """The router of a build, on the running loop; in a replay it has no models to ask."""
    return Router(
        spec.routes,
        pools=spec.pools,
        servers=spec.servers,
        keeper=keeper_of(spec),
    )


def keeper_of(spec: ServiceSpec) -> KeptAnswers:
    """The kept answers of the spec's dataset."""
    origin = open_store(spec.origin) if spec.origin else None
    return KeptAnswers(open_store(spec.uri, spec.options), replay=spec.replay, origin=origin)
