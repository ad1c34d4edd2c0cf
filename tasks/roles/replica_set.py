"""The replicas of a pool: made when they are needed, made again when they end, given up when they always end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tasks.records.errors import EnvironmentFault, GroundEditError, ModelUnavailable, StageStopped
from tasks.roles.placement import PoolSettings
from tasks.roles.replicas import MakeReplica, Replica, ReplicaDied

DEATHS_WITHOUT_ANSWER = 3


@dataclass(slots=True, eq=False)
class HeldReplica:
    """A living replica.

    Attributes:
        calls: at work in it.
        deaths_before: deaths that had been counted when it was begun.
        reserved: it answers a single question that must have it for itself.
        calls_at_death: how many were at work when it ended; ``None`` while it lives.
    """

    replica: Replica
    deaths_before: int = 0
    calls: int = 0
    reserved: bool = False
    calls_at_death: int | None = None


class ReplicaSet:
    """As many living replicas as the settings say. Used from one event loop.

    Args:
        pool: name of the pool, for messages.
        settings: number of replicas (``auto`` counts as 1 here; whoever knows the devices replaces it before) and how
            long one may take to load.
        make_replica: gives a new, loaded replica.
        on_ready: called when another one is there.
        on_end: called once, with the reason, when there will be no more.
    """

    def __init__(
        self,
        pool: str,
        settings: PoolSettings,
        make_replica: MakeReplica,
        *,
        on_ready: Callable[[], None],
        on_end: Callable[[GroundEditError], None],
    ) -> None:
        self.living: list[HeldReplica] = []
        self.end: GroundEditError | None = None
        self._pool = pool
        self._log = logging.getLogger(f"pools.{pool}")
        self._ready_s = settings.ready_s
        self.size = 1 if settings.replicas == "auto" else settings.replicas
        self._make = make_replica
        self._on_ready = on_ready
        self._on_end = on_end
        self._starting: set[asyncio.Task[None]] = set()
        self._closing: set[asyncio.Task[None]] = set()
        self._made = self._deaths = self._given_up = 0
        self._counted = self._in_a_row = 0

    @property
    def busy(self) -> bool:
        """Some replica is at work."""
        return any(held.calls for held in self.living)

    @property
    def last_chance(self) -> bool:
        """One more death without an answer before it, and the pool stops."""
        return self._in_a_row >= DEATHS_WITHOUT_ANSWER - 1

    def fill_up(self) -> None:
        """Starts what is missing."""
        while self.end is None and len(self.living) + len(self._starting) < self.size - self._given_up:
            task = asyncio.create_task(self._start(), name=f"start a replica of {self._pool}")
            self._starting.add(task)
            task.add_done_callback(self._starting.discard)

    async def ready(self) -> None:
        """Waits until each replica is loaded.

        Raises:
            EnvironmentFault, StageStopped: there can be none.
        """
        self.fill_up()
        while self._starting and self.end is None:
            await asyncio.wait(self._starting, return_when=asyncio.FIRST_COMPLETED)
        if self.end is not None:
            raise self.end

    def answered(self) -> None:
        """Some replica gave an answer."""
        self._in_a_row = 0

    def died(self, death: ReplicaDied, held: HeldReplica) -> None:
        """A replica ended; several of its calls may report it."""
        if held.calls_at_death is not None:
            return
        held.calls_at_death = held.calls
        self.living.remove(held)
        closing = asyncio.create_task(held.replica.close())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)
        self._count(death, held.deaths_before)
        self.fill_up()

    def _count(self, death: ReplicaDied, deaths_before: int) -> None:
        self._deaths += 1
        self._log.warning("a replica ended: %s", death)
        if deaths_before < self._counted:
            return  # it stood beside one that ended: a lost machine takes all of its replicas, and is one event
        self._counted += 1
        self._in_a_row += 1
        if self._in_a_row >= DEATHS_WITHOUT_ANSWER:
            self.finish(
                StageStopped(
                    f"pools.{self._pool}: replicas ended {self._in_a_row} times with no answer between "
                    f"(last: {death}); mend the cause and run the same command"
                )
            )

    def finish(self, end: GroundEditError) -> None:
        """Makes no more; the first reason stays."""
        if self.end is None:
            self.end = end
            self._log.info("no more replicas: %s", end)
            self._on_end(end)

    async def close(self) -> None:
        """Ends all."""
        for task in self._starting:
            task.cancel()
        await asyncio.gather(*self._starting, *self._closing, return_exceptions=True)
        living, self.living = self.living, []
        await asyncio.gather(*(held.replica.close() for held in living))

    def status(self) -> dict[str, Any]:
        """Replicas ready and in the making, and how many ended or were made again."""
        return {
            "replicas": len(self.living),
            "starting": len(self._starting),
            "deaths": self._deaths,
            "restarts": max(0, self._made - self.size),
            "stopped": None if self.end is None else str(self.end),
        }

    async def _start(self) -> None:
        fault: EnvironmentFault | None = None
        deaths_before = self._counted
        try:
            async with asyncio.timeout(self._ready_s):
                replica = await self._make(self._pool)
        except ReplicaDied as death:
            self._count(death, deaths_before)
        except TimeoutError:
            fault = ModelUnavailable(f"pools.{self._pool}: no replica within {self._ready_s:g} s")
        except EnvironmentFault as error:
            fault = error
        except Exception as error:
            fault = ModelUnavailable(f"pools.{self._pool}: {type(error).__name__}: {error}")
            fault.__cause__ = error
        else:
            self._made += 1
            self._log.info("replica %d is ready", self._made)
            self.living.append(HeldReplica(replica, deaths_before))
            self._on_ready()
        self._starting.discard(asyncio.current_task())
        if fault is None:
            self.fill_up()
        elif self.living or self._starting:
            self._given_up += 1
            self._log.warning("%s; the other replicas go on", fault)
        else:
            self.finish(fault)
