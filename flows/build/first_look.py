"""A few photographs that go through all stages before the others, so that there is something to look at early."""

from __future__ import annotations

from dataclasses import replace

from flows.build.plans import Build, draft, listing
from tasks.records.outcomes import STAGES
from tasks.stages.registry import routes_of

LOOKED_AT = STAGES[:-1]
"""Stages of a first look; only the whole build publishes."""

LOOKS = 3
"""So often other photographs are looked at when those before gave no sample."""


def first_looks(build: Build) -> tuple[Build, ...]:
    """Builds of a few photographs each, to be run until one of them gives a sample; none where nothing is gained.

    Their units are those of the same build with a limit, and the whole build uses them as it uses a pilot's. They leave
    no record of their own. Models outside the workers would have to be started for a few photographs and then again,
    so there is no first look with them; nor is there one in a dataset where grounding has begun.
    """
    count = build.config.execution.first_look
    if not count or build.stages != STAGES or build.retry or build.replay or build.taken_over is not None:
        return ()
    if any(routes_of(build.config, stage) for stage in STAGES):
        return ()
    entries = [entry for entry in listing(build).entries if not entry.problem]
    looks = min(LOOKS, len(entries) // (2 * count))  # of half of them a first look would hardly be sooner
    # Photographs from all sources, which are sorted by name.
    spread = [entries[n * len(entries) // (looks * count)] for n in range(looks * count)]
    found = tuple(
        replace(
            build,
            listing=replace(listing(build), entries=spread[n::looks], idle_exclusions=(), notes=()),
            plans={},
            record=None,
            recorded=False,
            stages=LOOKED_AT,
            whole=True,
        )
        for n in range(looks)
    )
    if found and not build.store.exists(draft(found[0], STAGES[0]).path) and _grounding_has_begun(build):
        return ()
    return found


def _grounding_has_begun(build: Build) -> bool:
    return any(True for _ in build.store.list(build.key("grounding").plans))
