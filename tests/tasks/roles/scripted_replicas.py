"""Replicas that do what a test says, and remember what they were given."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from tasks.records.errors import SampleError
from tasks.roles.batching import Pool
from tasks.roles.placement import PoolSettings
from tasks.roles.replicas import Cause, ReplicaDied
from tasks.roles.route_counts import RouteCounts

Script = Callable[[str, list[Any]], Any]
"""(route, payloads) -> answers; raises what a backend would raise."""


class ScriptedReplica:
    """Answers by a script, one batch after the other, as a GPU does; what waits in it dies with it."""

    def __init__(self, maker: ScriptedMaker) -> None:
        self.maker = maker
        self.at_work = 0
        self.closed = False
        self.died: ReplicaDied | None = None
        self._turn = asyncio.Lock()
        self._death = asyncio.Event()

    async def answer(self, route: str, payloads: Sequence[Any]) -> Sequence[Any]:
        self.at_work += 1
        self.maker.most_at_work = max(self.maker.most_at_work, self.at_work)
        working = asyncio.create_task(self._work(route, list(payloads)))
        dying = asyncio.create_task(self._death.wait())
        try:
            await asyncio.wait([working, dying], return_when=asyncio.FIRST_COMPLETED)
            if self.died is not None and not working.done():
                raise self.died
            return await working
        finally:
            self.at_work -= 1
            for task in (working, dying):
                task.cancel()

    async def _work(self, route: str, payloads: list[Any]) -> Sequence[Any]:
        async with self._turn:
            self.maker.batches.append(payloads)
            self.maker.together.append(self.at_work)
            await self.maker.gate.wait()
            await asyncio.sleep(0)
            try:
                answers: Sequence[Any] = self.maker.script(route, payloads)
            except ReplicaDied as death:
                self.die(death)
                raise
            return answers

    def die(self, death: ReplicaDied) -> None:
        self.died = death
        self._death.set()

    async def close(self) -> None:
        self.closed = True


class ScriptedMaker:
    """Makes replicas, all with one script; holds their batches, and holds them back while ``gate`` is closed."""

    def __init__(self, script: Script | None = None) -> None:
        self.script = script or (lambda route, payloads: [f"{route}:{p}" for p in payloads])
        self.made: list[ScriptedReplica] = []
        self.batches: list[list[Any]] = []
        self.together: list[int] = []
        self.most_at_work = 0
        self.fail_loading: list[BaseException] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, pool: str) -> ScriptedReplica:
        await asyncio.sleep(0)
        if self.fail_loading:
            raise self.fail_loading.pop(0)
        self.made.append(ScriptedReplica(self))
        return self.made[-1]


def settings(**changes: Any) -> PoolSettings:
    return PoolSettings(**{"holds": ("tagger",), "max_batch": 16, "max_wait_ms": 5, **changes})


def counts(*routes: str) -> dict[str, RouteCounts]:
    return {route: RouteCounts() for route in routes or ("tags",)}


def crash(detail: str = "signal 11") -> ReplicaDied:
    return ReplicaDied(Cause.CRASHED, detail)


async def ask_all(pool: Pool, payloads: Any, route: str = "tags") -> list[Any]:
    return await asyncio.gather(*(pool.ask(route, p) for p in payloads), return_exceptions=True)


def reasons(answers: list[Any]) -> list[str]:
    return [a.reason.value if isinstance(a, SampleError) else a for a in answers]


def good(payloads: Any) -> list[str]:
    return [f"tags:{p}" for p in payloads]
