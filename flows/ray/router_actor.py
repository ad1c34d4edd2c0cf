"""The router and the replicas of its pools as Ray actors."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import ActorUnavailableError, OutOfMemoryError, OwnerDiedError, RayError, RayTaskError

from flows.build.log_files import log_everything, log_path, open_logs, output_path
from flows.build.role_services import keeper_of
from flows.build.service_spec import ServiceSpec
from flows.ray.reservation import Reservation
from flows.ray.server_actor import RayServer
from tasks.records.errors import ModelUnavailable, first_line
from tasks.records.process_environment import set_up
from tasks.roles.backends import BackendChoice
from tasks.roles.calls import Answered, RoleCall
from tasks.roles.own_server import CannotStart, RunningServer
from tasks.roles.placement import PoolSettings
from tasks.roles.replicas import Cause, OwnerDied, Replica, ReplicaDied, answer_batch
from tasks.roles.router import Router
from tasks.serving.server_process import Launch


class RouterActor:
    """Holds the build's router on its own loop; every method is a coroutine."""

    def __init__(self, spec: ServiceSpec) -> None:
        set_up()
        self._spec = spec
        self._router: Router | None = None
        self._making = asyncio.Lock()
        self._reserved: dict[str, Reservation] = {}
        self._on_shared_card = asyncio.Lock()

    async def kept(self, route: str, key: str, sid: str) -> Answered | None:
        """See `Router.kept`."""
        return await (await self._ready()).kept(route, key, sid)

    async def ask(self, call: RoleCall) -> Answered:
        """See `Router.ask`."""
        return await (await self._ready()).ask(call)

    async def reserve(self, reservations: Mapping[str, Reservation]) -> None:
        """Adds cards that pools and servers may use from now on."""
        self._reserved.update(reservations)
        if self._router is not None:
            self._resize(self._router, reservations)

    async def expect(self, names: Sequence[str]) -> None:
        """Says which pools and servers the next stage asks."""
        (await self._ready()).servers.expect(names)

    async def release(self, names: Sequence[str]) -> None:
        """Closes pools and servers, so that their cards can be returned."""
        await (await self._ready()).release(names)
        for name in names:
            self._reserved.pop(name, None)

    async def check(self, names: Sequence[str]) -> None:
        """See `Router.check`."""
        await (await self._ready()).check(names)

    async def status(self) -> dict[str, Any]:
        """See `Router.status`."""
        return (await self._ready()).status()

    async def close(self) -> None:
        """See `Router.close`."""
        if self._router is not None:
            await self._router.close()

    async def _ready(self) -> Router:
        async with self._making:
            if self._router is None:
                open_logs(self._spec)
                self._router = Router(
                    self._spec.routes,
                    pools=self._spec.pools,
                    servers=self._spec.servers,
                    keeper=keeper_of(self._spec),
                    make_replica=self._make_replica,
                    start_server=self._start_server,
                )
                self._resize(self._router, self._reserved)
        return self._router

    def _resize(self, router: Router, reservations: Mapping[str, Reservation]) -> None:
        for name, reservation in reservations.items():
            resize = router.pool_at if name in self._spec.pools else router.servers.resize
            resize(name, reservation.placed.replicas)

    async def _start_server(self, name: str, api_key: str) -> RunningServer:
        reservation = self._reserved.get(name)
        if reservation is None:
            msg = f"servers.{name}: no cards are reserved for it in this stage"
            raise CannotStart(msg)
        launch = Launch(
            name=name,
            settings=self._spec.servers[name],
            api_key=api_key,
            card_gb=reservation.card_gb,
            log=output_path(self._spec.uri, name),
        )
        # A server measures its card while it starts; a neighbor that starts as well would be in its numbers.
        alone = self._on_shared_card if 0 < reservation.placed.share < 1 else nullcontext()
        async with alone:
            server = RayServer(reservation)
            try:
                await server.start(launch)
            except BaseException:
                await server.close()
                raise
        return server

    async def _make_replica(self, pool: str) -> Replica:
        reservation = self._reserved.get(pool)
        if reservation is None:
            msg = f"pools.{pool}: no cards are reserved for it in this stage"
            raise ModelUnavailable(msg)
        log = str(log_path(self._spec.uri, pool))
        replica = RayReplica(reservation, log)
        try:
            await replica.load({route.name: route.choice for route in self._spec.routes_in(pool)})
        except BaseException:
            await replica.close()
            raise
        return replica


