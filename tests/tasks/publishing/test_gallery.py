"""The gallery: whole, without outside resources, and safe whatever names and words come in."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from urllib.parse import unquote

import numpy as np
import pytest

from tasks.publishing.build_gallery import write_build_gallery
from tasks.publishing.describe_sample import describe_sample
from tasks.publishing.gallery import GalleryContent, write_gallery
from tasks.publishing.gallery_entries import Accepted, Rejected
from tasks.records import EditType, Measurement
from tasks.storage.store import open_store


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
        "at least 0.1",
        "edit seed 5",
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
    assert "changed is 0.01 , must be at least 0.1" in refused.text
    assert "changed 0.01 at least 0.1 failed" in refused.text
    assert "The object looks almost the same after the edit as before." in refused.text
    assert "1 of 1 shown" in refused.text
    assert refused.tags["img"] == 3
    assert found["rejected-grounding-too-few-entities-1.html"].tags["img"] == 1
    assert "1 of 2" in found["rejected-grounding-too-few-entities-1.html"].text
    assert "no picture" in found["rejected-ingest-not-an-image-1.html"].text


def test_every_picture_has_words_and_a_crop_says_what_it_shows(gallery):
    found = pages(gallery)
    assert all(all(page.alts) for page in found.values())
    alts = found["accepted-color-1.html"].alts[:7]
    assert len(set(alts)) == 7
    assert all("disc" in alt for alt in alts)


def test_every_page_leads_to_every_other_chapter_and_has_a_way_past_the_links(gallery):
    found = pages(gallery)
    firsts = {name for name in found if name == "index.html" or name.endswith("-1.html")}
    for page in found.values():
        assert firsts <= set(page.links)
        assert page.links[1] == "#main"
        assert "main" in page.ids


def test_what_samples_share_is_said_once_a_page_and_folded(gallery):
    page = pages(gallery)["accepted-color-1.html"]
    assert page.tags["article"] > 1
    for words in ("Drawn editor", "numpy 2.4.6", "editing-aaaaaaa4", "cdcdcdcdcdcdcdcd", "build seed"):
        assert page.text.count(words) == 1, words
    assert page.text.count("edit seed") == page.tags["article"]
    assert "What made all samples on this page" in page.text


def test_a_model_that_one_sample_alone_used_stands_with_it(drawn):
    plan = drawn.edit_plan(drawn.target(drawn.source_image("shots/a.jpg")), EditType.COLOR)
    usual = drawn.edited_sample(plan)
    other = replace(usual, models=(replace(usual.models[0], model="Other editor"), *usual.models[1:]))
    entries = [
        Accepted(
            meta=describe_sample(sample, "train", drawn.CONTEXT).model_copy(update={"key": key}),
            blobs=dict.fromkeys(("source.jpg", "grounded.jpg", "edited.png")),
        )
        for key, sample in (("k0", usual), ("k1", other))
    ]
    files = written(drawn, accepted=entries, accepted_totals={"Color": 2})
    page = Page(files["accepted-color-1.html"].decode())
    assert "models of its own editor: Other editor" in page.text
    assert "models of its own editor: Drawn editor" in page.text
    assert page.text.count("Drawn edit_judge") == 1


def test_a_doubtful_label_is_not_called_an_imprecise_mask(drawn):
    judged = replace(
        drawn.target(drawn.source_image("shots/a.jpg")),
        judgement=(
            Measurement(name="edge_contrast", value=9.0, passed=True, threshold=">= 4"),
            Measurement(name="label_confidence", value=0.74, passed=False, threshold=">= 0.85"),
        ),
    )
    entry = refused("grounding", "mask_not_precise", judged, "label_confidence 0.74 (>= 0.85)")
    files = written(drawn, rejected=[entry], rejected_totals={("grounding", "mask_not_precise"): 1})
    for name, data in files.items():
        if name.endswith(".html"):
            assert "mask not precise" not in data.decode()
    page = Page(files["rejected-grounding-mask-not-precise-1.html"].decode())
    assert "rejected: label in doubt" in page.text
    assert "is 0.74 , must be at least 0.85 label_confidence" in page.text


def test_a_scene_without_a_target_says_what_was_wrong_with_its_objects(drawn):
    entry = refused("grounding", "no_target", drawn.source_image("shots/a.jpg"), "low_score 3, group_box 1")
    files = written(drawn, rejected=[entry], rejected_totals={("grounding", "no_target"): 1})
    page = Page(files["rejected-grounding-no-target-1.html"].decode())
    assert "4 objects found" in page.text
    assert "3 × detector not sure enough" in page.text
    assert "low_score" not in page.text


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


def refused(stage, reason, record, detail, id_="x"):
    return Rejected(
        stage=stage, id=id_, reason=reason, verdict="rejected", detail=detail, record=record, blobs={}
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


def test_a_page_holds_at_most_fifty_and_leads_to_the_next(drawn):
    plan = drawn.edit_plan(drawn.target(drawn.source_image("shots/a.jpg")), EditType.COLOR)
    meta = describe_sample(drawn.edited_sample(plan), "train", drawn.CONTEXT)
    blobs = dict.fromkeys(("source.jpg", "grounded.jpg", "edited.png"))
    entries = [Accepted(meta=meta.model_copy(update={"key": f"k{n}"}), blobs=blobs) for n in range(51)]
    files = written(drawn, accepted=entries, accepted_totals={"Color": 60})
    first, second = (Page(files[f"accepted-color-{n}.html"].decode()) for n in (1, 2))
    assert (first.tags["article"], second.tags["article"]) == (50, 1)
    assert "51 of 60 shown on 2 pages; this is page 2 with 51 to 51." in second.text
    assert "publish.gallery_samples" in second.text
    assert "next page →" in first.text
    assert "← previous page" in second.text


def test_all_refused_ones_are_paged_and_how_many_are_left_out_is_said(drawn):
    source = drawn.source_image("shots/a.jpg")
    entries = [refused("grounding", "too_few_entities", source, "1 of 2", f"x{n}") for n in range(70)]
    totals = {("grounding", "too_few_entities"): 75}
    files = written(drawn, rejected=entries, rejected_totals=totals)
    found = [Page(files[f"rejected-grounding-too-few-entities-{n}.html"].decode()) for n in (1, 2)]
    assert [page.tags["article"] for page in found] == [50, 20]
    assert all("70 of 75 shown on 2 pages" in page.text for page in found)
    assert all("publish.gallery_rejected" in page.text for page in found)
    assert "70 of 75" in Page(files["index.html"].decode()).text


def test_the_same_build_gives_the_same_bytes(built, drawn, gallery, tmp_path):
    store, plans = built
    write_build_gallery(
        store, plans, context=drawn.RELEASE, settings=drawn.SETTINGS, to=tmp_path, rejected=True
    )
    files = [p.relative_to(gallery) for p in gallery.rglob("*") if p.is_file()]
    assert len(files) > 20
    assert all((tmp_path / name).read_bytes() == (gallery / name).read_bytes() for name in files)


def test_a_name_that_is_no_text_breaks_no_page(drawn):
    entry = refused("ingest", "bad_name", None, "", "shots/\udcff.jpg")
    files = written(drawn, rejected=[entry], rejected_totals={("ingest", "bad_name"): 1})
    assert b"\\udcff" in files["rejected-ingest-bad-name-1.html"]
