"""Units and plans: which ids are processed together, cut by the hash of their photograph's id."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any

from tasks.records import version_1
from tasks.records.canonical import digest_of, seal, unseal
from tasks.records.errors import DataFault
from tasks.records.outcomes import SourceEntry
from tasks.storage.protocol.layout import StageKey

HASH_BITS = 128
"""Depth at which cutting stops and chunks are used: ids of one photograph share all bits."""

NO_EXTRA: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanInput:
    """One input to be planned.

    Attributes:
        id: of the input, unique in a plan.
        digest: changes when the input's content does (version of a source entry, digest of the parent's row).
        rows: paths (one per line) of the Parquet files that hold the input's row, ``""`` for ingest.
        entry: the source entry; only for ingest.
    """

    id: str
    digest: str
    rows: str = ""
    entry: SourceEntry | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """What one worker processes between two commits.

    Attributes:
        id: 16 hex digits over (stage, config8, generation, members, digests, extra).
        members: ids of the inputs, sorted by hash planning, in shard order for publish.
        digests: of the inputs' content, one per member.
        parents: row files to read the inputs from, sorted.
        generation: 0, or the retry that made the unit; of two units with the same member the newer one's row counts.
        extra: data from a stage's own planner for its worker (publish: the shard's name).
        entries: the inputs themselves; only for ingest.
    """

    id: str
    members: tuple[str, ...]
    digests: tuple[str, ...]
    parents: tuple[str, ...] = ()
    generation: int = 0
    extra: Mapping[str, str] = field(default_factory=lambda: NO_EXTRA)
    entries: tuple[SourceEntry, ...] = ()

    @property
    def keys(self) -> tuple[str, ...]:
        """Members with their digests, for comparing sets of inputs."""
        return tuple(input_key(i, d) for i, d in zip(self.members, self.digests, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The units for one set of inputs of a stage.

    Attributes:
        plan12: first 12 hex digits over the sorted inputs.
        generation: 0, increased by each ``--retry-failed``.
        upstream: (plan12, generation) of the stage before, ``""`` and 0 for ingest.
        units: sorted by (generation, id); a later generation overrides the ids it contains.
    """

    key: StageKey
    plan12: str
    generation: int
    upstream: str
    units: tuple[Unit, ...]

    @property
    def path(self) -> str:
        """Path of the plan."""
        return self.key.plan_path(self.plan12, self.generation)

    @property
    def reference(self) -> str:
        """How the next stage's plan refers to this one."""
        return f"{self.plan12}.g{self.generation}"

    @property
    def inputs(self) -> int:
        """Number of distinct ids in the plan."""
        return len({i for unit in self.units for i in unit.members})

    def owners(self) -> dict[str, str]:
        """Id -> the unit whose row counts for it (that of the newest generation)."""
        return {i: unit.id for unit in sorted(self.units, key=lambda u: u.generation) for i in unit.members}


def input_key(id_: str, digest: str) -> str:
    """An input and its content as one string."""
    return f"{id_}\x00{digest}"


def make_unit(
    key: StageKey, members: Sequence[PlanInput], generation: int = 0, extra: Mapping[str, str] = NO_EXTRA
) -> Unit:
    """A unit of these inputs in this order; its id depends on them alone, so equal plans have equal units."""
    identity: dict[str, Any] = {
        "stage": key.stage,
        "config8": key.config8,
        "members": [[m.id, m.digest] for m in members],
        "extra": dict(extra),
    }
    if generation:
        identity["generation"] = generation
    return Unit(
        id=digest_of(identity)[:16],
        members=tuple(m.id for m in members),
        digests=tuple(m.digest for m in members),
        parents=tuple(sorted({path for m in members for path in m.rows.split("\n") if path})),
        generation=generation,
        extra=dict(extra),
        entries=tuple(m.entry for m in members if m.entry is not None),
    )


def cut(inputs: Iterable[PlanInput], unit_size: int) -> list[list[PlanInput]]:
    """Groups of at most ``unit_size`` inputs, sorted by id, cut by the leading bits of the photograph's hash.

    A cell of the hash is split in two while it has too many inputs, so the cells of the next stage are parts or unions
    of this stage's cells. Ids of one photograph share all bits: too many of them are chunked in order of id.
    """
    hashed = sorted(((_bits(i.id), i.id, i) for i in inputs), key=lambda t: t[:2])
    groups: list[list[PlanInput]] = []
    stack = [([t[0] for t in hashed], [t[2] for t in hashed], 0)]
    while stack:
        bits, members, depth = stack.pop()
        if len(members) <= unit_size or depth == HASH_BITS:
            ordered = sorted(members, key=lambda m: m.id)
            groups += [ordered[n : n + unit_size] for n in range(0, len(ordered), unit_size)]
            continue
        middle = sum(1 for b in bits if not b >> (HASH_BITS - 1 - depth) & 1)
        stack.append((bits[middle:], members[middle:], depth + 1))
        stack.append((bits[:middle], members[:middle], depth + 1))
    return groups


def plan_digest(inputs: Iterable[PlanInput]) -> str:
    """The plan's name: 12 hex digits over the sorted inputs."""
    return digest_of(sorted([i.id, i.digest] for i in inputs))[:12]


def plan_bytes(plan: Plan) -> bytes:
    """The plan as sealed JSON."""
    units = []
    for unit in sorted(plan.units, key=lambda u: (u.generation, u.id)):
        item: dict[str, Any] = {
            "id": unit.id,
            "members": list(unit.members),
            "digests": list(unit.digests),
            "parents": list(unit.parents),
            "generation": unit.generation,
            "extra": dict(unit.extra),
        }
        if unit.entries:
            item["entries"] = [asdict(entry) for entry in unit.entries]
        units.append(item)
    return seal(
        {
            "stage": plan.key.stage,
            "config8": plan.key.config8,
            "plan12": plan.plan12,
            "generation": plan.generation,
            "upstream": plan.upstream,
            "units": units,
        }
    )


def plan_from(data: bytes, path: str) -> Plan:
    """Reads a plan written by `plan_bytes`.

    Raises:
        DataFault: naming ``path``, if it is damaged or has another shape.
    """
    content = unseal(data, path)
    try:
        return Plan(
            key=StageKey(stage=content["stage"], config8=content["config8"]),
            plan12=content["plan12"],
            generation=content["generation"],
            upstream=content["upstream"],
            units=tuple(_unit(item) for item in content["units"]),
        )
    except (KeyError, TypeError) as error:
        msg = f"{path}: not a plan of the expected shape ({error})"
        raise DataFault(msg) from error


def by_unit(owners: Mapping[str, str]) -> dict[str, set[str]]:
    """Unit -> the ids for which its rows count."""
    result: dict[str, set[str]] = defaultdict(set)
    for id_, unit in owners.items():
        result[unit].add(id_)
    return dict(result)


def _unit(item: Mapping[str, Any]) -> Unit:
    return Unit(
        id=item["id"],
        members=tuple(item["members"]),
        digests=tuple(item["digests"]),
        parents=tuple(item["parents"]),
        generation=item["generation"],
        extra=dict(item["extra"]),
        entries=tuple(SourceEntry(**version_1.tree_of(entry)) for entry in item.get("entries", ())),
    )


def _bits(id_: str) -> int:
    # Derived ids are "<sid>-t0-p0": cutting by the photograph's part keeps a photograph's ids together.
    group = id_.partition("-")[0] if "/" not in id_ else id_
    digest = hashlib.sha256(group.encode("utf-8", errors="surrogatepass")).digest()
    return int.from_bytes(digest[: HASH_BITS // 8], "big")
