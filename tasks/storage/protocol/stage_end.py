"""The end of a stage: the count law over the whole plan, totals, late decisions, and the next stage's inputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from tasks.records import version_1
from tasks.records.canonical import digest_of, seal, sha256_hex, unseal
from tasks.records.errors import DataFault, Reason
from tasks.records.outcomes import verdict
from tasks.records.schema import DECISIONS, read_parquet, read_rows_table, write_parquet
from tasks.storage.objects.read_many import find_many
from tasks.storage.objects.store import Store
from tasks.storage.protocol.commits import Commit, StoredObject, commit_from
from tasks.storage.protocol.fault_points import FaultPoint, pass_point
from tasks.storage.protocol.layout import StageKey
from tasks.storage.protocol.rows import CHILD, INPUT, PLURAL
from tasks.storage.protocol.units import Plan, PlanInput, by_unit

LIGHT = ["id", "kind", "parent", "outcome", "reason", "edit_type", "digest"]
"""Columns needed for totals and plans: all except records and blobs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LightRow:
    """A row without its record, with its unit and the Parquet file that holds it."""

    id: str
    kind: str
    parent: str
    outcome: str
    reason: str
    edit_type: str
    digest: str
    unit: str
    rows: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A child kept by its unit and rejected at the end of the stage."""

    parent: str
    id: str
    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StageEnd:
    """Totals of a plan.

    Attributes:
        plan: `Plan.reference`.
        totals: inputs and children by outcome, and reasons by ``kind:reason``, after the decisions.
        commits: unit -> `Commit.content`, for every unit of the plan.
        decisions: the Parquet file of `Decision`s, or None if there are none.
        digest: over all of the above; equal builds have equal digests.
    """

    key: StageKey
    plan: str
    totals: Mapping[str, Any]
    commits: Mapping[str, str]
    decisions: StoredObject | None
    digest: str


Decide = Callable[[Iterable[LightRow]], list[Decision]]


def close_stage(store: Store, plan: Plan, decide: Decide | None = None) -> StageEnd:
    """Checks the count law over the plan, makes the late decisions, and stores the stage's end.

    Args:
        store: of the dataset.
        plan: with all units committed.
        decide: gets the rows that count, in order of (unit, row); returns the kept children to reject after all.

    Raises:
        DataFault: a unit is not committed, or the count law does not hold.
    """
    known = find_stage_end(store, plan)
    if known is not None:
        return known
    commits = plan_commits(store, plan)
    rows = list(light_rows(store, plan, commits))
    _check_plan_law(plan, rows)
    decisions = decide(rows) if decide else []
    decided = _store_decisions(store, plan.key, decisions)
    pass_point(FaultPoint.DECISIONS_STORED)
    content = {
        "stage": plan.key.stage,
        "config8": plan.key.config8,
        "plan": plan.reference,
        "totals": stage_totals(rows, decisions),
        "commits": {commit.unit: commit.content for commit in commits},
        "decisions": (
            {"path": decided.path, "bytes": decided.bytes, "sha256": decided.sha256} if decided else None
        ),
    }
    path = plan.key.stage_end_path(plan.plan12, plan.generation)
    store.put_if_absent(path, seal({**content, "digest": digest_of(content)}))
    pass_point(FaultPoint.STAGE_CLOSED)
    return stage_end_from(store.get(path), path)


def find_stage_end(store: Store, plan: Plan) -> StageEnd | None:
    """The plan's end, or None while it is open."""
    path = plan.key.stage_end_path(plan.plan12, plan.generation)
    data = store.find(path)
    return None if data is None else stage_end_from(data, path)


def stage_end_from(data: bytes, path: str) -> StageEnd:
    """Parses a stage's end. Raises `DataFault` naming ``path``."""
    body = unseal(data, path)
    try:
        return StageEnd(
            key=StageKey(stage=body["stage"], config8=body["config8"]),
            plan=body["plan"],
            totals=version_1.counts_of(body["totals"]),
            commits=body["commits"],
            decisions=StoredObject(**body["decisions"]) if body["decisions"] else None,
            digest=body["digest"],
        )
    except (KeyError, TypeError) as error:
        msg = f"{path}: not a stage's end of the expected shape ({error})"
        raise DataFault(msg) from error


def plan_commits(store: Store, plan: Plan) -> list[Commit]:
    """Commits of all units of a plan, in its order. Raises `DataFault` if one is missing."""
    commits = []
    paths = [plan.key.commit_path(unit.id) for unit in plan.units]
    for unit, path, data in zip(plan.units, paths, find_many(store, paths), strict=True):
        if data is None:
            msg = f"{plan.key.stage}: unit {unit.id} of plan {plan.reference} is not committed"
            raise DataFault(msg)
        commits.append(commit_from(data, path))
    return commits


