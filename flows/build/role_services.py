"""Pools and servers of a build in the driver's own process: threads instead of actors, and a plain router."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Collection, Mapping
from typing import Any

from flows.build.log_files import close_logs, open_logs
from flows.build.service_plan import ServicePlan
from tasks.roles.answers import KeptAnswers
from tasks.roles.calls import Answered, RoleCall
from tasks.roles.router import Router
from tasks.storage.objects.store import open_store
from tasks.worker.engine import Engine
from tasks.worker.role_asks import RouterClient


class RoleServices:
    """Made with a build; the router begins when a stage first asks one of its routes.

    Args:
        plan: pools and servers of the build; none by default.
    """

    def __init__(self, plan: ServicePlan | None = None) -> None:
        self._plan = plan or ServicePlan()
        self._lock = threading.Lock()
        self._client: LocalClient | None = None
        self._logs: list[logging.FileHandler] = []

    def client(self, engine: Engine, stage: str) -> RouterClient | None:
        """The way to the router, or None where the stage asks nobody outside its process."""
        return self.router_client(engine) if self._plan.stages.get(stage) else None

    def check(self, engine: Engine, servers: Collection[str]) -> None:
        """See `Router.check`."""
        router = self.router_client(engine).router
        asyncio.run_coroutine_threadsafe(router.check(servers), engine.loop).result()

    def router_client(self, engine: Engine) -> LocalClient:
        """The way to the router, which is made at the first call, on the engine's loop."""
        with self._lock:
            if self._client is None:
                made = asyncio.run_coroutine_threadsafe(make_router(self._plan), engine.loop)
                self._client = LocalClient(made.result())
                self._logs = open_logs(self._plan)
            return self._client

    def status(self) -> Mapping[str, Any]:
        """Counters of the router, as `Router.status`."""
        return self._client.router.status() if self._client else {}

    def close(self, engine: Engine) -> None:
        """Ends pools and connections."""
        if self._client is not None:
            asyncio.run_coroutine_threadsafe(self._client.router.close(), engine.loop).result()
            self._client = None
            close_logs(self._logs)


class LocalClient:
    """A router of the same process and loop."""

    def __init__(self, router: Router) -> None:
        self.router = router

    async def kept(self, route: str, key: str, sid: str) -> Answered | None:
        """See `tasks.worker.role_asks.RouterClient`."""
        return await self.router.kept(route, key, sid)

    async def ask(self, call: RoleCall) -> Answered:
        """See `tasks.worker.role_asks.RouterClient`."""
        return await self.router.ask(call)


async def make_router(plan: ServicePlan) -> Router:
    """The router of a build, in the running loop; with a replay nobody is there to be asked."""
    return Router(
        plan.routes,
        pools=plan.pools,
        servers=plan.servers,
        keeper=keeper_of(plan),
    )


def keeper_of(plan: ServicePlan) -> KeptAnswers:
    """The kept answers of the plan's dataset."""
    origin = open_store(plan.origin) if plan.origin else None
    return KeptAnswers(open_store(plan.uri, plan.options), replay=plan.replay, origin=origin)
