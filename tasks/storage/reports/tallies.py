"""Counts of a stage's inputs and outputs by outcome and reason; each of the two adds up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.records.errors import DataFault
from tasks.storage.protocol.rows import CHILD, INPUT, PLURAL, most_frequent_first
from tasks.storage.protocol.stage_end import StageEnd

if TYPE_CHECKING:
    from tasks.storage.reports.ledger import FunnelRow

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
    """Both sides of a stage; its kept outputs are the next stage's inputs."""

    stage: str
    inputs: Tally
    outputs: Tally

    @property
    def sides(self) -> tuple[tuple[str, Tally], tuple[str, Tally]]:
        """Label and counts of each side: the stage's two lines in a table."""
        return ("inputs", self.inputs), ("outputs", self.outputs)


def tally_of_end(end: StageEnd) -> StageTally:
    """Of a stage that is closed.

    Raises:
        DataFault: the rejected and failed ones of a side do not add up to the reasons given.
    """
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


def _side(end: StageEnd, kind: str) -> Tally:
    kept, rejected, failed = (
        int(end.totals.get(f"{PLURAL[kind]}_{outcome}", 0)) for outcome in ("kept", "rejected", "failed")
    )
    named = {key.partition(":"): count for key, count in end.totals["reasons"].items()}
    reasons = most_frequent_first({reason: n for (of, _, reason), n in named.items() if of == kind})
    explained = sum(n for _, n in reasons)
    if explained != rejected + failed:
        msg = f"{end.key.stage}: {rejected + failed} {PLURAL[kind]} ended, {explained} reasons are given"
        raise DataFault(msg)
    return Tally(count=kept + rejected + failed, kept=kept, rejected=rejected, failed=failed, reasons=reasons)
