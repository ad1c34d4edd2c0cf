"""What a page says of single entries: paging, what refused them, who made them, names that are no text."""

from __future__ import annotations

from dataclasses import replace

from tasks.publishing.build_gallery import write_build_gallery
from tasks.publishing.describe_sample import describe_sample
from tasks.publishing.gallery_entries import Accepted
from tasks.records import EditType, Measurement
from tests.tasks.publishing.gallery_reading import Page, refused, written


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


def test_without_rejected_no_refused_page_is_written(built, drawn, tmp_path):
    store, plans = built
    write_build_gallery(store, plans, context=drawn.RELEASE, settings=drawn.SETTINGS, to=tmp_path)
    assert sorted(p.name for p in tmp_path.glob("*.html")) == [
        "accepted-color-1.html",
        "accepted-remove-1.html",
        "index.html",
    ]


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


def test_a_name_that_is_no_text_breaks_no_page(drawn):
    entry = refused("ingest", "bad_name", None, "", "shots/\udcff.jpg")
    files = written(drawn, rejected=[entry], rejected_totals={("ingest", "bad_name"): 1})
    assert b"\\udcff" in files["rejected-ingest-bad-name-1.html"]
