"""The table printed at the end of a command: outcomes of each stage's inputs and outputs; each line adds up."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.text import Text

from flows.cli.tables import WIDTH, new_table, rendered
from tasks.storage.reports.tallies import FUNNEL_EXPLAINED, StageTally, Tally

REASONS_WIDTH = 30
"""Minimum width of the column of reasons, so that it stays readable in a narrow terminal."""


def funnel_table(tallies: Sequence[StageTally], more: Mapping[str, Sequence[str]]) -> str:
    """Two lines per stage, one for its inputs and one for its outputs, each with its own reasons.

    ``more`` holds columns about the stage as a whole: header -> one cell per stage.
    """
    header = ("stage", "what", "count", "kept", "rejected", "failed", *more)
    table = new_table(header, right=range(2, len(header)))
    table.add_column("because", min_width=1)
    for tally, *own in zip(tallies, *more.values(), strict=True):
        for what, side in tally.sides:
            name, *about = [tally.stage, *own] if side is tally.inputs else [""] * (1 + len(own))
            table.add_row(name, what, *_counts(side), *about, _Reasons(side.reasons))
    return f"{rendered(table, WIDTH)}\n{FUNNEL_EXPLAINED}"


@dataclass(frozen=True, slots=True)
class _Reasons:
    """A cell with its own wrapping, which keeps each count next to its reason."""

    reasons: Sequence[tuple[str, int]]

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        (line,) = reason_lines(self.reasons, width=1 << 20)
        return Measurement(min(REASONS_WIDTH, len(line)), len(line)).clamp(1, options.max_width)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line in reason_lines(self.reasons, options.max_width):
            yield Text(line)


def reason_lines(reasons: Sequence[tuple[str, int]], width: int) -> list[str]:
    """``no_target 3, easy_target 2``, all of them, wrapped to ``width`` only between reasons."""
    text = ", ".join(f"{reason}\N{NO-BREAK SPACE}{count}" for reason, count in reasons)
    lines = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in lines] or [""]


def _counts(tally: Tally) -> tuple[str, ...]:
    return tuple(str(n) for n in (tally.count, tally.kept, tally.rejected, tally.failed))
