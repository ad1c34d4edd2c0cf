"""The driver's view of one Ray actor: whose models it holds, which units it was given, what it is computing."""

from __future__ import annotations

import secrets
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from flows.build.fan_out import StageJob
from flows.build.unit_queue import Dispatch
from flows.ray.actor import start_actor
from tasks.worker.engine import EngineSettings
from tasks.worker.flight import Step, read_flight

Ref: TypeAlias = Any
"""A Ray object reference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActorSettings:
    """What every actor of a pool is started with; ``router`` is the build's router actor, or None without one."""

    threads: int
    units_in_flight: int
    engine: EngineSettings
    router: Any = None


@dataclass(slots=True)
class Slot:
    """A slot for an actor.

    Attributes:
        settings: of the actor.
        log: path of its flight log, on its node.
        node: id of that node, ``""`` until its first stage is loaded.
        key: of the stage whose models it holds, or is loading (``preparing``).
        early: whether it loads them before that stage begins; a failure then does not count for that stage yet.
        refused: key of a stage whose models could not be loaded early; the stage itself will report the error.
        at_work: its running units.
        looked: when its log was last searched for slow steps, seconds since 1970.
    """

    settings: ActorSettings
    actor: Any = None
    log: str = ""
    node: str = ""
    key: str = ""
    preparing: Ref | None = None
    early: bool = False
    refused: str = ""
    at_work: dict[Ref, Dispatch] = field(default_factory=dict)
    looked: float = 0.0

    @classmethod
    def start(cls, settings: ActorSettings) -> Slot:
        """A slot with a new actor that is starting."""
        slot = cls(settings=settings)
        slot._start()
        return slot

    def _start(self) -> None:
        name = f"groundedit-flight-{secrets.token_hex(8)}"
        self.log, self.node = str(Path(tempfile.gettempdir()) / name), ""
        self.actor = start_actor(
            self.settings.threads,
            self.settings.engine,
            self.log,
            self.settings.router,
            self.settings.units_in_flight,
        )

    @property
    def refs(self) -> list[Ref]:
        """References to wait for."""
        return [self.preparing] if self.preparing is not None else list(self.at_work)

    @property
    def idle(self) -> bool:
        """Whether it has no task."""
        return not self.refs

    def load(self, job: StageJob, *, early: bool) -> None:
        """Makes it replace its models by the job's."""
        self.key, self.early = job.key, early
        at_once = self.settings.units_in_flight if job.waits else 1
        self.preparing = self.actor.prepare.remote(job.make_worker, at_once)

    def loaded(self, node: str) -> None:
        """Loading finished."""
        self.preparing, self.node = None, node

    def not_loaded(self) -> None:
        """Loading failed."""
        self.refused = self.key if self.early else ""
        self.preparing, self.key = None, ""

    def give(self, dispatch: Dispatch) -> None:
        """Gives it one more unit."""
        self.at_work[self.actor.run.remote(dispatch.unit, dispatch.suspects)] = dispatch

    def steps(self) -> tuple[Step, ...]:
        """What it is computing, or was computing when it died; nothing if its node is gone."""
        if not self.node:
            return ()
        if self.node == ray.get_runtime_context().get_node_id():
            return read_flight(Path(self.log))
        strategy = NodeAffinitySchedulingStrategy(self.node, soft=False)
        as_task: Any = ray.remote
        ref = as_task(read_flight).options(num_cpus=0, scheduling_strategy=strategy).remote(Path(self.log))
        try:
            steps: tuple[Step, ...] = ray.get(ref, timeout=30)
        except ray.exceptions.RayError:
            return ()  # the node is lost with its log; a lost node is not a sample's fault
        return steps

    def held(self) -> list[str]:
        """Ids of its units."""
        return [dispatch.unit.id for dispatch in self.at_work.values()]

    def replace(self) -> None:
        """Replaces a dead actor by a new one, without models or units."""
        if self.preparing is not None:
            self.not_loaded()
        self.forget_log()
        self.key = ""
        self.at_work.clear()
        self._start()

    def forget_log(self) -> None:
        """Removes the flight log from this machine."""
        Path(self.log).unlink(missing_ok=True)
