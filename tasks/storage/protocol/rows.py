"""Rows: one per input and one per child of a unit, in memory and as Parquet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from tasks.records import version_1
from tasks.records.canonical import digest_of
from tasks.records.codec import decode_record, edit_type_of, encode_record
from tasks.records.errors import DataFault, Reason
from tasks.records.outcomes import BlobRef, Outcome, Record, SourceEntry, StageInput, verdict
from tasks.records.records import SCHEMA_VERSION, Measurement
from tasks.records.schema import ROWS, read_rows_table, write_parquet

INPUT = "input"
CHILD = "child"
_PLAIN = tuple(name for name in ROWS.names if name not in ("blobs", "measured", "answers"))
"""Columns that hold a field of `Row` unchanged."""

PLURAL = {INPUT: "inputs", CHILD: "children"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The outcome of an input or a child.

    Attributes:
        kind: ``input`` or ``child``.
        parent: a child's input, ``""`` for an input.
        outcome: ``kept``, ``rejected`` or ``failed``; ``reason`` and ``detail`` are ``""`` if kept.
        digest: 16 hex digits over a child's record and blobs, ``""`` for an input.
        record: canonical JSON (`tasks.records.codec`), ``""`` if there is none.
        blobs: a child's own and inherited blobs by name.
        measured: the numbers behind the reason.
        answers: keys of the kept answers that the row depends on.
        schema_version: of the program that wrote the row, and so of ``record``.
    """

    id: str
    kind: str
    parent: str
    outcome: str
    reason: str
    detail: str
    edit_type: str
    digest: str
    record: str
    blobs: Mapping[str, BlobRef]
    measured: tuple[Measurement, ...] = ()
    answers: tuple[str, ...] = ()
    schema_version: int = SCHEMA_VERSION

    def decoded(self) -> Record | SourceEntry:
        """The record. Raises `DataFault` if there is none."""
        return decode_record(self.record, self.schema_version)


def unit_rows(
    inputs: Sequence[StageInput],
    outcomes: Sequence[Outcome],
    own: Mapping[tuple[str, str], Mapping[str, BlobRef]],
) -> list[Row]:
    """Rows of a unit: each input's row followed by those of its children, by id.

    Args:
        inputs: of the unit.
        outcomes: one per input, in the same order.
        own: blobs of the children, by (input id, child id); they hide inherited ones with the same name.
    """
    rows: list[Row] = []
    for item, outcome in zip(inputs, outcomes, strict=True):
        if outcome.input_id != item.id:
            msg = f"outcome {outcome.input_id!r}: expected the outcome of {item.id!r}"
            raise DataFault(msg)
        rows.append(_input_row(item, outcome))
        for child in sorted(outcome.children, key=lambda c: c.id):
            blobs = {**item.blobs, **own.get((item.id, child.id), {})}
            record = encode_record(child.record) if child.record is not None else ""
            rows.append(
                Row(
                    id=child.id,
                    kind=CHILD,
                    parent=item.id,
                    outcome=verdict(child.reason),
                    reason=child.reason.value if child.reason else "",
                    detail=child.detail,
                    edit_type=edit_type_of(child.record) or edit_type_of(item.record),
                    digest=_child_digest(record, blobs),
                    record=record,
                    blobs=blobs,
                    measured=child.measured,
                    answers=child.answers,
                )
            )
    return rows


def rows_bytes(rows: Iterable[Row]) -> bytes:
    """The rows as Parquet, in the given order."""
    items = [
        {
            **{name: getattr(row, name) for name in _PLAIN},
            "blobs": _blob_list(row.blobs),
            "measured": [_number(m) for m in row.measured],
            "answers": list(row.answers),
        }
        for row in rows
    ]
    return write_parquet(pa.Table.from_pylist(items, schema=ROWS))


def rows_from(data: bytes, path: str) -> list[Row]:
    """Reads rows written by `rows_bytes` of this or an earlier version. Raises `DataFault` naming ``path``."""
    return [row_from(item) for item in read_rows_table(data, path).to_pylist()]


