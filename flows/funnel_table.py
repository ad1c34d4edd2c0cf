"""The table a command ends with: how every stage's inputs and outputs ended, and why; each line adds up."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flows.tables import text_table
from tasks.storage.rows import CHILD, INPUT, PLURAL, most_frequent_first
from tasks.storage.stage_end import StageEnd

if TYPE_CHECKING:
    from tasks.storage.ledger import FunnelRow

WIDTH = 120
"""Columns that a table with reasons takes, at most."""

REASONS_WIDTH = 30
"""Columns that the reasons have, at least: no table is cut so narrow that they can't be read."""

FUNNEL_EXPLAINED = (
    "outputs: what a stage made of the inputs it kept; those of them it kept are the next stage's inputs"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Inputs or outputs of a stage: count = kept + rejected + failed (+ those still open); reasons add up to the
    rejected and failed ones, most frequent first.
    """

    count: int
    kept: int
    rejected: int
    failed: int
    reasons: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTally:
    """Both sides of a stage; the outputs it kept are the next stage's inputs."""

    stage: str
    inputs: Tally
    outputs: Tally


def tally_of_end(end: StageEnd) -> StageTally:
    """Of a stage that is closed."""
    return StageTally(stage=end.key.stage, inputs=_side(end, INPUT), outputs=_side(end, CHILD))


def tally_of_row(row: FunnelRow) -> StageTally:
    """Of a stage as the ledger knows it, open or closed."""
    return StageTally(
        stage=row.stage,
        inputs=Tally(
            count=row.inputs,
            kept=row.kept,
            rejected=row.rejected,
            failed=row.failed,
            reasons=row.input_reasons,
        ),
        outputs=Tally(
            count=row.children,
            kept=row.children_kept,
            rejected=row.children_rejected,
            failed=row.children_failed,
            reasons=row.child_reasons,
        ),
    )


def funnel_table(tallies: Sequence[StageTally], more: Mapping[str, Sequence[str]]) -> str:
    """Two lines a stage, one for its inputs and one for what it made of them, each with its own reasons.

    ``more`` are columns about the stage as a whole: header to one cell a stage.
    """
    header = ("stage", "what", "count", "kept", "rejected", "failed", *more)
    rows: list[tuple[tuple[str, ...], Tally]] = []
    for tally, *own in zip(tallies, *more.values(), strict=True):
        rows.append(((tally.stage, "inputs", *_counts(tally.inputs), *own), tally.inputs))
        rows.append((("", "outputs", *_counts(tally.outputs), *[""] * len(own)), tally.outputs))
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


def _side(end: StageEnd, kind: str) -> Tally:
    kept, rejected, failed = (
        int(end.totals.get(f"{PLURAL[kind]}_{outcome}", 0)) for outcome in ("kept", "rejected", "failed")
    )
    named = {key.partition(":"): count for key, count in end.totals["reasons"].items()}
    return Tally(
        count=kept + rejected + failed,
        kept=kept,
        rejected=rejected,
        failed=failed,
        reasons=most_frequent_first({reason: n for (of, _, reason), n in named.items() if of == kind}),
    )


def _counts(tally: Tally) -> tuple[str, ...]:
    return tuple(str(n) for n in (tally.count, tally.kept, tally.rejected, tally.failed))
