"""One Ray actor as the driver sees it: whose models it holds, and which units it was given."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from flows.build.fan_out import StageJob
from flows.build.unit_queue import Dispatch
from flows.ray.actor import start_actor

Ref: TypeAlias = Any
"""A Ray object reference."""


@dataclass(slots=True)
class Slot:
    """A place for an actor; ``waiting`` holds its units, the one at work first.

    Attributes:
        threads: of the actor.
        key: of the stage whose models it holds, or is loading (``preparing``).
        early: it loads them before that stage has begun, so what goes wrong is no fault of any stage yet.
        refused: key of a stage whose models could not be loaded early; the stage itself will say why.
        head_since: when the unit at work came to be the first.
    """

    threads: int
    actor: Any
    key: str = ""
    preparing: Ref | None = None
    early: bool = False
    refused: str = ""
    waiting: deque[tuple[Ref, Dispatch]] = field(default_factory=deque)
    head_since: float = 0.0

    @classmethod
    def start(cls, threads: int) -> Slot:
        """A slot with a new actor, starting."""
        return cls(threads=threads, actor=start_actor(threads))

    @property
    def ready_ref(self) -> Ref | None:
        """What to wait for next."""
        if self.preparing is not None:
            return self.preparing
        return self.waiting[0][0] if self.waiting else None

    @property
    def idle(self) -> bool:
        """Whether it has nothing to do."""
        return self.ready_ref is None

    def load(self, job: StageJob, *, early: bool) -> None:
        """Lets it drop its models for the job's."""
        self.key, self.early = job.key, early
        self.preparing = self.actor.prepare.remote(job.make_worker)

    def not_loaded(self) -> None:
        """What it was to load could not be loaded."""
        self.refused = self.key if self.early else ""
        self.preparing, self.key = None, ""

    def give(self, dispatch: Dispatch) -> None:
        """One more unit; the pictures of one that has to wait are read meanwhile."""
        ref = self.actor.run.remote(dispatch.unit, dispatch.alone)
        if self.waiting:
            self.actor.expect.remote(dispatch.unit)
        else:
            self.head_since = time.monotonic()
        self.waiting.append((ref, dispatch))

    def pop_head(self) -> Dispatch:
        """Takes out the unit that was at work; the next one is at work now."""
        _, dispatch = self.waiting.popleft()
        self.head_since = time.monotonic()
        return dispatch

    def replace(self) -> None:
        """A new actor instead of a dead one, with nothing loaded and nothing to do."""
        if self.preparing is not None:
            self.not_loaded()
        self.actor = start_actor(self.threads)
        self.key = ""
        self.waiting.clear()