class RayReplica:
    """The router's view of a replica."""

    def __init__(self, reservation: Reservation, log: str) -> None:
        as_actor: Any = ray.remote
        settings = reservation.placed.settings
        options: dict[str, Any] = {**reservation.options(), "max_concurrency": 2}
        if isinstance(settings, PoolSettings) and settings.python:
            # Another environment may hold other packages, but needs this project, its core and the same Ray and Python.
            options["runtime_env"] = {"py_executable": shlex.quote(settings.python)}
        self._actor = as_actor(ReplicaActor).options(**options).remote(log)
        self._closed = False

    async def load(self, choices: Mapping[str, BackendChoice]) -> None:
        """Loads a backend for each route; raises `ReplicaDied` (``LOADING``) when its process ends."""
        try:
            await self._actor.load.remote(dict(choices))
        except RayTaskError as error:
            raise error.cause from error
        except RayError as error:
            raise ReplicaDied(Cause.LOADING, first_line(error)) from error

    async def answer(self, route: str, payloads: Sequence[Any]) -> Sequence[Any]:
        """See `tasks.roles.replicas.Replica`; a payload is a list with one reference."""
        kills = kernel_kills()
        try:
            answers: Sequence[Any] = await self._actor.answer.remote(route, list(payloads))
        except RayTaskError as error:
            raise error.cause from error
        except RayError as error:
            raise ReplicaDied(_cause(error, kills), first_line(error)) from error
        return answers

    async def close(self) -> None:
        """See `tasks.roles.replicas.Replica`."""
        if not self._closed:
            self._closed = True
            ray.kill(self._actor)


class ReplicaActor:
    """The process of a replica: all backends of its pool on one device; ``log`` is the path of the pool's log."""

    def __init__(self, log: str) -> None:
        set_up(offline=True)
        log_everything(log)
        import threading  # noqa: PLC0415

        self._backends: dict[str, Any] = {}
        self._forward = threading.Lock()

    def load(self, choices: Mapping[str, BackendChoice]) -> None:
        """Loads a backend for each route; equal choices are loaded once."""
        loaded: dict[str, Any] = {}
        for route, choice in choices.items():
            self._backends[route] = loaded.setdefault(repr(choice), None) or choice.load()
            loaded[repr(choice)] = self._backends[route]

    def answer(self, route: str, payloads: Sequence[Sequence[Any]]) -> list[Any]:
        """The answers to a batch; with two calls at once, one fetches its pictures while the other computes."""
        questions: list[Any] = []
        for payload in payloads:
            try:
                questions.append(ray.get(payload[0]))
            except OwnerDiedError:
                questions.append(OwnerDied("the worker that asked is gone"))
        there = [question for question in questions if not isinstance(question, OwnerDied)]
        with self._forward:
            answers = iter(answer_batch(self._backends[route], there) if there else [])
        return [question if isinstance(question, OwnerDied) else next(answers) for question in questions]


def start_router(spec: ServiceSpec) -> Any:
    """The router actor of a build; it takes no CPU, and dies with the driver."""
    as_actor: Any = ray.remote
    options = {"num_cpus": 0, "max_restarts": 0, "max_task_retries": 0, "max_concurrency": 10_000}
    return as_actor(RouterActor).options(**options).remote(spec)


def _cause(error: RayError, kills_before: int) -> Cause:
    """Why a replica ended, as far as Ray and the kernel report it; only a crash can be a question's fault.

    Ray lists the kernel's OOM killer as a possible cause of any death, so the word alone is not conclusive.
    """
    if isinstance(error, ActorUnavailableError) or getattr(error, "preempted", False):
        return Cause.NODE_LOST
    words = str(error)
    if (
        isinstance(error, OutOfMemoryError)
        or "NODE_OUT_OF_MEMORY" in words
        or "running low on memory" in words
    ):
        return Cause.OUT_OF_MEMORY_KILLED
    if kernel_kills() > kills_before:
        return Cause.OUT_OF_MEMORY_KILLED
    if "node" in words and ("has been marked dead" in words or "was terminated" in words):
        return Cause.NODE_LOST
    return Cause.CRASHED


def kernel_kills() -> int:
    """Number of processes that this machine's kernel has killed for lack of memory; 0 if not available."""
    vmstat = Path("/proc/vmstat")
    lines = vmstat.read_text().splitlines() if vmstat.exists() else []
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
