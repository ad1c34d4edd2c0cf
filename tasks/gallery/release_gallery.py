"""The gallery inside a release: some of its samples, and some of the rejected ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tasks.gallery.entry_sources import rejected_samples
from tasks.gallery.pages import GalleryContent, write_gallery
from tasks.publishing.finish_release import Sink, WriteGallery
from tasks.publishing.release_context import ReleaseContext
from tasks.publishing.settings import PublishSettings
from tasks.publishing.survey_shards import Survey
from tasks.storage.objects.pixel_reader import StorePixels
from tasks.storage.objects.store import Store
from tasks.storage.protocol.units import Plan


def release_gallery(store: Store, plans: Sequence[Plan], settings: PublishSettings) -> WriteGallery:
    """The writer that `tasks.publishing.finish_release.finish_release` expects; ``plans``: one per stage, in order."""

    def write(survey: Survey, context: ReleaseContext, sink: Sink) -> None:
        refused, totals = rejected_samples(store, plans, settings.gallery_rejected)
        content = GalleryContent(
            accepted=survey.shown,
            rejected=refused,
            accepted_totals=Counter(kind for kind, _ in survey.facts.types),
            rejected_totals=totals,
        )
        write_gallery(content, context, lambda: StorePixels(store), sink)

    return write
