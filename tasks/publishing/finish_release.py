"""Puts a published plan together as a release: shards, index, card, gallery and, last, the manifest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tasks.canonical import digest_of, seal, sha256_hex, unseal
from tasks.errors import DataFault
from tasks.publishing.card import CardFacts, render_card
from tasks.publishing.funnel import funnel_line, stage_ends
from tasks.publishing.gallery import GalleryContent, write_gallery
from tasks.publishing.gallery_entries import Accepted
from tasks.publishing.gallery_sources import accepted_of, accepted_samples, rejected_samples
from tasks.publishing.index_table import index_bytes, index_row
from tasks.publishing.plan_release import SHARD
from tasks.publishing.release_context import ReleaseContext
from tasks.publishing.settings import PublishSettings
from tasks.publishing.shard_format import MANIFEST, MEMBERS, SPLITS, ModelShape
from tasks.records import SCHEMA_VERSION
from tasks.storage.commits import Commit, read_rows
from tasks.storage.fault_points import FaultPoint, pass_point
from tasks.storage.layout import RELEASES
from tasks.storage.pixel_reader import StorePixels
from tasks.storage.rows import CHILD
from tasks.storage.stage_end import StageEnd, plan_commits
from tasks.storage.store import Store
from tasks.storage.units import Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A finished release: its folder below the dataset, and what its manifest says."""

    folder: str
    manifest: dict[str, Any]


@dataclass(slots=True, kw_only=True)
class Survey:
    """What one pass over the shards' rows leaves: small things of all samples, pictures' places of a few."""

    index: list[dict[str, object]]
    types: list[tuple[str, str]]
    models: dict[ModelShape, None]
    sources: list[tuple[str, str, str]]
    shown: list[Accepted]
    shards: list[dict[str, Any]]


def release_folder(ends: Sequence[StageEnd], context: ReleaseContext) -> str:
    """``releases/<name>-<hash8>``; the hash covers the configuration, the sample set and what was refused."""
    material = {"ends": [end.digest for end in ends], "context": asdict(context), "schema": SCHEMA_VERSION}
    return f"{RELEASES}/{context.name}-{digest_of(material)[:8]}"


def finish_release(
    store: Store, plans: Sequence[Plan], context: ReleaseContext, settings: PublishSettings, build: str
) -> Release:
    """The release of closed plans; every step may be repeated after a crash and puts the same bytes.

    Args:
        plans: one a stage, from ``ingest`` to ``publish``, all closed.
        build: name of the build, for the manifest of whoever is first.

    Raises:
        DataFault: a plan is open, or what the store holds doesn't fit its digests.
    """
    ends = stage_ends(store, plans)
    if len(ends) != len(plans):
        raise DataFault(f"{plans[len(ends)].key.stage}: not finished, so there is no release yet")
    context = replace(context, funnel=tuple(funnel_line(end) for end in ends))
    folder = release_folder(ends, context)
    done = store.find(f"{folder}/{MANIFEST}")
    if done is not None:
        return Release(folder=folder, manifest=unseal(done, f"{folder}/{MANIFEST}"))
    survey = _copy_shards(store, plans[-1], folder, context, settings)
    files = _write_beside(store, plans, folder, context, settings, survey)
    content = {
        "schema_version": SCHEMA_VERSION,
        "name": context.name,
        "build": build,
        "chain": [
            {"stage": end.key.stage, "config8": end.key.config8, "plan": end.plan, "digest": end.digest}
            for end in ends
        ],
        "samples": {split: sum(1 for _, s in survey.types if s == split) for split in SPLITS},
        "edit_types": dict(sorted(Counter(kind for kind, _ in survey.types).items())),
        "shards": survey.shards,
        "files": [{k: s[k] for k in ("name", "bytes", "sha256")} for s in survey.shards] + files,
    }
    path = f"{folder}/{MANIFEST}"
    pass_point(FaultPoint.BUILD_RECORDED)
    store.put_if_absent(path, seal(content))
    return Release(folder=folder, manifest=unseal(store.get(path), path))


