"""One pass over a published plan's rows that collects, per shard, what index, card and gallery need."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tasks.publishing.accepted import Accepted, accepted_of
from tasks.publishing.card import CardFacts
from tasks.publishing.index_table import index_row
from tasks.publishing.plan_release import SHARD
from tasks.publishing.release_context import SampleContext
from tasks.publishing.sample_libraries import read_extra
from tasks.publishing.settings import PublishSettings
from tasks.publishing.shard_format import MEMBERS, SPLITS, ModelShape
from tasks.records.errors import DataFault
from tasks.storage.objects.store import Store
from tasks.storage.protocol.commits import Commit, StoredObject, read_rows
from tasks.storage.protocol.rows import CHILD
from tasks.storage.protocol.stage_end import plan_commits
from tasks.storage.protocol.units import Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """A shard of the release, and the unit's tar it is copied from."""

    name: str
    split: str
    samples: int
    unit: str
    tar: StoredObject


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """Results of the pass: small data about all samples, and where the pictures of a few samples are."""

    shards: list[Shard]
    index: list[dict[str, object]]
    facts: CardFacts
    shown: list[Accepted]


def survey_shards(store: Store, plan: Plan, context: SampleContext, settings: PublishSettings) -> Survey:
    """Reads the shards in order.

    Raises:
        DataFault: a unit without a shard's name holds kept samples, or data in the store is damaged.
    """
    index: list[dict[str, object]] = []
    types: list[tuple[str, str]] = []
    sources: list[tuple[str, str, str]] = []
    models: dict[ModelShape, None] = {}
    shown: list[Accepted] = []
    shards: list[Shard] = []
    held: Counter[str] = Counter()
    extra = {unit.id: unit.extra for unit in plan.units}
    for name, commit, tar in _named_commits(store, plan):
        before = len(index)
        for entry in _samples(store, commit, extra[commit.unit], context, settings):
            meta = entry.meta
            kind = meta.edit_type.value
            index.append(index_row(meta, {member: entry.blobs[member] for member in MEMBERS}, name))
            types.append((kind, meta.split))
            sources.append((meta.source.location.partition("/")[0], meta.license, meta.sid))
            models.update(dict.fromkeys(meta.provenance.models))
            held[kind] += 1
            if held[kind] <= settings.gallery_samples:
                shown.append(entry)
        count = len(index) - before
        shards.append(Shard(name=name, split=_split(name), samples=count, unit=commit.unit, tar=tar))
    facts = CardFacts(types=types, models=tuple(models), sources=sources)
    return Survey(shards=shards, index=index, facts=facts, shown=shown)


def _named_commits(store: Store, plan: Plan) -> list[tuple[str, Commit, StoredObject]]:
    """Commits that hold a shard, in the order of splits and numbers."""
    names = {unit.id: unit.extra.get(SHARD, "") for unit in plan.units}
    owners = set(plan.owners().values())
    named = []
    for commit in plan_commits(store, plan):
        if commit.tar is None or commit.unit not in owners:
            continue
        if not names[commit.unit]:
            raise DataFault(f"{commit.path}: holds samples, but its plan names no shard for them")
        named.append((names[commit.unit], commit, commit.tar))
    return sorted(named, key=lambda item: (SPLITS.index(_split(item[0])), item[0]))


def _samples(
    store: Store, commit: Commit, extra: Mapping[str, str], context: SampleContext, settings: PublishSettings
) -> Iterator[Accepted]:
    for row in read_rows(store, commit):
        if row.kind == CHILD and row.outcome == "kept":
            yield accepted_of(row, context, settings.validation_share, read_extra(extra, row.id))


def _split(shard: str) -> str:
    return shard.partition("-")[0]
