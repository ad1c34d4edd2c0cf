"""The router: one place between those who ask and those who answer, for all roles that run in pools and on servers.

A question goes through four steps, and what is stored is never asked for again:

    1. a kept answer is used
    2. an equal question in flight is joined
    3. the pool or server is asked
    4. the answer is stored, then returned as it is stored

The router looks into no payload: whoever makes it says how one is opened (`OpenRequest`) and how replicas are made
(`MakeReplica`), so that it is the same in one process and on a cluster. It lives from the first stage to the last.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Any, TypeAlias

from tasks.records.errors import EnvironmentFault, Reason, SampleError
from tasks.roles.batching import Pool
from tasks.roles.calls import Answered, AnswerKeeper, Given, RoleCall, Route
from tasks.roles.kept_answer import NoAnswer
from tasks.roles.occupancy import Occupancy
from tasks.roles.own_server import StartServer
from tasks.roles.placement import PoolSettings, ServerSettings
from tasks.roles.replicas import MakeReplica, OwnerDied, Replica, threads_for
from tasks.roles.route_counts import RouteCounts
from tasks.roles.served_route import OpenRequest, ServedRoute, as_it_is
from tasks.roles.server_check import ServerFacts, pictures_sent
from tasks.roles.server_set import ServerSet
from tasks.storage.protocol.answer_files import Kind

log = logging.getLogger(__name__)

Place: TypeAlias = tuple[str, str, str]
"""Route, photograph and key: where equal questions meet. Each photograph keeps its own answers."""


@dataclass(slots=True, eq=False)
class _InFlight:
    """A question that somebody is answering, and how many wait for it."""

    task: asyncio.Task[Answered]
    waiting: int = 0


class Router:
    """Answers the questions of its routes. Made and used in one event loop.

    Attributes:
        servers: which of those it starts by itself are expected, and how many there is room for, is told to them.

    Args:
        routes: each with a ``run`` that is a name out of ``pools`` or ``servers``.
        pools: settings by name.
        servers: settings by name.
        keeper: of answers; ``None`` keeps none.
        make_replica: of a pool; by default each pool gets a thread of this process.
        start_server: of a server with ``serve``; it is started by its first question that has no kept answer.
        open_request: by default payloads for servers are the requests themselves.

    Raises:
        ConfigurationError: a server's key is not in the environment, or nobody is there to start one.
    """

    def __init__(
        self,
        routes: Sequence[Route],
        *,
        pools: Mapping[str, PoolSettings],
        servers: Mapping[str, ServerSettings],
        keeper: AnswerKeeper | None,
        make_replica: MakeReplica | None = None,
        start_server: StartServer | None = None,
        open_request: OpenRequest = as_it_is,
    ) -> None:
        self._routes = {route.name: route for route in routes}
        self._counts = {route.name: RouteCounts() for route in routes}
        self._keeper = keeper
        self._in_flight: dict[Place, _InFlight] = {}
        self._closed = False
        self._since = monotonic()
        self._occupancy = Occupancy()
        self._make = make_replica or threads_for(routes)
        used = {route.run for route in routes}
        self._pool_settings = {name: pools[name] for name in pools if name in used}
        self.servers = ServerSet(
            {name: servers[name] for name in servers if name in used},
            start_server,
            {name: pictures_sent(routes, name) for name in servers},
        )
        self._pools = {name: self._new_pool(name) for name in self._pool_settings}
        self._served = {
            route.name: ServedRoute(
                route, partial(self.servers.asked, route.run), self._counts[route.name], open_request
            )
            for route in routes
            if route.run in self.servers
        }

    def pool_at(self, name: str, replicas: int) -> None:
        """Says how many replicas of a pool there is room for; counts for those that are made from now on."""
        settings = self._pool_settings[name]
        self._pool_settings[name] = settings.model_copy(update={"replicas": replicas})
        self._pools[name].resize(replicas)

    async def ask(self, call: RoleCall) -> Answered:
        """The answer to one question.

        Raises:
            SampleError: this question has none.
            OwnerDied: the question itself is gone.
            EnvironmentFault: nobody can answer now; nothing may be committed.
            StageStopped: too many questions of the route failed.
        """
        counts = self._counts[call.route]
        counts.asked += 1
        joined = False
        while True:
            if self._closed:
                raise _closed()
            shared = self._in_flight.get(_place(call))
            mine = shared is None
            if shared is None:
                shared = self._begin(call)
            elif not joined:
                joined = True
                counts.joined += 1
            try:
                return await self._wait(call, shared)
            except OwnerDied:
                if mine:
                    raise
                # The first asker is gone with its pictures; this one has its own.

    async def kept(self, route: str, key: str, sid: str) -> Answered | None:
        """The kept answer to a question, if one counts; so that a question need not be phrased to find it.

        Raises:
            SampleError: what is kept says that there is none.
            AnswerMissing: in a replay, when nothing is kept.
        """
        keeper = self._keeper if self._routes[route].kept else None
        found = await keeper.find(sid, self._routes[route].role, key, subject=sid) if keeper else None
        if found is None:
            return None
        self._counts[route].asked += 1
        self._counts[route].kept_used += 1
        return Answered(answer=found.unwrap(), key=key, kept=True)

    async def ready(self, runs: Iterable[str]) -> None:
        """Starts the pools among ``runs`` and waits until they are loaded.

        Raises:
            EnvironmentFault, StageStopped: one of them cannot be.
        """
        await asyncio.gather(*(self._pools[run].ready() for run in runs if run in self._pools))

    async def check(self, runs: Iterable[str]) -> dict[str, tuple[ServerFacts, ...]]:
        """Asks the servers among ``runs`` who they are and whether they read what is sent, before any work.

        Those that the build starts are checked when they are started.

        Raises:
            ConfigurationError: another model, or a key, address or picture that is refused.
            ModelUnavailable: no answer.
        """
        return {run: await self.servers.check(run) for run in runs if run in self.servers}

    async def release(self, runs: Iterable[str]) -> None:
        """Ends pools and connections, so that their devices are free; a later question makes them again."""
        ends: list[Coroutine[Any, Any, None]] = []
        for run in runs:
            if run in self._pools:
                ends.append(self._pools[run].close())
                self._pools[run] = self._new_pool(run)
            elif run in self.servers:
                ends.append(self.servers.release(run))
        await asyncio.gather(*ends)

    async def close(self, *, drain: bool = False) -> None:
        """Takes no more questions and ends all pools and connections.

        Args:
            drain: first waits for the questions in flight; else their askers get an `EnvironmentFault`.
        """
        self._closed = True
        tasks = [shared.task for shared in self._in_flight.values()]
        if not drain:
            for task in tasks:
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(self.servers.close(), *(pool.close() for pool in self._pools.values()))

    def status(self) -> dict[str, Any]:
        """Counters of routes, pools and servers as plain values; ``answered`` over ``up_s`` is a rate."""
        return {
            "up_s": round(monotonic() - self._since, 3),
            "routes": {name: self._route_status(route) for name, route in self._routes.items()},
            "pools": {name: pool.status() for name, pool in self._pools.items()},
            "servers": self.servers.status(),
        }

    # One question

    def _begin(self, call: RoleCall) -> _InFlight:
        place = _place(call)
        shared = _InFlight(asyncio.create_task(self._answer(self._routes[call.route], call)))
        self._in_flight[place] = shared

        def over(task: asyncio.Task[Answered]) -> None:
            self._forget(place, shared)
            if not task.cancelled():
                task.exception()  # all askers may have gone; then nobody else looks at it

        shared.task.add_done_callback(over)
        return shared

    def _forget(self, place: Place, shared: _InFlight) -> None:
        if self._in_flight.get(place) is shared:
            del self._in_flight[place]

    async def _wait(self, call: RoleCall, shared: _InFlight) -> Answered:
        """The shared answer; an asker that is cancelled leaves the others theirs, the last one cancels the question."""
        shared.waiting += 1
        try:
            return await asyncio.shield(shared.task)
        except asyncio.CancelledError:
            if self._closed and shared.task.cancelled():
                raise _closed() from None
            raise
        finally:
            shared.waiting -= 1
            if not shared.waiting and not shared.task.done():
                # Forgotten at once, so that an equal question in the next moment does not join one that ends.
                self._forget(_place(call), shared)
                shared.task.cancel()

    async def _answer(self, route: Route, call: RoleCall) -> Answered:
        counts = self._counts[route.name]
        keeper = self._keeper if route.kept else None
        if keeper is not None:
            found = await keeper.find(call.sid, route.role, call.key, subject=call.subject)
            if found is not None:
                counts.kept_used += 1
                return Answered(answer=found.unwrap(), key=call.key, kept=True)
        stop = counts.stop(route.name)
        if stop is not None:
            raise stop
        counts.in_flight += 1
        self._occupancy.changed(route.run, route.name, 1, self._instances(route.run))
        try:
            given = await self._put_to(route, call)
        finally:
            counts.in_flight -= 1
            self._occupancy.changed(route.run, route.name, -1, self._instances(route.run))
        counts.ended(given.error)
        if keeper is not None:
            return await self._store(keeper, route, call, given)
        if given.error is not None:
            raise given.error
        return Answered(answer=given.answer, key=call.key, kept=False)

    async def _store(self, keeper: AnswerKeeper, route: Route, call: RoleCall, given: Given) -> Answered:
        what = given.answer if given.error is None else _no_answer(given.error, kind=given.kind)
        try:
            kept = await keeper.put(call.sid, route.role, call.key, what, run=route.run, reply=given.reply)
        except (ValueError, TypeError, AttributeError) as wrong:  # NaN, or not what the role answers
            log.warning("%s: the answer to %s cannot be stored: %s", route.name, call.subject, wrong)
            error = SampleError(Reason.BACKEND_ERROR, "answer that cannot be stored")
            failed = _no_answer(error, kind=Kind.FAILED)
            kept = await keeper.put(call.sid, route.role, call.key, failed, run=route.run)
        return Answered(answer=kept.unwrap(), key=call.key, kept=False)

    async def _put_to(self, route: Route, call: RoleCall) -> Given:
        """Asks the pool or server; a `SampleError` is what it gave."""
        if route.name in self._served:
            return await self._served[route.name].ask(call.payload)
        if route.run not in self._pools:
            msg = f"{route.name}: neither a pool nor a server {route.run!r} is there"
            raise EnvironmentFault(msg)
        try:
            return Given(answer=await self._pools[route.run].ask(route.name, call.payload))
        except SampleError as error:
            return Given(error=error.with_traceback(None))

    def _instances(self, run: str) -> int:
        """Replicas or URLs that can work now."""
        if run in self._pools:
            return self._pools[run].living
        return self.servers.working(run) if run in self.servers else 0

    def _new_pool(self, name: str) -> Pool:
        return Pool(name, self._pool_settings[name], self._make_after_servers, self._counts_of(name))

    async def _make_after_servers(self, pool: str) -> Replica:
        """A replica, made when the servers are up: vLLM measures its card while it starts, and may not be disturbed."""
        if self._pool_settings[pool].gpu_gb:
            await self.servers.up()
        return await self._make(pool)

    def _counts_of(self, run: str) -> dict[str, RouteCounts]:
        return {name: self._counts[name] for name, route in self._routes.items() if route.run == run}

    def _route_status(self, route: Route) -> dict[str, Any]:
        pool = self._pools.get(route.run)
        return {
            "role": route.role,
            "run": route.run,
            "model": route.choice.identity.model,
            **self._counts[route.name].status(pool.settings.max_batch if pool else 0),
            "busy_s": round(self._occupancy.seconds(route.name), 3),
            "queued": pool.queued(route.name) if pool else self._counts[route.name].queued,
        }


def _place(call: RoleCall) -> Place:
    return call.route, call.sid, call.key


def _no_answer(error: SampleError, *, kind: Kind) -> NoAnswer:
    return NoAnswer(kind=kind, reason=error.reason, detail=error.detail)


def _closed() -> EnvironmentFault:
    return EnvironmentFault("the router takes no more questions")
