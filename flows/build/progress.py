"""Live progress in the terminal: a line a stage with inputs, outputs, rate and time left; plain lines without a tty."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import TextIO

from flows.build.fan_out import UnitDone

QUIET_S = 5.0
"""Plain lines come no more often than this."""

LIVE_S = 0.1
"""A terminal's line is redrawn no more often than this."""


@dataclass(slots=True)
class StageProgress:
    """Where one stage stands; inputs are counted, since units differ in size.

    Attributes:
        kept: outputs, as in the funnel's lines of outputs; a duplicate shows only at the end of ingest.
    """

    stage: str
    units: int
    units_done: int
    inputs: int
    inputs_done: int
    kept: int = 0
    failed: int = 0
    began: float = 0.0
    fresh: int = 0
    ended: float | None = None

    @property
    def seconds(self) -> float:
        """Wall seconds from the plan to the stage's end, or 0 while it is open."""
        return self.ended - self.began if self.ended is not None else 0.0

    def line(self, now: float) -> str:
        """``grounding    12/40 inputs   9 outputs kept   3.1/s   9 s left``."""
        seconds = (self.ended or now) - self.began
        parts = [f"{self.stage:<12}", f"{self.inputs_done:>6}/{self.inputs} inputs"]
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


class Progress:
    """Collects what happens and says so; ``quiet`` collects only."""

    def __init__(self, stream: TextIO | None = None, *, quiet: bool = False) -> None:
        self._stream = stream or sys.stderr
        self._quiet = quiet
        self._live = not quiet and self._stream.isatty()
        self._last = 0.0
        self.stages: dict[str, StageProgress] = {}
        self._current: StageProgress | None = None

    def note(self, text: str) -> None:
        """A line of its own."""
        if not self._quiet:
            self._write(text, end="\n")

    def begin(self, stage: str, *, units: int, done: int, inputs: int, open_inputs: int) -> None:
        """A stage is planned: so many units, of which some were done before."""
        self._current = self.stages[stage] = StageProgress(
            stage=stage,
            units=units,
            units_done=done,
            inputs=inputs,
            inputs_done=inputs - open_inputs,
            began=time.monotonic(),
        )
        self._last = time.monotonic()

    def advance(self, done: UnitDone) -> None:
        """One more unit is committed."""
        current = self._current
        if current is None:
            return
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
        self._show(current, finished=True)

    def _show(self, current: StageProgress, *, finished: bool) -> None:
        now = time.monotonic()
        wait = LIVE_S if self._live else QUIET_S
        if self._quiet or (not finished and now - self._last < wait):
            return
        self._last = now
        self._write(current.line(now), end="\n" if finished or not self._live else "")

    def _write(self, text: str, *, end: str) -> None:
        # A carriage return and "erase to the end of the line" redraw in place on every terminal.
        self._stream.write(f"\r\x1b[K{text}{end}" if self._live else f"{text}{end}")
        self._stream.flush()


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"
