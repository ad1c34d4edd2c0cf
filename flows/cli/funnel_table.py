"""The table a command ends with: how every stage's inputs and outputs ended, and why; each line adds up."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

from flows.cli.tables import text_table
from tasks.storage.reports.tallies import FUNNEL_EXPLAINED, StageTally, Tally

WIDTH = 120
"""Columns that a table with reasons takes, at most."""

REASONS_WIDTH = 30
"""Columns that the reasons have, at least: no table is cut so narrow that they can't be read."""


def funnel_table(tallies: Sequence[StageTally], more: Mapping[str, Sequence[str]]) -> str:
    """Two lines a stage, one for its inputs and one for what it made of them, each with its own reasons.

    ``more`` are columns about the stage as a whole: header to one cell a stage.
    """
    header = ("stage", "what", "count", "kept", "rejected", "failed", *more)
    rows: list[tuple[tuple[str, ...], Tally]] = []
    for tally, *own in zip(tallies, *more.values(), strict=True):
        for what, side in tally.sides:
            name, *about = [tally.stage, *own] if side is tally.inputs else [""] * (1 + len(own))
            rows.append(((name, what, *_counts(side), *about), side))
    taken = sum(
        max(len(cells[n]) for cells in (header, *(c for c, _ in rows))) + 2 for n in range(len(header))
    )
    wrapped = [(*header, "because")]
    for cells, side in rows:
        first, *following = reason_lines(side.reasons, max(WIDTH - taken, REASONS_WIDTH))
        wrapped.append((*cells, first))
        wrapped += [(*[""] * len(cells), line) for line in following]
    return f"{text_table(wrapped, right=range(2, len(header)))}\n{FUNNEL_EXPLAINED}"


def reason_lines(reasons: Sequence[tuple[str, int]], width: int) -> list[str]:
    """``no_target 3, easy_target 2``, all of them, on as many lines as it takes; no count is parted from its reason."""
    text = ", ".join(f"{reason}\N{NO-BREAK SPACE}{count}" for reason, count in reasons)
    lines = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in lines] or [""]


def _counts(tally: Tally) -> tuple[str, ...]:
    return tuple(str(n) for n in (tally.count, tally.kept, tally.rejected, tally.failed))
