"""Planning: committed units of earlier plans are reused whole; only the remaining inputs form new units."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise

from tasks.records.canonical import seal
from tasks.records.errors import DataFault
from tasks.records.outcomes import SourceEntry
from tasks.storage.objects.store import Store
from tasks.storage.protocol.fault_points import FaultPoint, pass_point
from tasks.storage.protocol.layout import StageKey, unit_of
from tasks.storage.protocol.units import (
    Plan,
    PlanInput,
    Unit,
    cut,
    input_key,
    make_unit,
    plan_bytes,
    plan_digest,
    plan_from,
)
from tasks.storage.protocol.written import written

Grouping = Callable[[Sequence[PlanInput]], list[Unit]]
"""How a stage with its own planner (publish) groups its inputs into units."""


def entry_inputs(entries: Iterable[SourceEntry]) -> list[PlanInput]:
    """Source entries as the inputs of ingest."""
    return [PlanInput(id=e.location, digest=_entry_digest(e), entry=e) for e in entries]


def draft_plan(
    store: Store,
    key: StageKey,
    inputs: Iterable[PlanInput],
    *,
    unit_size: int,
    upstream: str = "",
    grouping: Grouping | None = None,
) -> Plan:
    """The plan for these inputs: the newest stored generation, or a new one. Writes nothing.

    Args:
        store: of the dataset.
        key: the stage.
        inputs: with different ids, in any order.
        unit_size: maximum inputs per new unit.
        upstream: `Plan.reference` of the stage before.
        grouping: forms the units itself; then only equal units of earlier plans are reused.

    Raises:
        ValueError: two inputs share an id.
    """
    members = sorted(inputs, key=lambda i: i.id)
    if len({m.id for m in members}) != len(members):
        twice = next(a.id for a, b in pairwise(members) if a.id == b.id)
        msg = f"{key.stage}: {twice!r} is planned twice"
        raise ValueError(msg)
    plan12 = plan_digest(members)
    newest = newest_plan(store, key, plan12)
    if newest is not None:
        return newest
    if grouping is not None:
        units = grouping(members)
    else:
        kept = reusable_units(earlier_units(store, key), committed_units(store, key), members)
        covered = {i for unit in kept for i in unit.members}
        rest = [m for m in members if m.id not in covered]
        units = kept + [make_unit(key, group) for group in cut(rest, unit_size)]
    units.sort(key=lambda u: (u.generation, u.id))
    return Plan(key=key, plan12=plan12, generation=0, upstream=upstream, units=tuple(units))


def reusable_units(earlier: Iterable[Unit], committed: set[str], inputs: Sequence[PlanInput]) -> list[Unit]:
    """Committed units whose members are all among the inputs, without overlap within a generation, largest first.

    Units of a retry are kept beside those they override, so that results of retries are not lost.
    """
    requested = {input_key(m.id, m.digest) for m in inputs}
    candidates = {u.id: u for u in earlier if u.id in committed and requested.issuperset(u.keys)}
    taken: set[tuple[int, str]] = set()
    kept: list[Unit] = []
    for unit in sorted(candidates.values(), key=lambda u: (u.generation, -len(u.members), u.id)):
        places = {(unit.generation, i) for i in unit.members}
        if taken.isdisjoint(places):
            taken |= places
            kept.append(unit)
    return kept


def draft_retry(store: Store, plan: Plan, failed: Iterable[str], unit_size: int) -> Plan:
    """The plan's next generation, with the failed ids in new units; the plan itself if none failed. Writes nothing.

    Args:
        store: of the dataset.
        plan: whose every unit is committed.
        unit_size: maximum inputs per new unit.
        failed: ids whose input row, or one of whose children, is a failure (`stage_end.failed_inputs`).
    """
    newest = newest_plan(store, plan.key, plan.plan12)
    if newest is not None and newest.generation > plan.generation:
        return newest
    ids = sorted(set(failed))
    if not ids:
        return plan
    known = {m.id: m for unit in plan.units for m in inputs_of(unit)}
    generation = 1 + max(unit.generation for unit in plan.units)
    fresh = [make_unit(plan.key, group, generation) for group in cut([known[i] for i in ids], unit_size)]
    return Plan(
        key=plan.key,
        plan12=plan.plan12,
        generation=plan.generation + 1,
        upstream=plan.upstream,
        units=tuple(sorted([*plan.units, *fresh], key=lambda u: (u.generation, u.id))),
    )


def store_plan(store: Store, plan: Plan) -> Plan:
    """Stores the plan unless another writer was first; returns the stored one."""
    pass_point(FaultPoint.PLAN_CUT)
    store.put_if_absent(plan.path, plan_bytes(plan))
    pass_point(FaultPoint.PLAN_STORED)
    return load_plan(store, plan.key, plan.plan12, plan.generation)


def load_plan(store: Store, key: StageKey, plan12: str, generation: int) -> Plan:
    """One generation of a plan.

    Raises:
        DataFault: it is missing or damaged.
    """
    path = key.plan_path(plan12, generation)
    return plan_from(store.get(path), path)


def newest_plan(store: Store, key: StageKey, plan12: str) -> Plan | None:
    """The newest generation of a plan, or None if it was never stored."""
    prefix = f"{key.plans}/{plan12}.g"
    generations = [
        int(o.path.removeprefix(prefix).removesuffix(".json"))
        for o in written(store, key.plans)
        if o.path.startswith(prefix)
    ]
    return load_plan(store, key, plan12, max(generations)) if generations else None


def earlier_units(store: Store, key: StageKey) -> list[Unit]:
    """All units of all plans of a stage, each id once."""
    units: dict[str, Unit] = {}
    for path in sorted(o.path for o in written(store, key.plans)):
        units |= {unit.id: unit for unit in plan_from(store.get(path), path).units}
    return list(units.values())


def committed_units(store: Store, key: StageKey) -> set[str]:
    """Ids of the units that are done, from one listing."""
    return {unit_of(o.path) for o in written(store, key.commits)}


def pending_units(store: Store, plan: Plan) -> list[Unit]:
    """Units of the plan without a commit, in the plan's order."""
    done = committed_units(store, plan.key)
    return [unit for unit in plan.units if unit.id not in done]


def inputs_of(unit: Unit) -> list[PlanInput]:
    """The members of a unit as the inputs they were planned from."""
    entries = unit.entries or (None,) * len(unit.members)
    # A unit does not say which of its row files holds which member; a retry reads them all.
    rows = "\n".join(unit.parents)
    return [
        PlanInput(id=i, digest=d, rows=rows, entry=e)
        for i, d, e in zip(unit.members, unit.digests, entries, strict=True)
    ]


def write_stage_config(store: Store, key: StageKey, hashed: Mapping[str, object]) -> None:
    """Stores the material that was hashed into ``config8``.

    Raises:
        DataFault: the path holds something else (two configurations share eight digits, or the object is damaged).
    """
    data = seal(hashed)
    if not store.put_if_absent(key.config_path, data) and store.get(key.config_path) != data:
        msg = f"{key.config_path}: contents do not match the configuration hash in the path"
        raise DataFault(msg)


def _entry_digest(entry: SourceEntry) -> str:
    return f"{entry.version}|{entry.offset}|{entry.length}|{entry.problem}|{entry.license}"
