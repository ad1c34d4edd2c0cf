"""A few photographs that go through all stages before the others, so that there is something to look at early."""

from __future__ import annotations

from dataclasses import replace

from flows.build.plans import Build, draft, listing
from tasks.records.outcomes import STAGES
from tasks.stages.registry import routes_of

LOOKED_AT = STAGES[:-1]
"""Stages of a first look; only the whole build publishes."""


def first_look(build: Build) -> Build | None:
    """The build of these photographs alone, or None where it would gain nothing.

    Its units are those of the same build with a limit, and the whole build uses them as it uses a pilot's. It leaves no
    record of its own. Models outside the workers would have to be started for a few photographs and then again, so
    there is none with them; nor is there one in a dataset where grounding has begun.
    """
    count = build.config.execution.first_look
    if not count or build.stages != STAGES or build.retry or build.replay or build.taken_over is not None:
        return None
    if any(routes_of(build.config, stage) for stage in STAGES):
        return None
    entries = [entry for entry in listing(build).entries if not entry.problem]
    if len(entries) <= 2 * count:
        return None
    chosen = [
        entries[n * len(entries) // count] for n in range(count)
    ]  # from all sources, which are sorted by name
    first = replace(
        build,
        listing=replace(listing(build), entries=chosen, idle_exclusions=(), notes=()),
        plans={},
        record=None,
        recorded=False,
        stages=LOOKED_AT,
        whole=True,
    )
    begun = build.store.exists(draft(first, STAGES[0]).path)
    if not begun and any(True for _ in build.store.list(build.key("grounding").plans)):
        return None
    return first
