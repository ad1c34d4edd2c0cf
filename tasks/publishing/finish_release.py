"""Puts a published plan together as a release: shards, index, card, gallery and, last in its folder, the manifest.

Equal samples under an equal configuration give equal bytes, manifest included; what differs from build to build (its
name, times, hosts, ends of stages) stands in ``RUN.json``.
"""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from tasks.publishing.card import render_card
from tasks.publishing.funnel import stage_ends, with_funnel
from tasks.publishing.index_table import index_bytes
from tasks.publishing.release_context import ReleaseContext
from tasks.publishing.settings import PublishSettings
from tasks.publishing.shard_format import SPLITS
from tasks.publishing.survey_shards import Survey, survey_shards
from tasks.records.canonical import digest_of, seal, sha256_hex, unseal
from tasks.records.errors import DataFault
from tasks.records.records import SCHEMA_VERSION
from tasks.storage.objects.store import Store
from tasks.storage.protocol.commits import StoredObject
from tasks.storage.protocol.layout import MANIFEST, RELEASES, RUN, finished_path
from tasks.storage.protocol.stage_end import StageEnd
from tasks.storage.protocol.units import Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A finished release: its folder below the dataset, and what its manifest says."""

    folder: str
    manifest: dict[str, Any]


Sink = Callable[[str, bytes], None]
"""Takes a file of a folder: relative name and bytes."""

WriteGallery = Callable[[Survey, ReleaseContext, Sink], None]
"""Writes the gallery's files; equal surveys and contexts give equal bytes."""


def finish_release(
    store: Store,
    plans: Sequence[Plan],
    context: ReleaseContext,
    settings: PublishSettings,
    *,
    build: str,
    write_gallery: WriteGallery,
) -> Release:
    """The release of closed plans, one a stage from ``ingest`` to ``publish``; a finished one is only read.

    Every step may be repeated after a crash and puts the same bytes, but for ``RUN.json``; the manifest, create-only,
    comes last, and then the note that it was there (`mark_finished`).

    Args:
        store: of the dataset.
        plans: one per stage, in order.
        context: of the build.
        settings: of publish.
        build: the build's name.
        write_gallery: makes the files below ``gallery/``.

    Raises:
        DataFault: a plan is open, or what the store holds doesn't fit its digests.
    """
    done = find_release(store, plans, context)
    if done is not None:
        mark_finished(store, done)
        return done
    ends = stage_ends(store, plans)
    if len(ends) != len(plans):
        raise DataFault(f"{plans[len(ends)].key.stage}: not finished, so there is no release yet")
    context = with_funnel(context, ends)
    folder = release_folder(plans, context)
    survey = survey_shards(store, plans[-1], context.sample, settings)
    for shard in survey.shards:
        _copy(store, shard.tar, f"{folder}/{shard.name}")
    files = _write_beside(store, folder, context, survey, write_gallery)
    # Whatever a killed build left: its ends may have been repaired since.
    store.put(f"{folder}/{RUN}", seal(_run(folder, build, ends, survey)))
    path = f"{folder}/{MANIFEST}"
    store.put_if_absent(path, seal(_manifest(context.name, ends, survey, files)))
    release = Release(folder=folder, manifest=unseal(store.get(path), path))
    mark_finished(store, release)
    return release


def mark_finished(store: Store, release: Release) -> None:
    """Note beside a release that its manifest was there, unless that is noted.

    Only that tells a lost manifest from one that a killed build hadn't put yet; a build killed between the two leaves
    the note to the next.
    """
    path = finished_path(release.folder)
    if not store.exists(path):
        store.put_if_absent(path, seal({"release": release.folder}))


def find_release(store: Store, plans: Sequence[Plan], context: ReleaseContext) -> Release | None:
    """The finished release of these plans, or None while a plan is open or the manifest isn't there.

    Raises:
        DataFault: the manifest was changed.
    """
    ends = stage_ends(store, plans)
    if len(ends) != len(plans):
        return None
    folder = release_folder(plans, with_funnel(context, ends))
    data = store.find(f"{folder}/{MANIFEST}")
    return None if data is None else Release(folder=folder, manifest=unseal(data, f"{folder}/{MANIFEST}"))


def release_folder(plans: Sequence[Plan], context: ReleaseContext) -> str:
    """``releases/<name>-<hash8>``; the hash covers the configuration, the sample set and what was refused: nothing
    of the process that publishes.

    A plan's name covers its inputs and not how they were cut into units, so a build that grew has the folder of one
    made at once. That of ingest is left out, since it holds times of files.
    ``context`` carries the funnel.
    """
    material = {
        "chain": [plan.key.config8 for plan in plans],
        "inputs": [plan.plan12 for plan in plans[1:]],
        "context": asdict(context),
        "schema": SCHEMA_VERSION,
    }
    return f"{RELEASES}/{context.name}-{digest_of(material)[:8]}"


def _copy(store: Store, tar: StoredObject, path: str) -> None:
    """The unit's tar as a shard: through memory and checked where that is near, by the store itself elsewhere."""
    there = store.head(path)
    if there is not None and there.size == tar.bytes:
        return
    if store.folder is None:
        store.copy(tar.path, path)
        return
    # A local store copies by hard link: damage to the release would be damage to what proves it.
    data = store.get(tar.path)
    if sha256_hex(data) != tar.sha256:
        raise DataFault(f"{tar.path}: its bytes don't fit the digest in its commit")
    store.put(path, data)


def _write_beside(
    store: Store, folder: str, context: ReleaseContext, survey: Survey, write_gallery: WriteGallery
) -> list[dict[str, Any]]:
    """Everything but the shards, ``RUN.json`` and the manifest; their names, bytes and digests, sorted by name."""
    files: list[dict[str, Any]] = []

    def sink(name: str, data: bytes) -> None:
        store.put(f"{folder}/{name}", data)
        files.append({"name": name, "bytes": len(data), "sha256": sha256_hex(data)})

    sink("index.parquet", index_bytes(survey.index))
    write_gallery(survey, context, lambda name, data: sink(f"gallery/{name}", data))
    sink("README.md", render_card(survey.facts, context).encode())
    return sorted(files, key=lambda item: str(item["name"]))


def _run(folder: str, build: str, ends: Sequence[StageEnd], survey: Survey) -> dict[str, Any]:
    return {
        "release": folder,
        "build": build,
        "finished": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "host": socket.gethostname(),
        "chain": [
            {"stage": end.key.stage, "config8": end.key.config8, "plan": end.plan, "digest": end.digest}
            for end in ends
        ],
        "units": {shard.name: shard.unit for shard in survey.shards},
    }


def _manifest(
    name: str, ends: Sequence[StageEnd], survey: Survey, files: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    shards = [
        {
            "name": shard.name,
            "split": shard.split,
            "samples": shard.samples,
            "bytes": shard.tar.bytes,
            "sha256": shard.tar.sha256,
        }
        for shard in survey.shards
    ]
    return {
        "schema_version": SCHEMA_VERSION,
        "name": name,
        "chain": [{"stage": end.key.stage, "config8": end.key.config8} for end in ends],
        "samples": {split: sum(1 for _, s in survey.facts.types if s == split) for split in SPLITS},
        "edit_types": dict(sorted(Counter(kind for kind, _ in survey.facts.types).items())),
        "shards": shards,
        "files": [{key: shard[key] for key in ("name", "bytes", "sha256")} for shard in shards] + list(files),
    }
