"""Finds the gallery's entries in a build's plans: accepted samples and rejected inputs, with their blobs."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from tasks.gallery.entries import Rejected
from tasks.publishing.accepted import Accepted, accepted_of
from tasks.publishing.release_context import SampleContext
from tasks.publishing.sample_libraries import libraries_of_samples, read_extra
from tasks.records.errors import DataFault
from tasks.records.outcomes import Record, SourceEntry, verdict
from tasks.storage.objects.store import Store
from tasks.storage.protocol.commits import read_rows
from tasks.storage.protocol.rows import CHILD, Row, rows_from
from tasks.storage.protocol.stage_end import (
    LightRow,
    find_stage_end,
    light_rows,
    plan_commits,
    read_decisions,
)
from tasks.storage.protocol.units import Plan, by_unit

ROW_FILES_HELD = 64
"""Row files kept in memory; consecutive entries come from the same files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """An input or child that ended: the place of its row, and its final verdict."""

    id: str
    parent: str
    reason: str
    verdict: str
    detail: str
    rows: str


def accepted_samples(
    store: Store, plans: Sequence[Plan], context: SampleContext, validation_share: float
) -> Iterator[Accepted]:
    """Kept samples of plans up to ``publish`` (before that, ``editing``), in the order of the last plan's units.

    Raises:
        DataFault: a unit of these plans is not committed.
    """
    plan = plans[-1]
    published = plan.key.stage == "publish"
    libraries = None if published else libraries_of_samples(store, plans)
    extra = {unit.id: unit.extra for unit in plan.units}
    ids = by_unit(plan.owners())
    for commit in plan_commits(store, plan):
        # A retried input may have kept children in its old unit, too; the newest unit's rows count.
        owned = ids.get(commit.unit, set())
        for row in read_rows(store, commit):
            if row.kind == CHILD and row.outcome == "kept" and row.parent in owned:
                made_with = libraries(row.id) if libraries else read_extra(extra[commit.unit], row.id)
                yield accepted_of(row, context, validation_share, made_with)


def rejected_samples(
    store: Store, plans: Sequence[Plan], limit: int | None = None
) -> tuple[list[Rejected], Counter[tuple[str, str]]]:
    """Rejected and failed inputs and children of the closed plans, and their total per (stage, reason).

    ``plans`` has one plan per stage in order from ``ingest``; at most ``limit`` of each (stage, reason) are taken,
    sampled by hash of the id (None: all).
    """
    totals: Counter[tuple[str, str]] = Counter()
    found: list[Rejected] = []
    places: dict[str, str] = {}
    read = _RowReader(store)
    for plan in plans:
        if find_stage_end(store, plan) is None:
            break
        stage, light = plan.key.stage, list(light_rows(store, plan, plan_commits(store, plan)))
        by_reason: dict[str, list[Ended]] = defaultdict(list)
        for item in _ended(store, plan, light):
            by_reason[item.reason].append(item)
        for reason, group in sorted(by_reason.items()):
            totals[stage, reason] = len(group)
            chosen = sorted(group, key=lambda item: (_draw(item.id), item.parent))[:limit]
            found += [_entry(stage, item, places, read) for item in chosen]
        places = {row.id: row.rows for row in light if row.kind == CHILD and row.outcome == "kept"}
    return found, totals


def _ended(store: Store, plan: Plan, light: Iterable[LightRow]) -> Iterator[Ended]:
    end = find_stage_end(store, plan)
    late = {(d.parent, d.id): d for d in read_decisions(store, end)} if end else {}
    for row in light:
        decision = late.get((row.parent, row.id))
        if decision is not None:
            yield Ended(
                id=row.id,
                parent=row.parent,
                reason=decision.reason.value,
                verdict=verdict(decision.reason),
                detail=decision.detail,
                rows=row.rows,
            )
        elif row.outcome != "kept":
            yield Ended(
                id=row.id, parent=row.parent, reason=row.reason, verdict=row.outcome, detail="", rows=row.rows
            )


class _RowReader:
    """Rows by (file, id, parent); each file is read once while it is in use."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._file = lru_cache(maxsize=ROW_FILES_HELD)(self._read)

    def row(self, path: str, id_: str, parent: str | None) -> Row:
        """The row of an id; ``parent`` None: the kept child of any parent."""
        for row in self._file(path):
            if row.id == id_ and (row.parent == parent if parent is not None else row.kind == CHILD):
                return row
        raise DataFault(f"{path}: no row for {id_}")

    def _read(self, path: str) -> list[Row]:
        return rows_from(self._store.get(path), path)


def _entry(stage: str, item: Ended, places: dict[str, str], read: _RowReader) -> Rejected:
    row = read.row(item.rows, item.id, item.parent)
    above = item.parent or item.id
    given = read.row(places[above], above, None) if above in places else None
    record: Record | SourceEntry | None = None
    if row.record:
        record = row.decoded()
    elif given is not None and given.record:
        record = given.decoded()
    return Rejected(
        stage=stage,
        id=item.id,
        reason=item.reason,
        verdict=item.verdict,
        detail=item.detail or row.detail,
        measured=row.measured,
        record=record,
        blobs={**(given.blobs if given else {}), **row.blobs},
    )


def _draw(id_: str) -> bytes:
    return hashlib.sha256(id_.encode("utf-8", errors="surrogatepass")).digest()
