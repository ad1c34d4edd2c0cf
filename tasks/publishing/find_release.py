"""A release that is there: its folder's name, its manifest and the marker of its completion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tasks.publishing.funnel import stage_ends, with_funnel
from tasks.publishing.release_context import ReleaseContext
from tasks.records.canonical import digest_of, seal, unseal
from tasks.records.records import SCHEMA_VERSION
from tasks.storage.objects.store import Store
from tasks.storage.protocol.layout import MANIFEST, RELEASES, finished_path
from tasks.storage.protocol.units import Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A finished release: its folder below the dataset, and its manifest."""

    folder: str
    manifest: dict[str, Any]


def mark_finished(store: Store, release: Release) -> None:
    """Records that the release was completed.

    Without this marker a deleted manifest cannot be told from one that was never written. If a build is killed between
    manifest and marker, the next one writes the marker.
    """
    path = finished_path(release.folder)
    if not store.exists(path):
        store.put_if_absent(path, seal({"release": release.folder}))


def find_release(store: Store, plans: Sequence[Plan], context: ReleaseContext) -> Release | None:
    """The finished release of these plans, or None while a plan is open or the manifest is missing.

    Raises:
        DataFault: the manifest is damaged.
    """
    ends = stage_ends(store, plans)
    if len(ends) != len(plans):
        return None
    folder = release_folder(plans, with_funnel(context, ends))
    data = store.find(f"{folder}/{MANIFEST}")
    return None if data is None else Release(folder=folder, manifest=unseal(data, f"{folder}/{MANIFEST}"))


def release_folder(plans: Sequence[Plan], context: ReleaseContext) -> str:
    """``releases/<name>-<hash8>``; the hash covers the configuration, the sample set and the rejections, but nothing
    about the process that publishes.

    A plan's name covers its inputs but not how they were cut into units, so a build that grew has the same folder as
    one made at once. Ingest's name is left out, since it contains modification times. ``context`` has the funnel.
    """
    material = {
        "chain": [plan.key.config8 for plan in plans],
        "inputs": [plan.plan12 for plan in plans[1:]],
        "context": asdict(context),
        "schema": SCHEMA_VERSION,
    }
    return f"{RELEASES}/{context.name}-{digest_of(material)[:8]}"
