"""Static HTML gallery of a build: accepted samples by edit type, rejected ones by reason; no server, no scripts."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from itertools import islice
from math import ceil
from typing import TypeVar

from jinja2 import Environment, PackageLoader, StrictUndefined

from tasks.gallery.entries import (
    AcceptedView,
    Rejected,
    RejectedView,
    view_accepted,
    view_rejected,
)
from tasks.gallery.gate_words import fault_words, gate_bound, gate_words
from tasks.gallery.provenance import shared_by
from tasks.gallery.target_words import released_target, whole_words
from tasks.publishing.accepted import Accepted
from tasks.publishing.finish_release import Sink
from tasks.publishing.reason_words import reason_title, reason_words
from tasks.publishing.release_context import ReleaseContext
from tasks.records.outcomes import STAGES, PixelReader
from tasks.records.records import EditType
from tasks.storage.reports.tallies import FUNNEL_EXPLAINED

SHEET_SIZE = 12
"""Samples per edit type on the first page."""

PAGE_SIZE = 50
"""Samples per page; larger pages load slowly and are tiring to read."""

BOUNDS = {
    "accepted": ("publish.gallery_samples", "groundedit gallery OUT"),
    "rejected": ("publish.gallery_rejected", "groundedit gallery OUT --rejected"),
}
"""Kind of chapter: the setting that limits how many a release shows, and the command that shows all."""

View = TypeVar("View", AcceptedView, RejectedView)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """Samples of one edit type, or inputs rejected for one reason.

    Attributes:
        kind: ``accepted`` or ``rejected``.
        title: the edit type, or the reason in two or three plain words.
        note: the stage that rejected; empty for accepted ones.
        meaning: the reason in a plain sentence; empty for accepted ones.
        code, recorded: the reason as stored in rows, and a remark on that name; empty for accepted ones.
        count, shown: total number, and number on the pages.
        entries: what is shown; samples that ended alike appear once.
        pages: file names in order.
    """

    kind: str
    title: str
    note: str = ""
    meaning: str = ""
    code: str = ""
    recorded: str = ""
    count: int
    shown: int
    entries: int
    pages: tuple[str, ...]

    @property
    def name(self) -> str:
        """Name used in links."""
        return f"{self.note}: {self.title}" if self.note else self.title


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """Where an accepted sample is shown: its key, edit type, instruction, and page with anchor."""

    key: str
    kind: str
    instruction: str
    href: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GalleryContent:
    """Entries to show, and totals.

    Attributes:
        accepted: in display order within each edit type.
        rejected: in any order; grouped by stage and reason.
        accepted_totals: edit type -> total number.
        rejected_totals: (stage, reason) -> total number.
    """

    accepted: Sequence[Accepted]
    rejected: Sequence[Rejected]
    accepted_totals: Mapping[str, int]
    rejected_totals: Mapping[tuple[str, str], int]


def write_gallery(
    content: GalleryContent, context: ReleaseContext, open_pixels: Callable[[], PixelReader], sink: Sink
) -> None:
    """Writes ``index.html``, the pages, ``style.css`` and the pictures.

    ``context`` has title, funnel and provenance; ``open_pixels`` makes a reader for one sample's blobs, whose cache is
    dropped with it; ``sink`` receives every file once. Equal inputs give equal bytes.
    """
    by_type = {kind.value: [a for a in content.accepted if a.meta.edit_type == kind] for kind in EditType}
    by_type = {kind: found for kind, found in by_type.items() if found}
    groups = _group(content.rejected)
    chapters = [_accepted_chapter(k, content.accepted_totals[k], len(found)) for k, found in by_type.items()]
    refusals = [_rejected_chapter(*k, content.rejected_totals[k], found) for k, found in groups.items()]
    common = {
        "context": context,
        "chapters": chapters,
        "refusals": refusals,
        "bounds": BOUNDS,
        "funnel_explained": FUNNEL_EXPLAINED,
        "siblings": _by_photograph(chapters, list(by_type.values())),
    }
    book = _Book(_environment(), common, sink)
    sink("style.css", (files("tasks.gallery") / "templates" / "style.css").read_bytes())
    sheets = {kind: found[:SHEET_SIZE] for kind, found in by_type.items()}
    book.page("index.html", "index.html.j2", total=sum(content.accepted_totals.values()), sheets=sheets)
    for chapter, found in zip(chapters, by_type.values(), strict=True):
        accepted = (view_accepted(entry, open_pixels()) for entry in found)
        book.chapter("accepted.html.j2", chapter, accepted)
    for chapter, group in zip(refusals, groups.values(), strict=True):
        refused = (view_rejected(entry, open_pixels()) for entry in group)
        book.chapter("rejected.html.j2", chapter, refused)


@dataclass(frozen=True, slots=True)
class _Book:
    """Renders pages that share their head."""

    environment: Environment
    common: Mapping[str, object]
    sink: Sink

    def page(self, name: str, template: str, **values: object) -> None:
        """Renders one page into the sink."""
        text = self.environment.get_template(template).render(**self.common, **values)
        self.sink(name, text.encode("utf-8", errors="backslashreplace"))

    def chapter(self, template: str, chapter: Chapter, views: Iterator[View]) -> None:
        """Renders page after page; pictures go to the sink as they are made and are not kept."""
        for number, name in enumerate(chapter.pages):
            shown = []
            for view in islice(views, PAGE_SIZE):
                for figure in view.figures:
                    self.sink(figure.name, figure.data)
                shown.append(replace(view, figures=tuple(replace(f, data=b"") for f in view.figures)))
            made = shared_by([view.made for view in shown])
            self.page(
                name,
                template,
                chapter=chapter,
                number=number,
                first=number * PAGE_SIZE,
                views=shown,
                made=made,
            )


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("tasks.gallery", "templates"),
        autoescape=True,  # file names, words and details come from outside
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": _number,
        "bound": gate_bound,
        "fault": fault_words,
        "gate": gate_words,
        "reason": reason_title,
        "target": released_target,
        "whole": whole_words,
    }
    return environment


def _accepted_chapter(kind: str, count: int, shown: int) -> Chapter:
    pages = _page_names(f"accepted-{kind}", shown)
    return Chapter(kind="accepted", title=kind, count=count, shown=shown, entries=shown, pages=pages)


def _rejected_chapter(stage: str, reason: str, count: int, found: Sequence[Rejected]) -> Chapter:
    words = reason_words(reason)
    return Chapter(
        kind="rejected",
        title=words.title,
        note=stage,
        meaning=words.meaning,
        code=reason,
        recorded=words.recorded,
        count=count,
        shown=sum(1 + len(entry.twins) for entry in found),
        entries=len(found),
        pages=_page_names(f"rejected-{stage}-{reason}", len(found)),
    )


def _page_names(stem: str, shown: int) -> tuple[str, ...]:
    stem = stem.lower().replace("_", "-")
    return tuple(f"{stem}-{n + 1}.html" for n in range(max(1, ceil(shown / PAGE_SIZE))))


def _group(rejected: Sequence[Rejected]) -> dict[tuple[str, str], list[Rejected]]:
    """By (stage, reason), in the order of the stages, then of the reasons; entries by id, with their twins."""
    groups: dict[tuple[str, str], dict[Hashable, Rejected]] = {}
    for entry in sorted(rejected, key=lambda e: (STAGES.index(e.stage), e.reason, e.id)):
        group = groups.setdefault((entry.stage, entry.reason), {})
        first = group.setdefault(entry.appearance, entry)
        if first is not entry:
            group[entry.appearance] = replace(first, twins=(*first.twins, entry.id))
    return {key: list(group.values()) for key, group in groups.items()}


def _by_photograph(
    chapters: Sequence[Chapter], entries: Sequence[Sequence[Accepted]]
) -> dict[str, list[Shown]]:
    """Sid -> the photograph's accepted samples that are shown."""
    found: dict[str, list[Shown]] = {}
    for chapter, samples in zip(chapters, entries, strict=True):
        for n, entry in enumerate(samples):
            meta = entry.meta
            href = f"{chapter.pages[n // PAGE_SIZE]}#{meta.key}"
            shown = Shown(key=meta.key, kind=chapter.title, instruction=meta.instruction, href=href)
            found.setdefault(meta.sid, []).append(shown)
    return found


def _number(value: float) -> str:
    """A measured value, short and formatted the same everywhere."""
    return f"{value:.4g}" if abs(value) < 10_000 else f"{value:,.0f}"
