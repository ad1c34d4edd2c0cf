"""The router and its replicas as Ray actors."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import ActorUnavailableError, OutOfMemoryError, OwnerDiedError, RayError, RayTaskError
from ray.util.placement_group import PlacementGroup
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from flows.build.log_files import log_everything, log_path, open_logs
from flows.build.role_services import keeper_of
from flows.build.service_spec import ServiceSpec
from flows.ray.placement import PlacedPool
from tasks.records.errors import ModelUnavailable, first_line
from tasks.roles.backends import BackendChoice
from tasks.roles.calls import Answered, RoleCall
from tasks.roles.replicas import Cause, OwnerDied, Replica, ReplicaDied, answer_batch
from tasks.roles.router import Router


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """Cards that are held for a pool: one bundle per replica."""

    group: PlacementGroup
    placed: PlacedPool


class RouterActor:
    """Holds the build's router on its own loop; every method is a coroutine."""

    def __init__(self, spec: ServiceSpec) -> None:
        self._spec = spec
        self._router: Router | None = None
        self._making = asyncio.Lock()
        self._reserved: dict[str, Reservation] = {}

    async def kept(self, route: str, key: str, sid: str) -> Answered | None:
        """See `Router.kept`."""
        return await (await self._ready()).kept(route, key, sid)

    async def ask(self, call: RoleCall) -> Answered:
        """See `Router.ask`."""
        return await (await self._ready()).ask(call)

    async def reserve(self, reservations: Mapping[str, Reservation]) -> None:
        """Adds cards that pools may use from now on."""
        self._reserved.update(reservations)
        for name, reservation in reservations.items():
            if self._router is not None:
                self._router.pool_at(name, reservation.placed.replicas)

    async def release(self, names: Sequence[str]) -> None:
        """Closes pools, so that their cards can be returned."""
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
                    pools=self._sized_pools(),
                    servers=self._spec.servers,
                    keeper=keeper_of(self._spec),
                    make_replica=self._make_replica,
                )
        return self._router

    def _sized_pools(self) -> dict[str, Any]:
        return {
            name: pool.model_copy(update={"replicas": self._reserved[name].placed.replicas})
            if name in self._reserved
            else pool
            for name, pool in self._spec.pools.items()
        }

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
        placed = reservation.placed
        # Any bundle of the group, since that of a replica that just died is freed a moment later.
        strategy = PlacementGroupSchedulingStrategy(placement_group=reservation.group)
        as_actor: Any = ray.remote
        resources = {name: amount for name, amount in placed.bundle.items() if name not in ("CPU", "GPU")}
        self._actor = (
            as_actor(ReplicaActor)
            .options(
                num_cpus=placed.settings.cpus,
                num_gpus=placed.fraction,
                resources=resources,
                scheduling_strategy=strategy,
                max_restarts=0,
                max_task_retries=0,
                max_concurrency=2,
            )
            .remote(log)
        )
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
