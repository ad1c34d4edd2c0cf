"""The planner of publish: one unit per shard, in order, and one unit for the samples that the splits reject."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from tasks.publishing.sample_libraries import LibrariesOf, write_extra
from tasks.publishing.settings import PublishSettings
from tasks.publishing.splits import REFUSED, SampleRef, assign_shards
from tasks.records.errors import DataFault
from tasks.records.records import SourceImage
from tasks.storage.objects.store import Store
from tasks.storage.protocol.commits import read_rows
from tasks.storage.protocol.layout import StageKey
from tasks.storage.protocol.planning import Grouping, inputs_of
from tasks.storage.protocol.rows import CHILD
from tasks.storage.protocol.stage_end import plan_commits
from tasks.storage.protocol.units import Plan, PlanInput, Unit, make_unit

SHARD = "shard"
"""Key in a unit's ``extra`` for the shard's file name; a unit without it has only rejected samples."""


def shard_grouping(
    key: StageKey,
    fingerprints: Mapping[str, str],
    settings: PublishSettings,
    *,
    seed: int,
    libraries: Callable[[], LibrariesOf],
) -> Grouping:
    """The grouping of publish's inputs for `tasks.storage.protocol.planning.draft_plan`.

    ``key`` is the publish stage's; ``fingerprints`` maps sid -> fingerprint (16 hex digits), at least for the
    photographs that have samples; ``seed`` is the build's; ``libraries`` reads the commits when units are made.
    """

    def group(inputs: Sequence[PlanInput]) -> list[Unit]:
        by_key = {item.id: item for item in inputs}
        refs = [SampleRef(key=k, sid=sid_of(k), fingerprint=fingerprints[sid_of(k)]) for k in by_key]
        release = assign_shards(refs, settings, seed)
        libraries_of = libraries()
        units = [
            make_unit(
                key,
                [by_key[k] for k in shard.keys],
                extra={SHARD: shard.file_name, **write_extra(shard.keys, libraries_of)},
            )
            for shard in release.shards
        ]
        size = settings.samples_per_shard
        for start in range(0, len(release.conflicts), size):
            part = release.conflicts[start : start + size]
            refused = {REFUSED + k: detail for k, detail in part}
            units.append(make_unit(key, [by_key[k] for k, _ in part], extra=refused))
        return units

    return group


def draft_retry_shards(plan: Plan, failed: Collection[str]) -> Plan:
    """The publish plan's next generation: shards with failed samples are made again, whole and under their names.

    ``failed`` are ids of the plan (`tasks.storage.protocol.stage_end.failed_inputs`); without any the plan itself is
    returned.
    """
    owners = plan.owners()
    again = {owners[id_] for id_ in failed}
    if not again:
        return plan
    generation = plan.generation + 1
    fresh = [
        make_unit(plan.key, inputs_of(unit), generation, unit.extra)
        for unit in plan.units
        if unit.id in again
    ]
    units = tuple(sorted([*plan.units, *fresh], key=lambda u: (u.generation, u.id)))
    return replace(plan, generation=generation, units=units)


def read_fingerprints(store: Store, ingest: Plan, sids: Collection[str]) -> dict[str, str]:
    """Sid -> fingerprint, for these photographs of a finished ingest."""
    requested = set(sids)
    found: dict[str, str] = {}
    for commit in plan_commits(store, ingest):
        for row in read_rows(store, commit):
            if row.kind == CHILD and row.outcome == "kept" and row.id in requested:
                record = row.decoded()
                if isinstance(record, SourceImage):
                    found[row.id] = record.fingerprint
    missing = requested.difference(found)
    if missing:
        raise DataFault(f"{ingest.path}: no photograph {min(missing)}")
    return found


def sid_of(sample_key: str) -> str:
    """The photograph's id inside a derived one: ``<sid>-t0-p0``."""
    return sample_key.partition("-")[0]
