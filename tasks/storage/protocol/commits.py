"""The commit protocol: tar, rows, then one create-only object that marks the unit as done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from tasks.records import version_1
from tasks.records.canonical import digest_of, seal, sha256_hex, unseal
from tasks.records.errors import DataFault, StorageFault
from tasks.records.outcomes import BlobRef, Outcome, StageInput
from tasks.storage.objects.store import Store
from tasks.storage.objects.unit_tar import pack
from tasks.storage.protocol.fault_points import FaultPoint, pass_point
from tasks.storage.protocol.layout import StageKey
from tasks.storage.protocol.rows import Row, check_count_law, count_rows, rows_bytes, rows_from, unit_rows
from tasks.storage.protocol.units import Unit

RUN = "run"
"""The part of a commit that says when and where; not covered by `Commit.content`, but by the seal."""

NO_LINKS: Mapping[str, BlobRef] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """An object that a commit names: path below the dataset, size in bytes, SHA-256."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """The object that marks a unit as done.

    Attributes:
        members: digest over the unit's members and their contents.
        tar: pixels, or None if the unit has none.
        counts: as returned by `tasks.storage.protocol.rows.count_rows`.
        content: SHA-256 over everything except ``run``: equal work has equal content.
        run: times, host, attempt, seconds, library versions.
    """

    key: StageKey
    unit: str
    generation: int
    members: str
    tar: StoredObject | None
    rows: StoredObject
    counts: Mapping[str, Any]
    content: str
    run: Mapping[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """Path of the commit."""
        return self.key.commit_path(self.unit)


def commit_unit(
    store: Store,
    key: StageKey,
    unit: Unit,
    *,
    inputs: Sequence[StageInput],
    outcomes: Sequence[Outcome],
    run: Mapping[str, Any],
    linked: Mapping[str, BlobRef] = NO_LINKS,
) -> tuple[Commit, bool]:
    """Stores a unit's pixels and rows, then its commit unless another writer was first.

    Args:
        store: of the dataset.
        key: the stage.
        unit: with its members.
        inputs: of the unit.
        outcomes: one per input, in the same order.
        run: when, where and with which versions.
        linked: SHA-256 -> existing blobs with these bytes (in kept answers); rows refer to them and they are not
            stored again.

    Returns:
        The stored commit, and whether it is ours. After a lost race nothing is removed, since the winner's objects may
        have the same names.

    Raises:
        DataFault: the outcomes violate the count law; nothing was stored.
    """
    tar, own = _pack_blobs(key, unit, outcomes, linked)
    rows = unit_rows(inputs, outcomes, own)
    check_count_law(rows, unit.members, f"{key.stage} unit {unit.id}")
    data = rows_bytes(rows)
    rows_sha = sha256_hex(data)
    rows_object = StoredObject(path=key.rows_path(unit.id, rows_sha), bytes=len(data), sha256=rows_sha)
    pass_point(FaultPoint.UNIT_PACKED)
    tar_object = None
    if tar is not None:
        sha = sha256_hex(tar)
        tar_object = StoredObject(path=key.tar_path(unit.id, sha), bytes=len(tar), sha256=sha)
        store.put(tar_object.path, tar)
        pass_point(FaultPoint.TAR_STORED)
    store.put(rows_object.path, data)
    pass_point(FaultPoint.ROWS_STORED)
    content = {
        "stage": key.stage,
        "config8": key.config8,
        "unit": unit.id,
        "generation": unit.generation,
        "members": members_digest(unit),
        "tar": _object(tar_object) if tar_object else None,
        "rows": _object(rows_object),
        "counts": count_rows(rows),
    }
    sealed = seal({**content, "content": digest_of(content), RUN: dict(run)})
    first = store.put_if_absent(key.commit_path(unit.id), sealed)
    pass_point(FaultPoint.UNIT_COMMITTED)
    commit = find_commit(store, key, unit.id)
    if commit is None:
        msg = f"{key.commit_path(unit.id)}: the store reports that it exists, but it cannot be read"
        raise StorageFault(msg)
    return commit, first


def find_commit(store: Store, key: StageKey, unit: str) -> Commit | None:
    """A unit's commit, or None if the unit is not done. Raises `DataFault` if it is damaged."""
    path = key.commit_path(unit)
    data = store.find(path)
    return None if data is None else commit_from(data, path)


def commit_from(data: bytes, path: str) -> Commit:
    """Parses a commit.

    Raises:
        DataFault: naming ``path``, if it is damaged or has another shape.
    """
    body = unseal(data, path)
    try:
        commit = Commit(
            key=StageKey(stage=body["stage"], config8=body["config8"]),
            unit=body["unit"],
            generation=body["generation"],
            members=body["members"],
            tar=StoredObject(**body["tar"]) if body["tar"] else None,
            rows=StoredObject(**body["rows"]),
            counts=version_1.counts_of(body["counts"]),
            content=body["content"],
            run=body[RUN],
        )
    except (AttributeError, KeyError, TypeError) as error:
        msg = f"{path}: not a commit of the expected shape ({error})"
        raise DataFault(msg) from error
    if commit.path != path:
        msg = f"{path}: holds the commit of {commit.path}"
        raise DataFault(msg)
    return commit


def read_rows(store: Store, commit: Commit) -> list[Row]:
    """The rows of a committed unit, checked against the commit's digest."""
    data = store.get(commit.rows.path)
    if sha256_hex(data) != commit.rows.sha256:
        msg = f"{commit.rows.path}: bytes do not match the digest in {commit.path}"
        raise DataFault(msg)
    return rows_from(data, commit.rows.path)


def members_digest(unit: Unit) -> str:
    """Digest of a unit's inputs, stored in its commit."""
    return digest_of([list(unit.members), list(unit.digests)])


def _pack_blobs(
    key: StageKey, unit: Unit, outcomes: Sequence[Outcome], linked: Mapping[str, BlobRef]
) -> tuple[bytes | None, dict[tuple[str, str], dict[str, BlobRef]]]:
    places: list[tuple[tuple[str, str], str]] = []
    contents: list[tuple[str, bytes]] = []
    own: dict[tuple[str, str], dict[str, BlobRef]] = {}
    for outcome in outcomes:
        for child in sorted(outcome.children, key=lambda c: c.id):
            for blob in sorted(child.blobs, key=lambda b: b.name):
                place = (outcome.input_id, child.id)
                if linked and (ref := linked.get(sha256_hex(blob.data))) is not None:
                    own.setdefault(place, {})[blob.name] = ref
                    continue
                places.append((place, blob.name))
                contents.append((f"{child.id}.{blob.name}", blob.data))
    if not contents:
        return None, own
    data, members = pack(_distinct(contents))
    path = key.tar_path(unit.id, sha256_hex(data))
    by_name = {m.name: m for m in members}
    for (place, name), (member_name, _) in zip(places, contents, strict=True):
        m = by_name[member_name]
        own.setdefault(place, {})[name] = BlobRef(
            path=path, offset=m.offset, length=m.length, sha256=m.sha256
        )
    return data, own


def _distinct(contents: Sequence[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    # In a unit of ingest two locations with equal bytes have one child id: its pixels are stored once.
    kept: dict[str, bytes] = {}
    for name, data in contents:
        if kept.setdefault(name, data) != data:
            msg = f"{name!r}: two blobs with this name have different bytes"
            raise DataFault(msg)
    return list(kept.items())


def _object(stored: StoredObject) -> dict[str, Any]:
    return {"path": stored.path, "bytes": stored.bytes, "sha256": stored.sha256}
