"""Prefect artifacts of a build: progress and funnel of each stage, link to Ray's dashboard, the release."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any, Self

from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)

from flows.build.progress import Progress
from tasks.publishing.find_release import Release
from tasks.storage.protocol.stage_end import StageEnd
from tasks.storage.reports.tallies import Tally, tally_of_end

UPDATE_S = 5.0
"""Minimum interval between updates: each one is a request and a row in the server's database."""


class StageReport:
    """A stage's artifacts: created when the stage begins, updated after partitions and at its end."""

    def __init__(self, stage: str, progress: Progress) -> None:
        self._stage = stage
        self._progress = progress
        self._artifact: Any = create_progress_artifact(
            0.0, key=f"{stage}-progress", description=f"{stage}: units done"
        )
        self._updated = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self._send()

    def update(self) -> None:
        """Sends the share of units done, at most every `UPDATE_S` seconds."""
        if time.monotonic() - self._updated >= UPDATE_S:
            self._send()

    def finish(self, end: StageEnd) -> None:
        """Completes the progress bar and writes the funnel: a row per verdict and reason, for inputs and outputs."""
        self._send()
        tally = tally_of_end(end)
        table = [*_lines("inputs", tally.inputs), *_lines("outputs", tally.outputs)]
        create_table_artifact(
            table, key=f"{self._stage}-funnel", description=f"{self._stage}: where inputs went"
        )

    def _send(self) -> None:
        stage = self._progress.stages.get(self._stage)
        share = 100.0 * stage.units_done / stage.units if stage is not None and stage.units else 100.0
        update_progress_artifact(self._artifact, share)
        self._updated = time.monotonic()


def _lines(what: str, tally: Tally) -> list[dict[str, Any]]:
    return [
        {"what": what, "count": tally.count},
        {"what": f"{what} kept", "count": tally.kept},
        {"what": f"{what} rejected", "count": tally.rejected},
        {"what": f"{what} failed", "count": tally.failed},
        *({"what": f"{what}, reason: {reason}", "count": count} for reason, count in tally.reasons),
    ]


def link_dashboard(url: str) -> None:
    """Links to Ray's dashboard, if it runs."""
    if url:
        create_link_artifact(url, link_text="Ray dashboard", key="ray-dashboard")


def report_release(release: Release, uri: str) -> str:
    """Writes where the release is and what it holds; returns its URI."""
    samples = ", ".join(f"{count} {split}" for split, count in release.manifest["samples"].items())
    types = "\n".join(f"| {kind} | {count} |" for kind, count in release.manifest["edit_types"].items())
    create_markdown_artifact(
        f"**{uri}**: {samples}\n\n| edit type | samples |\n| --- | --- |\n{types}\n", key="release"
    )
    return uri
