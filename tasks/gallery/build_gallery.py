"""Writes the gallery of a build, finished or not, into a local folder: `groundedit gallery`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tasks.gallery.entry_sources import accepted_samples, rejected_samples
from tasks.gallery.pages import GalleryContent, write_gallery
from tasks.publishing.accepted import Accepted
from tasks.publishing.funnel import stage_ends, with_funnel
from tasks.publishing.release_context import ReleaseContext
from tasks.publishing.settings import PublishSettings
from tasks.storage.objects.pixel_reader import StorePixels
from tasks.storage.objects.store import Store
from tasks.storage.protocol.units import Plan

EARLIER = ("accepted-*.html", "rejected-*.html", "pictures/*.jpg")
"""Files of an earlier, larger gallery in the same folder, which are removed."""


def write_build_gallery(
    store: Store,
    plans: Sequence[Plan],
    context: ReleaseContext,
    settings: PublishSettings,
    to: Path,
    *,
    rejected: bool = False,
) -> Path:
    """Writes a gallery of all accepted samples, and optionally all rejected ones, into the local folder ``to``.

    ``plans`` has one plan per stage in order from ``ingest``, as far as the build has come; open ones are left out.
    Pages and pictures of an earlier gallery in the folder are removed.

    Returns:
        The path of ``index.html``.
    """
    ends = stage_ends(store, plans)
    closed = plans[: len(ends)]
    accepted: list[Accepted] = []
    if closed and closed[-1].key.stage in ("editing", "publish"):
        accepted = list(accepted_samples(store, closed, context.sample, settings.validation_share))
    refused, totals = rejected_samples(store, plans) if rejected else ([], Counter())

    written: set[str] = set()

    def sink(name: str, data: bytes) -> None:
        written.add(name)
        path = to / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    content = GalleryContent(
        accepted=accepted,
        rejected=refused,
        accepted_totals=Counter(a.meta.edit_type.value for a in accepted),
        rejected_totals=totals,
    )
    write_gallery(content, with_funnel(context, ends), lambda: StorePixels(store), sink)
    for pattern in EARLIER:
        for path in to.glob(pattern):
            if path.relative_to(to).as_posix() not in written:
                path.unlink()
    return to / "index.html"
