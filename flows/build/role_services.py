"""Pools and servers of a build inside the driver's process: threads instead of actors, and a plain router."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Collection, Coroutine, Mapping
from functools import partial
from typing import Any, TypeVar

from flows.build.log_files import close_logs, open_logs, output_path
from flows.build.service_spec import ServiceSpec
from tasks.records.outcomes import STAGES
from tasks.roles.answers import KeptAnswers
from tasks.roles.calls import Answered, RoleCall
from tasks.roles.router import Router
from tasks.serving.local_servers import LocalServers
from tasks.stages.config import ExecutionSettings
from tasks.storage.objects.store import open_store
from tasks.worker.engine import Engine
from tasks.worker.role_asks import RouterClient

T = TypeVar("T")


class RoleServices:
    """Made with a build; the router starts when a stage first asks one of its routes.

    All GPUs of the machine are seen by all of them. Servers are ended as soon as no later stage asks them, or when a
    stage that does not ask them needs the memory of their card; pools stay.

    Args:
        spec: the build's pools and servers; none by default.
        execution: size and number of the machine's cards.
    """

    def __init__(self, spec: ServiceSpec | None = None, execution: ExecutionSettings | None = None) -> None:
        self._spec = spec or ServiceSpec()
        self._execution = execution or ExecutionSettings()
        self._lock = threading.Lock()
        self._client: LocalClient | None = None
        self._logs: list[logging.FileHandler] = []

    def client(self, engine: Engine, stage: str) -> RouterClient | None:
        """A client of the router, or None if the stage asks nothing outside its process."""
        return self.router_client(engine) if self._spec.stages.get(stage) else None

    def begin_stage(self, engine: Engine, stage: str) -> None:
        """Ends servers that the stage does not ask, if no later one does either or their memory is needed."""
        needed = self._spec.placed_in(stage)
        own = [name for name, server in self._spec.servers.items() if server.serve is not None]
        if not own or not needed:
            return
        later = {name for after in STAGES[STAGES.index(stage) :] for name in self._spec.placed_in(after)}
        gb = {name: settings.gpu_gb for name, settings in self._spec.placed().items() if name in later}
        room = self._execution.card_gb * (self._execution.local_gpus or 1)
        kept = later if sum(gb.values()) <= room else set(needed)
        router = self.router_client(engine).router
        self._on_loop(engine, router.release([name for name in own if name not in kept]))
        router.servers.expect(needed)

    def check(self, engine: Engine, servers: Collection[str]) -> None:
        """See `Router.check`."""
        router = self.router_client(engine).router
        self._on_loop(engine, router.check(servers))

    def router_client(self, engine: Engine) -> LocalClient:
        """A client of the router, which is made at the first call, on the engine's loop."""
        with self._lock:
            if self._client is None:
                self._client = LocalClient(
                    self._on_loop(engine, make_router(self._spec, self._execution.card_gb))
                )
                self._logs = open_logs(self._spec)
            return self._client

    def status(self) -> Mapping[str, Any]:
        """Counters of the router, as `Router.status`."""
        return self._client.router.status() if self._client else {}

    def close(self, engine: Engine) -> None:
        """Closes pools and connections."""
        if self._client is not None:
            self._on_loop(engine, self._client.router.close())
            self._client = None
            close_logs(self._logs)

    @staticmethod
    def _on_loop(engine: Engine, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, engine.loop).result()


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


async def make_router(spec: ServiceSpec, card_gb: float) -> Router:
    """The router of a build, on the running loop; in a replay it has no models to ask."""
    local = LocalServers(spec.servers, card_gb=card_gb, log_of=partial(output_path, spec.uri))
    return Router(
        spec.routes,
        pools=spec.pools,
        servers=spec.servers,
        keeper=keeper_of(spec),
        start_server=local.start,
    )


def keeper_of(spec: ServiceSpec) -> KeptAnswers:
    """The kept answers of the spec's dataset."""
    origin = open_store(spec.origin) if spec.origin else None
    return KeptAnswers(open_store(spec.uri, spec.options), replay=spec.replay, origin=origin)
