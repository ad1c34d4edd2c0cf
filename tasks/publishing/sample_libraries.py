"""Which libraries made a sample: those of the processes that committed its units."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache

from tasks.records.canonical import canonical_json
from tasks.records.errors import DataFault
from tasks.storage.objects.store import Store
from tasks.storage.protocol.commits import Commit
from tasks.storage.protocol.rows import CHILD
from tasks.storage.protocol.stage_end import light_rows, plan_commits
from tasks.storage.protocol.units import Plan

Libraries = tuple[tuple[str, str], ...]
"""(name, version), sorted; a library used in two versions is listed twice."""

LibrariesOf = Callable[[str], Libraries]
"""The libraries of a sample, by its key ``<sid>-t0-p0``."""

EXTRA = "libraries"
"""Key in a publish unit's ``extra``: the libraries of its samples; ``:<key>`` is appended for a sample that differs."""


def libraries_of_samples(store: Store, plans: Sequence[Plan]) -> LibrariesOf:
    """The libraries recorded in commits, for the samples of closed plans of ingest, grounding, instruction and editing.

    Raises:
        DataFault: a unit is not committed, or a sample belongs to none of these plans.
    """
    commits = [plan_commits(store, plan) for plan in plans]
    by_unit = [{commit.unit: _recorded(commit) for commit in found} for found in commits]
    if len({libraries for found in by_unit for libraries in found.values()}) <= 1:
        # Usually one environment made everything; then it does not matter which unit made what.
        everywhere = next((libraries for found in by_unit for libraries in found.values()), ())
        return lambda key: everywhere
    owners = [_photographs(store, plans[0], commits[0]), *(plan.owners() for plan in plans[1:])]

    @cache
    def of(key: str) -> Libraries:
        target = key.rpartition("-")[0]
        ids = (key.partition("-")[0], key.partition("-")[0], target, key)
        try:
            units = [owner[id_] for owner, id_ in zip(owners, ids, strict=False)]
        except KeyError as error:
            raise DataFault(f"{key}: no unit of these plans is about {error}") from error
        return tuple(
            sorted({item for found, unit in zip(by_unit, units, strict=True) for item in found[unit]})
        )

    return of


def write_extra(keys: Sequence[str], libraries: LibrariesOf) -> dict[str, str]:
    """The entries of a publish unit's ``extra`` about its samples' libraries."""
    usual = libraries(keys[0])
    extra = {EXTRA: _json(usual)}
    return extra | {f"{EXTRA}:{key}": _json(libraries(key)) for key in keys if libraries(key) != usual}


def read_extra(extra: Mapping[str, str], key: str) -> Libraries:
    """A sample's libraries from its publish unit's ``extra``; empty if an earlier version planned the unit."""
    return tuple(
        (name, version) for name, version in json.loads(extra.get(f"{EXTRA}:{key}", extra.get(EXTRA, "[]")))
    )


def _recorded(commit: Commit) -> Libraries:
    return tuple(sorted((str(n), str(v)) for n, v in commit.run.get("libraries", {}).items()))


def _photographs(store: Store, ingest: Plan, commits: Sequence[Commit]) -> dict[str, str]:
    """Photograph -> the unit that made it; of several locations with equal bytes the smallest, as in ingest."""
    kept = [r for r in light_rows(store, ingest, commits) if r.kind == CHILD and r.outcome == "kept"]
    return {row.id: row.unit for row in sorted(kept, key=lambda row: row.parent, reverse=True)}


def _json(libraries: Libraries) -> str:
    return canonical_json([list(item) for item in libraries]).decode()
