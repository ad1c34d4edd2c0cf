"""The ledger: a build's rows and commits as DuckDB tables, and the queries on them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa

from tasks.records.outcomes import verdict
from tasks.records.records import Measurement
from tasks.storage.objects.read_many import find_many
from tasks.storage.objects.store import Store
from tasks.storage.protocol.commits import Commit, commit_from, read_rows
from tasks.storage.protocol.planning import committed_units
from tasks.storage.protocol.rows import CHILD, INPUT, most_frequent_first
from tasks.storage.protocol.stage_end import find_stage_end, light_rows, read_decisions
from tasks.storage.protocol.units import Plan

ROW_COLUMNS = pa.schema(
    [
        pa.field("step", pa.int32()),
        *(
            pa.field(name, pa.string())
            for name in ("stage", "unit", "id", "kind", "parent", "outcome", "reason", "edit_type", "rows")
        ),
    ]
)
UNIT_COLUMNS = pa.schema(
    [
        pa.field("step", pa.int32()),
        pa.field("stage", pa.string()),
        pa.field("unit", pa.string()),
        pa.field("members", pa.int64()),
        pa.field("done", pa.bool_()),
        pa.field("seconds", pa.float64()),
        pa.field("ended", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FunnelRow:
    """One stage: inputs = kept + rejected + failed + open, and children = those kept + rejected + failed.

    Attributes:
        children_kept: the next stage's inputs.
        reasons: (reason, count) over ended inputs and children together, most frequent first.
        input_reasons, child_reasons: the same for each separately.
    """

    stage: str
    inputs: int
    kept: int
    rejected: int
    failed: int
    open: int
    children: int
    children_kept: int
    reasons: tuple[tuple[str, int], ...]
    children_rejected: int
    children_failed: int
    input_reasons: tuple[tuple[str, int], ...]
    child_reasons: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EditTypeRow:
    """Samples of one edit type that a stage kept, and those that ended there (inputs and children)."""

    stage: str
    edit_type: str
    kept: int
    rejected: int
    failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StageUnits:
    """Units of a stage; ``seconds`` is the workers' time, ``inputs_left`` counts the members of open units."""

    stage: str
    units: int
    units_done: int
    inputs_left: int
    seconds: float
    last_commit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryStep:
    """What a stage recorded about an id, an ancestor or a descendant; ``record`` is JSON or ``""``."""

    stage: str
    unit: str
    kind: str
    id: str
    parent: str
    outcome: str
    reason: str
    detail: str
    edit_type: str
    record: str
    blobs: tuple[str, ...]
    measured: tuple[Measurement, ...] = ()
    answers: tuple[str, ...] = ()