def row_from(item: Mapping[str, Any]) -> Row:
    """A row from one line of a table with the columns of `tasks.records.schema.ROWS`."""
    blobs = {
        b["name"]: BlobRef(path=b["path"], offset=b["offset"], length=b["length"], sha256=b["sha256"])
        for b in item["blobs"]
    }
    plain = {name: item[name] for name in _PLAIN}
    measured = tuple(
        Measurement(
            name=m["name"],
            value=m["value"],
            low=next(iter(m["low"]), None),
            high=next(iter(m["high"]), None),
            decides=m["decides"],
            note=m["note"],
        )
        for m in item["measured"]
    )
    if item["schema_version"] == version_1.VERSION:
        plain["detail"], numbers = version_1.numbers_of(item["detail"])
        measured = tuple(Measurement(**number) for number in numbers)
    return Row(**plain, blobs=blobs, measured=measured, answers=tuple(item["answers"]))


def count_rows(rows: Iterable[Row]) -> dict[str, Any]:
    """Counts of a unit: inputs and children by outcome, reasons by ``kind:reason``."""
    by_outcome: Counter[tuple[str, str]] = Counter()
    reasons: Counter[str] = Counter()
    for row in rows:
        by_outcome[row.kind, row.outcome] += 1
        if row.reason:
            reasons[f"{row.kind}:{row.reason}"] += 1
    result: dict[str, Any] = {
        f"{PLURAL[kind]}_{outcome}": by_outcome[kind, outcome]
        for kind in (INPUT, CHILD)
        for outcome in ("kept", "rejected", "failed")
    }
    result["inputs"] = sum(n for (kind, _), n in by_outcome.items() if kind == INPUT)
    result["children"] = sum(n for (kind, _), n in by_outcome.items() if kind == CHILD)
    result["reasons"] = dict(sorted(reasons.items()))
    return result


def most_frequent_first(reasons: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    """(reason, count); ties are sorted by name."""
    return tuple(sorted(reasons.items(), key=lambda item: (-item[1], item[0])))


def check_count_law(rows: Sequence[Row], members: Sequence[str], where: str) -> None:
    """Checks that each member has one input row, kept ones children with distinct ids, and ended ones none.

    Raises:
        DataFault: naming ``where`` and the id.
    """
    known_reasons = {reason.value for reason in Reason}
    inputs = [row for row in rows if row.kind == INPUT]
    seen = Counter(row.id for row in inputs)
    wrong = sorted((seen - Counter(members)) + (Counter(members) - seen))
    children = Counter(row.parent for row in rows if row.kind == CHILD)
    wrong += [row.id for row in inputs if (row.outcome == "kept") != bool(children[row.id])]
    wrong += sorted(set(children) - set(members))
    pairs = Counter((row.parent, row.id) for row in rows if row.kind == CHILD)
    wrong += [id_ for (_, id_), n in pairs.items() if n > 1]
    wrong += [
        row.id
        for row in rows
        if (row.outcome == "kept") != (row.reason == "") or (row.reason and row.reason not in known_reasons)
    ]
    if wrong:
        msg = f"{where}: the count law does not hold for {wrong[0]!r} ({len(wrong)} ids)"
        raise DataFault(msg)


def _input_row(item: StageInput, outcome: Outcome) -> Row:
    return Row(
        id=item.id,
        kind=INPUT,
        parent="",
        outcome=verdict(outcome.reason),
        reason=outcome.reason.value if outcome.reason else "",
        detail=outcome.detail,
        edit_type=edit_type_of(item.record),
        digest="",
        record="",
        blobs={},
        measured=outcome.measured,
        answers=outcome.answers,
    )


def _child_digest(record: str, blobs: Mapping[str, BlobRef]) -> str:
    # Without paths and offsets: the same content in another unit is the same input of the next stage.
    return digest_of([record, sorted((name, ref.sha256) for name, ref in blobs.items())])[:16]


def _number(m: Measurement) -> dict[str, Any]:
    return {
        "name": m.name,
        "value": m.value,
        "low": [] if m.low is None else [m.low],
        "high": [] if m.high is None else [m.high],
        "decides": m.decides,
        "note": m.note,
    }


def _blob_list(blobs: Mapping[str, BlobRef]) -> list[dict[str, Any]]:
    return [
        {"name": n, "path": r.path, "offset": r.offset, "length": r.length, "sha256": r.sha256}
        for n, r in sorted(blobs.items())
    ]
