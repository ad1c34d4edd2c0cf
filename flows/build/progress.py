"""Live progress in the terminal: inputs, outputs, rate and time left per stage; plain lines without a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO, TypeAlias

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as LiveProgress

if TYPE_CHECKING:
    from flows.build.fan_out import UnitDone

Watcher: TypeAlias = Callable[[str, str], None]
"""Gets a stage and the path of a commit of it."""

QUIET_S = 5.0
"""Minimum interval between plain lines."""


@dataclass(slots=True)
class StageProgress:
    """Progress of one stage; counts inputs, since units differ in size.

    Attributes:
        before_s: wall seconds that the stage took for a first look.
        kept: outputs, as in the funnel's output lines; duplicates are found only at the end of ingest.
    """

    stage: str
    units: int
    units_done: int
    inputs: int
    inputs_done: int
    before_s: float = 0.0
    kept: int = 0
    failed: int = 0
    began: float = 0.0
    fresh: int = 0
    ended: float | None = None

    @property
    def seconds(self) -> float:
        """Wall seconds from the plan to the stage's end; 0 while it is running."""
        return self.before_s + self.ended - self.began if self.ended is not None else 0.0

    def words(self, now: float) -> str:
        """``12/40 inputs   9 outputs kept   3.1/s   9 s left``."""
        seconds = (self.ended or now) - self.began
        parts = [f"{self.inputs_done:>6}/{self.inputs} inputs"]
        if self.fresh:
            parts.append(f"{self.kept:>6} outputs kept")
            if self.failed:
                parts.append(f"{self.failed} failed")
            rate = self.fresh / max(seconds, 1e-3)
            parts.append(f"{rate:>7.1f}/s")
            left = (self.inputs - self.inputs_done) / rate
            parts.append(f"{_duration(seconds):>7}" if self.ended else f"{_duration(left):>7} left")
        elif self.ended is not None:
            parts.append("done before" if self.inputs else "nothing to do")
        return "  ".join(parts)

    def counters(self) -> dict[str, Any]:
        """Its counters by name, for `flows.build.run_report`."""
        names = ("units", "units_done", "inputs", "inputs_done", "kept", "failed")
        return {**{name: getattr(self, name) for name in names}, "done": self.ended is not None}


class Progress:
    """Collects and shows progress; ``quiet`` only collects. `close` restores the terminal."""

    def __init__(self, stream: TextIO | None = None, *, quiet: bool = False) -> None:
        self._console = Console(
            file=stream or sys.stderr, quiet=quiet, soft_wrap=True, markup=False, highlight=False, emoji=False
        )
        self._is_live = self._console.is_terminal and not quiet
        self._live: LiveProgress | None = None
        self._last = 0.0
        self._services = ""
        self.stages: dict[str, StageProgress] = {}
        self._current: StageProgress | None = None
        self._watchers: list[Watcher] = []
        self._looking = False
        self._looked: dict[str, float] = {}

    def watch(self, watcher: Watcher) -> None:
        """``watcher`` is told of each unit that is committed, also of those that were before."""
        self._watchers.append(watcher)

    def committed(self, stage: str, paths: Iterable[str]) -> None:
        """These commits of a stage were there before."""
        for path in paths:
            for watcher in self._watchers:
                watcher(stage, path)

    @contextmanager
    def first_look(self) -> Iterator[None]:
        """Stages inside this context are those of a first look; their counts are not the build's, their time is."""
        self._looking = True
        try:
            yield
        finally:
            self._looking = False
            for name, stage in self.stages.items():
                self._looked[name] = stage.seconds
            self.stages.clear()
            self._current = None

    def note(self, text: str) -> None:
        """Prints a separate line."""
        self._console.print(text)

    def services(self, text: str) -> None:
        """Sets the status of models outside the workers, shown with the stage's next line."""
        self._services = text
        if self._current is not None and self._current.ended is None and (text or self._is_live):
            self._show(self._current, finished=False)

    def begin(self, stage: str, *, units: int, done: int, inputs: int, open_inputs: int) -> None:
        """A stage is planned, with so many units, some of them done before."""
        self._current = self.stages[stage] = StageProgress(
            stage=stage,
            units=units,
            units_done=done,
            inputs=inputs,
            inputs_done=inputs - open_inputs,
            before_s=self._looked.get(stage, 0.0),
            began=time.monotonic(),
        )
        self._last = time.monotonic()
        self.close()
        if self._is_live:
            self._live = LiveProgress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=10),
                TextColumn("{task.fields[words]}", markup=False),
                console=self._console,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.add_task(self._title(stage), total=max(1, inputs), words="")
            self._live.start()
            self._show(self._current, finished=False)

    def advance(self, done: UnitDone) -> None:
        """One more unit is committed."""
        current = self._current
        if current is None:
            return
        if done.summary is not None:
            self.committed(current.stage, [done.summary.path])
        current.units_done += 1
        if done.summary is not None:
            current.inputs_done = min(current.inputs, current.inputs_done + done.summary.inputs)
            current.fresh += done.summary.inputs
            current.kept += done.summary.kept
            current.failed += sum(done.summary.failures.values())
        self._show(current, finished=False)

    def end(self, stage: str) -> None:
        """The stage is closed."""
        current = self.stages[stage]
        current.ended = time.monotonic()
        current.inputs_done = current.inputs
        self._services = ""
        self._show(current, finished=True)
        self.close()

    def close(self) -> None:
        """Leaves the last line in place and shows the cursor again."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _show(self, current: StageProgress, *, finished: bool) -> None:
        now = time.monotonic()
        words = current.words(now) + (f"  [{self._services}]" if self._services else "")
        if self._live is not None:
            done = current.inputs_done if current.inputs else int(finished)
            self._live.update(self._live.task_ids[0], completed=done, words=" ".join(words.split()))
        elif not self._is_live and (finished or now - self._last >= QUIET_S):
            self._last = now
            self._console.print(f"{self._title(current.stage)}  {words}")

    def _title(self, stage: str) -> str:
        return f"first: {stage:<11}" if self._looking else f"{stage:<12}"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"