class Ledger:
    """A build's tables in memory: ``rows`` (with late decisions applied) and ``units``; read once, when created."""

    def __init__(self, store: Store, plans: Sequence[Plan]) -> None:
        self._store = store
        self._commits: dict[tuple[str, str], Commit] = {}
        rows: list[dict[str, Any]] = []
        units: list[dict[str, Any]] = []
        for step, plan in enumerate(plans):
            done = committed_units(store, plan.key)
            paths = [plan.key.commit_path(u.id) for u in plan.units if u.id in done]
            found = zip(paths, find_many(store, paths), strict=True)
            commits = {
                c.unit: c for c in (commit_from(data, path) for path, data in found if data is not None)
            }
            self._commits |= {(plan.key.stage, c.unit): c for c in commits.values()}
            units += [_unit_line(step, plan, u.id, len(u.members), commits.get(u.id)) for u in plan.units]
            rows += _row_lines(store, step, plan, list(commits.values()))
        # Else a query that needs an extension would fetch one from its vendor.
        self.connection = duckdb.connect(config={"autoinstall_known_extensions": False})
        self.connection.register("rows", pa.Table.from_pylist(rows, schema=ROW_COLUMNS))
        self.connection.register("units", pa.Table.from_pylist(units, schema=UNIT_COLUMNS))
        self._planned = [(step, plan.key.stage, plan.inputs) for step, plan in enumerate(plans)]

    def funnel(self) -> list[FunnelRow]:
        """One line per stage, in order."""
        counts = self._ask("SELECT step, kind, outcome, count(*) FROM rows GROUP BY ALL")
        reasons = self._ask("SELECT step, kind, reason, count(*) FROM rows WHERE reason <> '' GROUP BY ALL")
        lines = []
        for step, stage, planned in self._planned:
            of = {(kind, outcome): n for s, kind, outcome, n in counts if s == step}
            kept, rejected, failed = (of.get((INPUT, o), 0) for o in ("kept", "rejected", "failed"))
            why = {
                kind: Counter({r: n for s, k, r, n in reasons if (s, k) == (step, kind)})
                for kind in (INPUT, CHILD)
            }
            lines.append(
                FunnelRow(
                    stage=stage,
                    inputs=planned,
                    kept=kept,
                    rejected=rejected,
                    failed=failed,
                    open=planned - kept - rejected - failed,
                    children=sum(n for (kind, _), n in of.items() if kind == CHILD),
                    children_kept=of.get((CHILD, "kept"), 0),
                    reasons=most_frequent_first(why[INPUT] + why[CHILD]),
                    children_rejected=of.get((CHILD, "rejected"), 0),
                    children_failed=of.get((CHILD, "failed"), 0),
                    input_reasons=most_frequent_first(why[INPUT]),
                    child_reasons=most_frequent_first(why[CHILD]),
                )
            )
        return lines

    def edit_types(self) -> list[EditTypeRow]:
        """Kept and ended samples per edit type, for each stage that has edit types."""
        found = self._ask(
            "SELECT stage, edit_type, count(*) FILTER (kind = 'child' AND outcome = 'kept'),"
            " count(*) FILTER (outcome = 'rejected'), count(*) FILTER (outcome = 'failed')"
            " FROM rows WHERE edit_type <> '' GROUP BY step, stage, edit_type ORDER BY step, edit_type"
        )
        return [
            EditTypeRow(stage=stage, edit_type=kind, kept=kept, rejected=rejected, failed=failed)
            for stage, kind, kept, rejected, failed in found
        ]

    def progress(self) -> list[StageUnits]:
        """What is done and what is left, per stage."""
        found = self._ask(
            "SELECT stage, count(*), count(*) FILTER (done), coalesce(sum(members) FILTER (NOT done), 0),"
            " coalesce(sum(seconds), 0), coalesce(max(ended), '') FROM units GROUP BY step, stage ORDER BY step"
        )
        return [
            StageUnits(stage=s, units=u, units_done=d, inputs_left=int(left), seconds=t, last_commit=e)
            for s, u, d, left, t, e in found
        ]

    def history(self, id_: str) -> list[HistoryStep]:
        """All rows about an id (location, sid, target or sample), its ancestors and descendants, in order."""
        known = self._ask("SELECT DISTINCT id, parent FROM rows WHERE parent <> ''")
        family = _closure({id_}, [(i, p) for i, p in known]) | _closure({id_}, [(p, i) for i, p in known])
        found = self._ask(
            "SELECT stage, unit, id, parent, outcome, reason FROM rows"
            " WHERE id IN (SELECT unnest(?)) ORDER BY step, kind DESC, id, parent",
            [sorted(family)],
        )
        late = {(stage, p, i): (outcome, reason) for stage, _, i, p, outcome, reason in found}
        units = list(dict.fromkeys((stage, unit) for stage, unit, *_ in found))
        return [step for place in units for step in self._steps(place, late)]

    def _steps(
        self, place: tuple[str, str], required: dict[tuple[str, str, str], tuple[str, str]]
    ) -> Iterable[HistoryStep]:
        for row in read_rows(self._store, self._commits[place]):
            if (place[0], row.parent, row.id) not in required:
                continue
            outcome, reason = required[place[0], row.parent, row.id]
            yield HistoryStep(
                stage=place[0],
                unit=place[1],
                kind=row.kind,
                id=row.id,
                parent=row.parent,
                outcome=outcome,
                reason=reason,
                detail=row.detail,
                edit_type=row.edit_type,
                record=json.dumps(json.loads(row.record), ensure_ascii=False) if row.record else "",
                blobs=tuple(sorted(row.blobs)),
                measured=row.measured,
                answers=row.answers,
            )

    def _ask(self, query: str, parameters: list[Any] | None = None) -> list[tuple[Any, ...]]:
        return self.connection.execute(query, parameters).fetchall()


def _row_lines(store: Store, step: int, plan: Plan, commits: Sequence[Commit]) -> Iterable[dict[str, Any]]:
    end = find_stage_end(store, plan)
    late = {(d.parent, d.id): d.reason for d in read_decisions(store, end)} if end else {}
    for row in light_rows(store, plan, commits):
        reason = late.get((row.parent, row.id)) if row.kind == CHILD else None
        yield {
            "step": step,
            "stage": plan.key.stage,
            "unit": row.unit,
            "id": row.id,
            "kind": row.kind,
            "parent": row.parent,
            "outcome": verdict(reason) if reason else row.outcome,
            "reason": reason.value if reason else row.reason,
            "edit_type": row.edit_type,
            "rows": row.rows,
        }


def _unit_line(step: int, plan: Plan, unit: str, members: int, commit: Commit | None) -> dict[str, Any]:
    return {
        "step": step,
        "stage": plan.key.stage,
        "unit": unit,
        "members": members,
        "done": commit is not None,
        "seconds": float(commit.run.get("seconds", 0.0)) if commit else 0.0,
        "ended": str(commit.run.get("ended", "")) if commit else "",
    }


def _closure(start: set[str], steps: Sequence[tuple[str, str]]) -> set[str]:
    following: dict[str, set[str]] = {}
    for source, target in steps:
        following.setdefault(source, set()).add(target)
    seen, frontier = set(start), set(start)
    while frontier:
        frontier = {t for s in frontier for t in following.get(s, ())} - seen
        seen |= frontier
    return seen
