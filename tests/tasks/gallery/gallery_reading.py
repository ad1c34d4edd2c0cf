"""Reads a gallery for tests: parsed pages, and galleries of entries made by hand."""

from __future__ import annotations

from collections import Counter
from html.parser import HTMLParser

import numpy as np

from tasks.gallery.entries import Rejected
from tasks.gallery.pages import GalleryContent, write_gallery


class Page(HTMLParser):
    """Tags, links and text of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.links, self.words, self.ids, self.alts = Counter(), [], [], set(), []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        self.alts += [dict(attrs).get("alt") or ""] if tag == "img" else []
        self.links += [value for name, value in attrs if name in ("href", "src")]
        self.ids |= {value for name, value in attrs if name == "id"}

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def pages(folder):
    return {path.name: Page(path.read_text()) for path in folder.glob("*.html")}


class Pixels:
    """Every blob is the same drawn picture."""

    def __init__(self, picture):
        self.picture = picture

    def data(self, ref):
        return b""

    def rgb(self, ref):
        return self.picture


def refused(stage, reason, record, detail="", id_="x", measured=()):
    return Rejected(
        stage=stage,
        id=id_,
        reason=reason,
        verdict="rejected",
        detail=detail,
        record=record,
        blobs={},
        measured=measured,
    )


def written(drawn, *, accepted=(), rejected=(), accepted_totals=None, rejected_totals=None):
    """The files of a gallery of these entries."""
    files = {}
    content = GalleryContent(
        accepted=accepted,
        rejected=rejected,
        accepted_totals=accepted_totals or {},
        rejected_totals=rejected_totals or {},
    )
    write_gallery(
        content, drawn.RELEASE, lambda: Pixels(np.zeros((240, 320, 3), np.uint8)), files.__setitem__
    )
    return files
