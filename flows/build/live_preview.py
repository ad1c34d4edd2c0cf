"""Keeps the page of the first accepted samples up to date while a build runs, and says where it is."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from flows.build.progress import Progress
from tasks.records.errors import GroundEditError
from tasks.storage.objects.store import Store

if TYPE_CHECKING:
    from flows.build.plans import Build
    from tasks.gallery.preview import Preview

EVERY_S = 3.0
"""Least time between two writings of the page: its pictures are made beside the workers, who need the cores."""

log = logging.getLogger(__name__)


class LivePreview:
    """Watches the commits of editing from a thread; unwanted or without a local dataset it does nothing.

    Nothing depends on the page, so a fault in it is logged and ends the page, not the build.
    """

    def __init__(
        self, store: Store, name: str, progress: Progress, began: float, *, wanted: bool = True
    ) -> None:
        self._store = store
        self._name = name
        self._progress = progress
        self._began = began
        self._commits: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._over = threading.Event()
        self._gallery = ""
        self._thread = threading.Thread(target=self._keep, name="preview", daemon=True)
        if wanted and store.folder is not None:
            progress.watch(self._see)
            self._thread.start()

    def finish(self, release: str) -> None:
        """The release is there: the page leads to its gallery from now on."""
        self._gallery = f"{release}/gallery/index.html"

    def close(self) -> None:
        """Writes the page for the last time."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def _see(self, stage: str, commit: str) -> None:
        if stage == "editing":
            self._commits.put(commit)

    def _keep(self) -> None:
        try:
            self._write_pages()
        except (GroundEditError, OSError) as fault:
            log.warning("the page of the first samples could not be written: %s", fault)

    def _write_pages(self) -> None:
        preview: Preview | None = None
        while not self._over.wait(EVERY_S):
            commits = self._seen()
            if not commits:
                continue
            preview = preview or self._opened()
            fresh = sum(preview.add(path) for path in commits)
            if not fresh:
                continue
            preview.write()
            if fresh == len(preview.samples):
                after = time.monotonic() - self._began
                self._progress.note(f"first samples after {after:.0f} s, on a page that grows: {self._url()}")
        if preview is not None and preview.samples:
            if self._gallery:
                preview.lead_to(self._gallery)
            else:
                preview.write(over="The build has stopped; the same command goes on with it.")

    def _opened(self) -> Preview:
        from tasks.gallery.preview import Preview  # noqa: PLC0415  (only a build that runs needs templates)

        preview = Preview(self._store, self._name)
        preview.clear()
        return preview

    def _seen(self) -> list[str]:
        found = []
        with suppress(queue.Empty):
            while True:
                found.append(self._commits.get_nowait())
        return found

    def _url(self) -> str:
        from tasks.gallery.preview import PAGE  # noqa: PLC0415

        return self._store.url(PAGE)


@contextmanager
def open_preview(build: Build, progress: Progress) -> Iterator[LivePreview]:
    """The page of a build, kept up to date inside this context unless ``execution.preview`` is false."""
    wanted = build.config.execution.preview
    preview = LivePreview(build.store, build.config.name, progress, time.monotonic(), wanted=wanted)
    try:
        yield preview
    finally:
        preview.close()
