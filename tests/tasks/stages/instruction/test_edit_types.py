"""Which edit types a target allows, and the seeded draw among them."""

from __future__ import annotations

from collections import Counter

import pytest

from tasks.records.records import EditType
from tasks.stages.instruction.arguments import COLORS
from tasks.stages.instruction.edit_types import EDIT_TYPES, NO_ARGUMENT, allowed_types, draw_edit_type
from tasks.stages.instruction.settings import PAPER_COUNTS
from tests.tasks.stages.instruction.drawn_scenes import cups, desk, scene, street, target, thing

OFFERS = (EditType.COLOR, EditType.APPEARANCE)


def test_the_table_has_one_row_for_each_of_the_eight_types():
    assert [rule.edit_type for rule in EDIT_TYPES] == list(EditType)


def test_a_type_that_the_editor_does_not_offer_is_never_drawn():
    why = allowed_types(target(cups(), 1), (EditType.APPEARANCE,), PAPER_COUNTS)
    assert why[EditType.COLOR] == "not offered by the editor"
    assert why[EditType.REMOVE] == ""
    drawn = {
        draw_edit_type(target(cups(), 1), OFFERS, PAPER_COUNTS, seed, "p").edit_type for seed in range(60)
    }
    assert drawn <= {EditType.COLOR, EditType.REMOVE, EditType.APPEARANCE}


def test_a_person_is_never_recoloured():
    why = allowed_types(target(street(), 1), OFFERS, PAPER_COUNTS)
    assert why[EditType.COLOR] == "not for the kind person"
    assert why[EditType.REMOVE] == ""


def test_a_thing_of_mixed_colours_is_never_recoloured():
    mixed = scene([thing("chair", (100, 300, 250, 600)), thing("couch", (400, 300, 800, 600))])
    assert allowed_types(target(mixed, 0), OFFERS, PAPER_COUNTS)[EditType.COLOR] != ""


@pytest.mark.parametrize(
    ("left", "objection"), [(240, "close to another zebra"), (255, "close to another zebra"), (300, "")]
)
def test_what_is_close_to_another_of_its_class_is_not_removed(left, objection):
    herd = scene([thing("zebra", (100, 300, 250, 500)), thing("zebra", (left, 310, left + 150, 500))])
    assert allowed_types(target(herd, 0), OFFERS, PAPER_COUNTS)[EditType.REMOVE] == objection


def test_what_carries_other_things_is_not_removed():
    table = scene(
        [thing("dining table", (200, 400, 800, 700), "brown"), thing("cup", (400, 420, 460, 490), "white")]
    )
    assert allowed_types(target(table, 0), OFFERS, PAPER_COUNTS)[EditType.REMOVE] == "carries cup"
    assert allowed_types(target(table, 1), OFFERS, PAPER_COUNTS)[EditType.REMOVE] == ""


def test_the_new_colour_is_far_from_the_present_one():
    for index, present in ((0, "white"), (1, "red")):
        for seed in range(80):
            drawn = draw_edit_type(target(cups(), index), OFFERS, {EditType.COLOR: 1.0}, seed, "p")
            assert present not in COLORS[drawn.argument].near
            assert drawn.argument != present


def test_a_dark_thing_is_never_turned_yellow():
    dark = scene([thing("chair", (100, 300, 250, 600), "black"), thing("couch", (400, 300, 800, 600))])
    drawn = [draw_edit_type(target(dark, 0), OFFERS, {EditType.COLOR: 1.0}, seed, "p") for seed in range(40)]
    assert "yellow" not in {d.argument for d in drawn if d}


def test_colour_is_lost_only_where_there_is_some():
    gray = target(desk(), 0)
    drawn = {
        draw_edit_type(gray, OFFERS, {EditType.APPEARANCE: 1.0}, seed, "p").argument for seed in range(60)
    }
    assert "black and white" not in drawn


def test_removal_needs_no_argument():
    drawn = draw_edit_type(target(desk(), 0), (), PAPER_COUNTS, 1, "p")
    assert (drawn.edit_type, drawn.argument) == (EditType.REMOVE, NO_ARGUMENT)


def test_the_draw_depends_on_seed_and_key_alone_and_follows_the_weights():
    cup = target(cups(), 1)
    weights = {EditType.COLOR: 3.0, EditType.REMOVE: 1.0}
    assert draw_edit_type(cup, OFFERS, weights, 5, "a") == draw_edit_type(cup, OFFERS, weights, 5, "a")
    counts = Counter(draw_edit_type(cup, OFFERS, weights, 5, f"k{i}").edit_type for i in range(800))
    assert 0.68 < counts[EditType.COLOR] / 800 < 0.82


def test_no_type_left_gives_no_draw():
    assert draw_edit_type(target(street(), 1), OFFERS, {EditType.COLOR: 1.0}, 0, "p") is None


def test_the_funnel_sees_how_many_types_were_allowed_and_why_not_the_others():
    drawn = draw_edit_type(target(street(), 1), OFFERS, PAPER_COUNTS, 0, "p")
    rows = {row.name: row for row in drawn.choices}
    assert rows["edit_types_allowed"].value == 2
    assert rows["allows_color"].value == 0
    assert "not for the kind person" in rows["allows_color"].note
