"""The ends of a build's closed stages, and the funnel computed from them for card and gallery."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tasks.publishing.release_context import ReleaseContext
from tasks.storage.objects.store import Store
from tasks.storage.protocol.stage_end import StageEnd, find_stage_end
from tasks.storage.protocol.units import Plan
from tasks.storage.reports.tallies import tally_of_end


def stage_ends(store: Store, plans: Sequence[Plan]) -> list[StageEnd]:
    """The ends of the closed plans in order, up to the first open plan."""
    ends = []
    for plan in plans:
        end = find_stage_end(store, plan)
        if end is None:
            break
        ends.append(end)
    return ends


def with_funnel(context: ReleaseContext, ends: Sequence[StageEnd]) -> ReleaseContext:
    """The context with the counts of these stages.

    Raises:
        DataFault: a stage's counts do not add up.
    """
    return replace(context, funnel=tuple(map(tally_of_end, ends)))