def light_rows(store: Store, plan: Plan, commits: Iterable[Commit]) -> Iterator[LightRow]:
    """The rows that count for a plan: for each id those of its newest unit."""
    ids = by_unit(plan.owners())
    known = list(commits)
    for commit, data in zip(known, find_many(store, [c.rows.path for c in known]), strict=True):
        owned = ids.get(commit.unit, set())
        if data is None:
            msg = f"{commit.rows.path}: missing, though {commit.path} names it"
            raise DataFault(msg)
        if sha256_hex(data) != commit.rows.sha256:
            msg = f"{commit.rows.path}: bytes do not match the digest in {commit.path}"
            raise DataFault(msg)
        for item in read_rows_table(data, commit.rows.path, LIGHT).to_pylist():
            if (item["id"] if item["kind"] == INPUT else item["parent"]) in owned:
                yield LightRow(**item, unit=commit.unit, rows=commit.rows.path)


def kept_children(store: Store, plan: Plan) -> Iterator[PlanInput]:
    """The next stage's inputs: kept children of a closed plan, without those rejected at its end.

    Raises:
        DataFault: the stage is not closed, or an object it names is damaged or missing.
    """
    end = find_stage_end(store, plan)
    if end is None:
        msg = f"{plan.key.stage}: plan {plan.reference} is not closed"
        raise DataFault(msg)
    refused = {(d.parent, d.id) for d in read_decisions(store, end)}
    for row in light_rows(store, plan, plan_commits(store, plan)):
        if row.kind == CHILD and row.outcome == "kept" and (row.parent, row.id) not in refused:
            yield PlanInput(id=row.id, digest=row.digest, rows=row.rows)


def failed_inputs(store: Store, plan: Plan) -> list[str]:
    """Ids whose input row or a child row is a failure; ``--retry-failed`` tries these again."""
    rows = light_rows(store, plan, plan_commits(store, plan))
    return sorted({row.parent or row.id for row in rows if row.outcome == "failed"})


def read_decisions(store: Store, end: StageEnd) -> list[Decision]:
    """The decisions of a stage's end."""
    if end.decisions is None:
        return []
    data = store.get(end.decisions.path)
    if sha256_hex(data) != end.decisions.sha256:
        msg = f"{end.decisions.path}: bytes do not match the digest in the stage's end of plan {end.plan}"
        raise DataFault(msg)
    return [
        Decision(
            parent=i["parent"],
            id=i["id"],
            reason=Reason(version_1.reason_of(i["reason"])),
            detail=i["detail"],
        )
        for i in read_parquet(data, DECISIONS, end.decisions.path).to_pylist()
    ]


def decide_duplicates(rows: Iterable[LightRow]) -> list[Decision]:
    """Of kept children with one id (equal bytes at several locations) keeps the one at the smallest location."""
    locations: dict[str, list[str]] = {}
    for row in rows:
        if row.kind == CHILD and row.outcome == "kept":
            locations.setdefault(row.id, []).append(row.parent)
    return [
        Decision(parent=parent, id=id_, reason=Reason.DUPLICATE, detail=f"same bytes as {min(parents)}")
        for id_, parents in sorted(locations.items())
        for parent in sorted(parents)[1:]
    ]


def stage_totals(rows: Sequence[LightRow], decisions: Sequence[Decision]) -> dict[str, Any]:
    """Inputs and children by outcome, and reasons by ``kind:reason``, after the decisions."""
    late = {(d.parent, d.id): d for d in decisions}
    outcomes: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for row in rows:
        decision = late.get((row.parent, row.id)) if row.kind == CHILD else None
        outcome, reason = (
            (verdict(decision.reason), decision.reason.value) if decision else (row.outcome, row.reason)
        )
        outcomes[f"{PLURAL[row.kind]}_{outcome}"] += 1
        if reason:
            reasons[f"{row.kind}:{reason}"] += 1
    return {**dict(sorted(outcomes.items())), "reasons": dict(sorted(reasons.items()))}


def _check_plan_law(plan: Plan, rows: Sequence[LightRow]) -> None:
    counted = Counter(row.id for row in rows if row.kind == INPUT)
    planned = set(plan.owners())
    wrong = sorted(planned.symmetric_difference(counted)) + [i for i, n in counted.items() if n > 1]
    children = {row.parent for row in rows if row.kind == CHILD}
    wrong += [r.id for r in rows if r.kind == INPUT and (r.outcome == "kept") != (r.id in children)]
    if wrong:
        msg = f"{plan.path}: the count law does not hold for {wrong[0]!r} ({len(wrong)} ids)"
        raise DataFault(msg)


def _store_decisions(store: Store, key: StageKey, decisions: Sequence[Decision]) -> StoredObject | None:
    if not decisions:
        return None
    ordered = sorted(decisions, key=lambda d: (d.parent, d.id))
    items = [{"parent": d.parent, "id": d.id, "reason": d.reason.value, "detail": d.detail} for d in ordered]
    data = write_parquet(pa.Table.from_pylist(items, schema=DECISIONS))
    sha = sha256_hex(data)
    stored = StoredObject(path=key.decisions_path(sha), bytes=len(data), sha256=sha)
    store.put(stored.path, data)
    return stored
