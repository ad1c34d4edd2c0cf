"""Entries on pages: paging, failed gates, provenance, names that are not text."""

from __future__ import annotations

from dataclasses import replace

from tasks.gallery.build_gallery import write_build_gallery
from tasks.publishing.accepted import Accepted
from tasks.publishing.describe_sample import describe_sample
from tasks.records.measuring import measure
from tasks.records.records import EditType, Measurement
from tests.tasks.gallery.gallery_reading import Page, refused, written


def test_a_model_that_one_sample_alone_used_stands_with_it(drawn):
    plan = drawn.edit_plan(drawn.target(drawn.source_image("shots/a.jpg")), EditType.COLOR)
    usual = drawn.edited_sample(plan)
    other = replace(usual, models=(replace(usual.models[0], model="Other editor"), *usual.models[1:]))
    entries = [
        Accepted(
            meta=describe_sample(sample, "train", drawn.CONTEXT, drawn.LIBRARIES).model_copy(
                update={"key": key}
            ),
            blobs=dict.fromkeys(("source.jpg", "grounded.jpg", "edited.png")),
        )
        for key, sample in (("k0", usual), ("k1", other))
    ]
    files = written(drawn, accepted=entries, accepted_totals={"Color": 2})
    page = Page(files["accepted-color-1.html"].decode())
    assert "own models editor: Other editor" in page.text
    assert "own models editor: Drawn editor" in page.text
    assert page.text.count("Drawn edit_judge") == 1


def test_a_doubtful_label_is_not_called_an_imprecise_mask(drawn):
    judged = replace(
        drawn.target(drawn.source_image("shots/a.jpg")),
        judgement=(
            Measurement(name="edge_contrast", value=9.0, low=4),
            Measurement(name="label_confidence", value=0.74, low=0.85),
        ),
    )
    entry = refused("grounding", "mask_not_precise", judged, measured=judged.judgement[1:])
    files = written(drawn, rejected=[entry], rejected_totals={("grounding", "mask_not_precise"): 1})
    for name, data in files.items():
        if name.endswith(".html"):
            assert "mask not precise" not in data.decode()
    page = Page(files["rejected-grounding-mask-not-precise-1.html"].decode())
    assert "rejected: label in doubt" in page.text
    assert "is 0.74 , must be at least 0.85 label_confidence" in page.text


def test_plans_of_a_target_that_ended_alike_are_shown_once_with_their_number(drawn):
    first, second = (drawn.target(drawn.source_image(f"shots/{n}.jpg")) for n in "ab")
    told = (("p0", first, "no"), ("p1", first, "no"), ("p2", first, "other"), ("q0", second, "no"))
    reason = "no_unique_reference"
    entries = [refused("instruction", reason, target, detail, id_) for id_, target, detail in told]
    files = written(drawn, rejected=entries, rejected_totals={("instruction", reason): 9})
    page = Page(files["rejected-instruction-no-unique-reference-1.html"].decode())
    assert page.tags["article"] == 3
    assert "4 of 9 shown in 3 entries" in page.text
    assert page.text.count("2 plans for edits of this target ended the same way: p0, p1") == 1
    assert page.text.count("for edits of this target") == 1


def test_plans_with_words_or_an_edit_of_their_own_stay_apart(drawn):
    plan = drawn.edit_plan(drawn.target(drawn.source_image("shots/a.jpg")), EditType.COLOR)
    other = replace(plan, instruction="Do something else.")
    same = replace(plan, plan_id="again")
    made = drawn.edited_sample(plan)
    records = (("p0", plan), ("p1", other), ("p2", same), ("p3", made), ("p4", made))
    entries = [refused("editing", "seam_visible", record, "0.2", id_) for id_, record in records]
    files = written(drawn, rejected=entries, rejected_totals={("editing", "seam_visible"): 5})
    page = Page(files["rejected-editing-seam-visible-1.html"].decode())
    assert page.tags["article"] == 4
    assert "ended the same way: p0, p2" in page.text


def test_samples_of_one_photograph_lead_to_each_other_and_no_sample_to_itself(drawn):
    target = drawn.target(drawn.source_image("shots/a.jpg"))
    blobs = dict.fromkeys(("source.jpg", "grounded.jpg", "edited.png"))
    plans = [
        replace(drawn.edit_plan(target, kind), plan_id=kind.value)
        for kind in (EditType.COLOR, EditType.REMOVE)
    ]
    metas = [
        describe_sample(drawn.edited_sample(plan), "train", drawn.CONTEXT, drawn.LIBRARIES) for plan in plans
    ]
    alone = drawn.edit_plan(drawn.target(drawn.source_image("shots/b.jpg")), EditType.MATERIAL)
    metas.append(describe_sample(drawn.edited_sample(alone), "train", drawn.CONTEXT, drawn.LIBRARIES))
    files = written(
        drawn,
        accepted=[Accepted(meta=meta, blobs=blobs) for meta in metas],
        accepted_totals=dict.fromkeys(("Color", "Remove", "Material"), 1),
        rejected=[refused("instruction", "no_unique_reference", target, "no")],
        rejected_totals={("instruction", "no_unique_reference"): 1},
    )
    links = {name: Page(data.decode()).links for name, data in files.items() if name.endswith(".html")}
    to_color, to_remove = "accepted-color-1.html#Color", "accepted-remove-1.html#Remove"
    assert (to_color in links["accepted-remove-1.html"], to_color in links["accepted-color-1.html"]) == (
        True,
        False,
    )
    assert to_remove in links["accepted-color-1.html"]
    assert {to_color, to_remove} <= set(links["rejected-instruction-no-unique-reference-1.html"])
    assert b"of this photograph" not in files["accepted-material-1.html"]


def test_the_weakest_gate_stands_beside_the_scores(drawn):
    sample = drawn.edited_sample(
        drawn.edit_plan(drawn.target(drawn.source_image("shots/a.jpg")), EditType.COLOR)
    )
    near = Measurement(name="seam_share", value=0.135, high=0.15)
    meta = describe_sample(
        replace(sample, gates=(*sample.gates, near), seamlessness=5.0), "train", drawn.CONTEXT, ()
    )
    entry = Accepted(meta=meta, blobs=dict.fromkeys(("source.jpg", "grounded.jpg", "edited.png")))
    files = written(drawn, accepted=[entry], accepted_totals={"Color": 1})
    text = Page(files["accepted-color-1.html"].decode()).text
    assert "share of the border with a new edge is 0.135, must be at most 0.15; 10 % of the room" in text


def test_a_scene_without_a_target_says_what_was_wrong_with_its_objects(drawn):
    counts = (measure("low_score", 3, decides=False), measure("group_box", 1, decides=False))
    entry = refused("grounding", "no_target", drawn.source_image("shots/a.jpg"), measured=counts)
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
    meta = describe_sample(drawn.edited_sample(plan), "train", drawn.CONTEXT, drawn.LIBRARIES)
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


def test_a_name_that_is_not_text_breaks_no_page(drawn):
    entry = refused("ingest", "bad_name", None, "", "shots/\udcff.jpg")
    files = written(drawn, rejected=[entry], rejected_totals={("ingest", "bad_name"): 1})
    assert b"\\udcff" in files["rejected-ingest-bad-name-1.html"]
