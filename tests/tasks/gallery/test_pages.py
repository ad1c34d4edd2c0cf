"""The gallery: complete, without external resources, and safe for any names and words."""

from __future__ import annotations

import re
import shutil
from urllib.parse import unquote

import pytest

from tasks.gallery.build_gallery import write_build_gallery
from tasks.sources.folder import list_folder
from tasks.sources.places import resolve_places
from tasks.sources.settings import SourceSettings
from tasks.storage.objects.store import open_store
from tests.tasks.gallery.gallery_reading import pages


@pytest.fixture(scope="module")
def gallery(built, drawn, tmp_path_factory):
    store, plans = built
    to = tmp_path_factory.mktemp("gallery")
    index = write_build_gallery(
        store, plans, context=drawn.RELEASE, settings=drawn.SETTINGS, to=to, rejected=True
    )
    assert index == to / "index.html"
    return to


def test_every_link_leads_to_a_file_beside_the_page(gallery):
    for page in pages(gallery).values():
        for link in page.links:
            name, _, anchor = unquote(link).partition("#")
            assert not re.match(r"[a-z]+:|/", name), f"{link} leads away"
            assert not name or (gallery / name).is_file()
            if anchor and name:
                assert anchor in pages(gallery)[name].ids


def test_gallery_release_and_dataset_below_a_source_are_not_photographs(gallery, released, tmp_path):
    folder, _ = released
    for name, goal in {"gallery": gallery, "release": folder, "dataset": folder.parents[1]}.items():
        (tmp_path / name).symlink_to(goal)
    (place,) = resolve_places([SourceSettings(uri=str(tmp_path), name="s")])
    assert {entry.location: entry.detail for entry in list_folder(place)} == {
        f"s/{name}": f"a {name} of GroundEdit, left out as a whole"
        for name in ("gallery", "release", "dataset")
    }


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
        "the mask's outline",
        "Crop, difference × 4",
        "Whole, difference × 4",
        "before rewriting: Change the second disc.",
        "Four discs lie side by side.",
        "The second disc from the left, blue",
        "It changes and nothing else does.",
        "disc (of disc 3)",
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
    assert refused.tags["img"] == 4
    assert found["rejected-grounding-too-few-entities-1.html"].tags["img"] == 1
    few = found["rejected-grounding-too-few-entities-1.html"].text
    assert "objects found in the scene is 1 , must be at least 2" in few
    assert "no picture" in found["rejected-ingest-not-an-image-1.html"].text


def test_every_picture_has_words_and_a_crop_says_what_it_shows(gallery):
    found = pages(gallery)
    assert all(all(page.alts) for page in found.values())
    alts = found["accepted-color-1.html"].alts[:8]
    assert len(set(alts)) == 8
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


def test_a_tile_shows_the_whole_photograph_marked_and_how_many_are_elsewhere(gallery):
    page = pages(gallery)["index.html"]
    key = next(link for link in page.links if "#" in link and "accepted" in link).partition("#")[2]
    assert [f"pictures/{key}-{name}.jpg" in page.links for name in ("grounded", "before", "after")] == [
        True
    ] * 3
    assert re.search(r"(\d+) of \1 here, all in full on their page", page.text)


def test_how_pictures_are_read_and_whose_the_box_is_is_said_once_a_page(gallery):
    found = pages(gallery)
    for name in ("accepted-color-1.html", "rejected-editing-not-changed-1.html"):
        assert found[name].text.count("the red box is the detector's") == 1
    words = "black where a color moved by 64 of 255 levels"
    assert found["accepted-color-1.html"].text.count(words) == 1
    assert words not in found["rejected-editing-not-changed-1.html"].text  # no edited picture, no difference
    assert "the red box" not in found["rejected-ingest-not-an-image-1.html"].text


def test_the_first_page_shows_the_funnel(gallery):
    text = pages(gallery)["index.html"].text
    assert "ingest inputs 14 13 1 0 not an image 1 outputs 13 13 0 0 none" in text
    assert "editing inputs 12 12 0 0 none outputs 12 11 1 0 not changed 1" in text
    assert "the next stage's inputs. Each line adds up." in text


def test_a_build_that_has_not_published_can_be_looked_at(drawn, tmp_path):
    store = open_store(str(tmp_path / "dataset"))
    plans = drawn.build_up_to_editing(store, drawn.LOCATIONS[:3])
    write_build_gallery(store, plans, context=drawn.RELEASE, settings=drawn.SETTINGS, to=tmp_path / "g")
    assert pages(tmp_path / "g")["index.html"].tags["img"] == 9


def test_the_release_holds_the_gallery_of_accepted_and_some_refused(released):
    folder, _ = released
    names = {path.name for path in (folder / "gallery").glob("*.html")}
    assert {"index.html", "accepted-color-1.html", "rejected-editing-not-changed-1.html"} <= names


def test_the_same_build_gives_the_same_bytes(built, drawn, gallery, tmp_path):
    store, plans = built
    write_build_gallery(
        store, plans, context=drawn.RELEASE, settings=drawn.SETTINGS, to=tmp_path, rejected=True
    )
    files = [p.relative_to(gallery) for p in gallery.rglob("*") if p.is_file()]
    assert len(files) > 20
    assert all((tmp_path / name).read_bytes() == (gallery / name).read_bytes() for name in files)


def test_nothing_of_a_larger_gallery_stays(built, drawn, gallery, tmp_path):
    store, plans = built
    found = []
    for name in ("over", "new"):
        if name == "over":
            shutil.copytree(gallery, tmp_path / name)
            (tmp_path / name / "notes.txt").write_text("mine")
        write_build_gallery(store, plans, context=drawn.RELEASE, settings=drawn.SETTINGS, to=tmp_path / name)
        files = (p for p in (tmp_path / name).rglob("*") if p.is_file())
        found.append({p.relative_to(tmp_path / name).as_posix() for p in files})
    assert found[0] == found[1] | {"notes.txt"}
    assert not any(name.startswith("rejected-") for name in found[0])
