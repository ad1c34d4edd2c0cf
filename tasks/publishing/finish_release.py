"""Assembles a published plan into a release: shards, index, card, gallery and, last in its folder, the manifest.

Equal samples under an equal configuration give equal bytes, manifest included. What differs from build to build (its
name, times, hosts, stage ends) is in ``RUN.json``.
"""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from tasks.publishing.card import render_card
from tasks.publishing.find_release import Release, find_release, mark_finished, release_folder
from tasks.publishing.funnel import stage_ends, with_funnel
from tasks.publishing.index_table import index_bytes
from tasks.publishing.release_context import ReleaseContext
from tasks.publishing.settings import PublishSettings
from tasks.publishing.shard_format import SPLITS
from tasks.publishing.survey_shards import Survey, survey_shards
from tasks.records.canonical import seal, sha256_hex, unseal
from tasks.records.errors import DataFault
from tasks.records.records import SCHEMA_VERSION
from tasks.storage.objects.store import Store
from tasks.storage.protocol.commits import StoredObject
from tasks.storage.protocol.layout import MANIFEST, RUN
from tasks.storage.protocol.stage_end import StageEnd
from tasks.storage.protocol.units import Plan

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
    """The release of closed plans, one per stage from ``ingest`` to ``publish``; a finished release is only read.

    Every step may be repeated after a crash and writes the same bytes, except ``RUN.json``. The manifest, create-only,
    is written last, followed by the completion marker (`mark_finished`).

    Args:
        store: of the dataset.
        plans: one per stage, in order.
        context: of the build.
        settings: of publish.
        build: the build's name.
        write_gallery: writes the files below ``gallery/``.

    Raises:
        DataFault: a plan is open, or data in the store does not match its digests.
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
    # Replace what a killed build left: its stage ends may have been repaired since.
    store.put(f"{folder}/{RUN}", seal(_run(folder, build, ends, survey)))
    path = f"{folder}/{MANIFEST}"
    store.put_if_absent(path, seal(_manifest(context.name, ends, survey, files)))
    release = Release(folder=folder, manifest=unseal(store.get(path), path))
    mark_finished(store, release)
    return release


def _copy(store: Store, tar: StoredObject, path: str) -> None:
    """Copies the unit's tar to a shard: locally through memory with a check, remotely inside the store."""
    there = store.head(path)
    if there is not None and there.size == tar.bytes:
        return
    if store.folder is None:
        store.copy(tar.path, path)
        return
    # No hard link: damage to the release would then also damage the unit's committed data.
    data = store.get(tar.path)
    if sha256_hex(data) != tar.sha256:
        raise DataFault(f"{tar.path}: bytes do not match the digest in its commit")
    store.put(path, data)


def _write_beside(
    store: Store, folder: str, context: ReleaseContext, survey: Survey, write_gallery: WriteGallery
) -> list[dict[str, Any]]:
    """Writes everything except shards, ``RUN.json`` and manifest; returns names, sizes and digests, sorted by name."""
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
