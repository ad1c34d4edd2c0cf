"""The funnel as the card and the gallery show it: one line a stage, from the stages' ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tasks.errors import DataFault
from tasks.publishing.release_context import FunnelLine
from tasks.storage.rows import most_frequent_first
from tasks.storage.stage_end import StageEnd, find_stage_end
from tasks.storage.store import Store
from tasks.storage.units import Plan


def stage_ends(store: Store, plans: Sequence[Plan]) -> list[StageEnd]:
    """The ends of the plans that are closed, in their order; an open plan ends the list."""
    ends = []
    for plan in plans:
        end = find_stage_end(store, plan)
        if end is None:
            break
        ends.append(end)
    return ends


def funnel_line(end: StageEnd) -> FunnelLine:
    """One stage's count law, reasons of inputs and children added up, most frequent first.

    Raises:
        DataFault: kept, rejected and failed inputs don't add up to the reasons given.
    """
    totals = end.totals
    kept, rejected, failed = (int(totals.get(f"inputs_{o}", 0)) for o in ("kept", "rejected", "failed"))
    reasons: Counter[str] = Counter()
    of_inputs = 0
    for name, count in totals["reasons"].items():
        kind, _, reason = name.partition(":")
        reasons[reason] += count
        of_inputs += count if kind == "input" else 0
    if of_inputs != rejected + failed:
        raise DataFault(f"{end.key.stage}: {rejected + failed} inputs ended, {of_inputs} reasons are given")
    return FunnelLine(
        stage=end.key.stage,
        inputs=kept + rejected + failed,
        kept=kept,
        rejected=rejected,
        failed=failed,
        children=int(totals.get("children_kept", 0)),
        refused=int(totals.get("children_rejected", 0)) + int(totals.get("children_failed", 0)),
        reasons=most_frequent_first(reasons),
    )
