"""The gallery: whole, without outside resources, and safe whatever names and words come in."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser
from urllib.parse import unquote

import numpy as np
import pytest

from tasks.publishing.build_gallery import write_build_gallery
from tasks.publishing.describe_sample import describe_sample
from tasks.publishing.gallery import GalleryContent, write_gallery
from tasks.publishing.gallery_entries import Accepted, Rejected
from tasks.records import EditType
from tasks.storage.store import open_store


class Page(HTMLParser):
    """Tags, links and text of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.links, self.words, self.ids = Counter(), [], [], set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        self.links += [value for name, value in attrs if name in ("href", "src")]
        self.ids |= {value for name, value in attrs if name == "id"}

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def gallery(built, drawn, tmp_path_factory):
    store, plans = built
    to = tmp_path_factory.mktemp("gallery")
    index = write_build_gallery(
        store, plans, context=drawn.RELEASE, settings=drawn.SETTINGS, to=to, rejected=True
    )
    assert index == to / "index.html"
    return to


def pages(folder):
    return {path.name: Page(path.read_text()) for path in folder.glob("*.html")}


def test_every_link_leads_to_a_file_beside_the_page(gallery):
    for page in pages(gallery).values():
        for link in page.links:
            name, _, anchor = unquote(link).partition("#")
            assert not re.match(r"[a-z]+:|/", name), f"{link} leads away"
            assert not name or (gallery / name).is_file()
            if anchor and name:
                assert anchor in pages(gallery)[name].ids


def test_every_picture_is_shown_and_there_is_no_script(gallery):
    shown = {link for page in pages(gallery).values() for link in page.links}
    assert {f"pictures/{p.name}" for p in (gallery / "pictures").iterdir()} <= shown
    assert not any(page.tags["script"] or page.tags["i"] for page in pages(gallery).values())
    assert "http" not in (gallery / "style.css").read_text()


def test_names_and_words_are_escaped(gallery, drawn):
    found = pages(gallery)
    assert any("<script>alert(1)</script>" in page.text for page in found.values())
    assert any(drawn.ODD in page.text for page in found.values())
    assert any("Make the second disc <i>red</i>." in page.text for page in found.values())
    assert any("its <authors>" in page.text for page in found.values())


def test_a_sample_shows_all_a_person_needs_to_judge_it(gallery):
    page = pages(gallery)["accepted-color-1.html"]
    for words in (
        "Photograph",
        "Target (visual grounding)",
        "Edited",
        "Crop before",
        "Crop after",
        "Difference",
        "before rewriting: Change the second disc.",
        "Four discs lie side by side.",
        "The second disc from the left, blue",
        "It changes and nothing else does.",
        "Three discs are as they were.",
        "region edit accuracy",
        "seamless quality",
        "unique",
        ">= 0.1",
        "Drawn editor",
        "editing-aaaaaaa4",
        "unstated (drawn, 1)",
        "shots/photo",
        "numpy 2.4.6",
    ):
        assert words in page.text, words


def test_refused_ones_are_grouped_with_their_gate_and_picture(gallery):
    found = pages(gallery)
    refused = found["rejected-editing-not-changed-1.html"]
    assert "changed 0.01 >= 0.1 failed" in refused.text
    assert refused.tags["img"] == 3
    assert found["rejected-grounding-too-few-entities-1.html"].tags["img"] == 1
    assert "1 of 2" in found["rejected-grounding-too-few-entities-1.html"].text
    assert "no picture" in found["rejected-ingest-not-an-image-1.html"].text


def test_the_first_page_shows_the_funnel(gallery):
    text = pages(gallery)["index.html"].text
    assert "ingest 14 13 1 0 13 0 not an image 1" in text
    assert "editing 12 12 0 0 11 1 not changed 1" in text


def test_without_rejected_no_refused_page_is_written(built, drawn, tmp_path):
    store, plans = built
    write_build_gallery(store, plans, context=drawn.RELEASE, settings=drawn.SETTINGS, to=tmp_path)
    assert sorted(p.name for p in tmp_path.glob("*.html")) == [
        "accepted-color-1.html",
        "accepted-remove-1.html",
        "index.html",
    ]


def test_a_build_that_has_not_published_can_be_looked_at(drawn, tmp_path):
    store = open_store(str(tmp_path / "dataset"))
    plans = drawn.build_up_to_editing(store, drawn.LOCATIONS[:3])
    write_build_gallery(store, plans, context=drawn.RELEASE, settings=drawn.SETTINGS, to=tmp_path / "g")
    assert pages(tmp_path / "g")["index.html"].tags["img"] == 6


def test_the_release_holds_the_gallery_of_accepted_and_some_refused(released):
    folder, _ = released
    names = {path.name for path in (folder / "gallery").glob("*.html")}
    assert {"index.html", "accepted-color-1.html", "rejected-editing-not-changed-1.html"} <= names


class Pixels:
    """Every blob is the same drawn picture."""

    def __init__(self, picture):
        self.picture = picture

    def data(self, ref):
        return b""

    def rgb(self, ref):
        return self.picture


def test_a_page_holds_at_most_fifty(drawn):
    plan = drawn.edit_plan(drawn.target(drawn.source_image("shots/a.jpg")), EditType.COLOR)
    meta = describe_sample(drawn.edited_sample(plan), "train", drawn.CONTEXT)
    blobs = dict.fromkeys(("source.jpg", "grounded.jpg", "edited.png"))
    entries = [Accepted(meta=meta.model_copy(update={"key": f"k{n}"}), blobs=blobs) for n in range(51)]
    files = {}
    content = GalleryContent(accepted=entries, rejected=[], accepted_totals={"Color": 60}, rejected_totals={})
    write_gallery(
        content, drawn.RELEASE, lambda: Pixels(np.zeros((240, 320, 3), np.uint8)), files.__setitem__
    )
    counts = [Page(files[f"accepted-color-{n}.html"].decode()).tags["article"] for n in (1, 2)]
    assert counts == [50, 1]
    assert "51 of 60 shown" in files["accepted-color-2.html"].decode().replace("<", " <")


def test_a_name_that_is_no_text_breaks_no_page(drawn):
    entry = Rejected(
        stage="ingest",
        id="shots/\udcff.jpg",
        reason="bad_name",
        verdict="rejected",
        detail="",
        record=None,
        blobs={},
    )
    files = {}
    content = GalleryContent(
        accepted=[], rejected=[entry], accepted_totals={}, rejected_totals={("ingest", "bad_name"): 1}
    )
    write_gallery(content, drawn.RELEASE, lambda: Pixels(None), files.__setitem__)
    assert b"\\udcff" in files["rejected-ingest-bad-name-1.html"]