def write_build_gallery(
    store: Store,
    plans: Sequence[Plan],
    context: ReleaseContext,
    settings: PublishSettings,
    to: Path,
    rejected: bool = False,
) -> Path:
    """A gallery of all accepted samples, and all refused ones if wanted, in a local folder.

    Args:
        plans: one a stage, in order from ``ingest``, as far as the build has come; open ones are left out.

    Returns:
        The path of ``index.html``.
    """
    ends = stage_ends(store, plans)
    context = replace(context, funnel=tuple(funnel_line(end) for end in ends))
    last = plans[len(ends) - 1] if ends else None
    accepted: list[Accepted] = []
    if last is not None and last.key.stage in ("editing", "publish"):
        accepted = list(accepted_samples(store, last, context.sample, settings.validation_share))
    refused, totals = rejected_samples(store, plans) if rejected else ([], Counter())

    def sink(name: str, data: bytes) -> None:
        path = to / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    content = GalleryContent(
        accepted=accepted,
        rejected=refused,
        accepted_totals=Counter(a.meta.edit_type.value for a in accepted),
        rejected_totals=totals,
    )
    write_gallery(content, context, lambda: StorePixels(store), sink)
    return to / "index.html"


def _copy_shards(
    store: Store, plan: Plan, folder: str, context: ReleaseContext, settings: PublishSettings
) -> Survey:
    survey = Survey(index=[], types=[], models={}, sources=[], shown=[], shards=[])
    names = {unit.id: unit.extra.get(SHARD, "") for unit in plan.units}
    commits = [c for c in plan_commits(store, plan) if c.tar is not None and names[c.unit]]
    for commit in sorted(
        commits, key=lambda c: (SPLITS.index(names[c.unit].partition("-")[0]), names[c.unit])
    ):
        name = names[commit.unit]
        count = _survey_shard(store, commit, name, context, settings, survey)
        _copy(store, commit, f"{folder}/{name}")
        assert commit.tar is not None
        survey.shards.append(
            {
                "name": name,
                "split": name.partition("-")[0],
                "samples": count,
                "bytes": commit.tar.bytes,
                "sha256": commit.tar.sha256,
                "unit": commit.unit,
            }
        )
    return survey


def _survey_shard(
    store: Store,
    commit: Commit,
    name: str,
    context: ReleaseContext,
    settings: PublishSettings,
    survey: Survey,
) -> int:
    count = 0
    for row in read_rows(store, commit):
        if row.kind != CHILD or row.outcome != "kept":
            continue
        count += 1
        entry = accepted_of(row, context.sample, settings.validation_share)
        meta = entry.meta
        kind = meta.edit_type.value
        if sum(1 for known, _ in survey.types if known == kind) < settings.gallery_samples:
            survey.shown.append(entry)
        survey.index.append(index_row(meta, {m: row.blobs[m] for m in MEMBERS}, name))
        survey.types.append((kind, meta.split))
        survey.models.update(dict.fromkeys(meta.provenance.models))
        survey.sources.append((meta.source.location.partition("/")[0], meta.licence, meta.sid))
    return count


def _copy(store: Store, commit: Commit, path: str) -> None:
    """The unit's tar as a shard: through memory and checked where that is near, by the store itself elsewhere."""
    assert commit.tar is not None
    there = store.head(path)
    if there is not None and there.size == commit.tar.bytes:
        return
    if store.folder is None:
        store.copy(commit.tar.path, path)
        return
    # A local store copies by hard link: damage to the release would be damage to what proves it.
    data = store.get(commit.tar.path)
    if sha256_hex(data) != commit.tar.sha256:
        raise DataFault(f"{commit.tar.path}: its bytes don't fit the digest in {commit.path}")
    store.put(path, data)


def _write_beside(
    store: Store,
    plans: Sequence[Plan],
    folder: str,
    context: ReleaseContext,
    settings: PublishSettings,
    survey: Survey,
) -> list[dict[str, Any]]:
    """Everything but the shards and the manifest; their names, bytes and digests, sorted by name."""
    files: list[dict[str, Any]] = []

    def sink(name: str, data: bytes) -> None:
        store.put(f"{folder}/{name}", data)
        files.append({"name": name, "bytes": len(data), "sha256": sha256_hex(data)})

    sink("index.parquet", index_bytes(survey.index))
    facts = CardFacts(types=survey.types, models=tuple(survey.models), sources=survey.sources)
    sink("README.md", render_card(facts, context).encode())
    refused, totals = rejected_samples(store, plans, settings.gallery_rejected)
    content = GalleryContent(
        accepted=survey.shown,
        rejected=refused,
        accepted_totals=Counter(kind for kind, _ in survey.types),
        rejected_totals=totals,
    )
    write_gallery(
        content, context, lambda: StorePixels(store), lambda name, data: sink(f"gallery/{name}", data)
    )
    return sorted(files, key=lambda item: item["name"])
