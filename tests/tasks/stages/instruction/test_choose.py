"""The seeded choice of an edit among those offered for a target."""

from __future__ import annotations

from collections import Counter

from tasks.backends.embedded.painting.color_offer import COLORS
from tasks.backends.embedded.painting.offer import EmbeddedEditorOffer
from tasks.backends.embedded.painting.removal_offer import EmbeddedInpainterOffer, RemovalOptions
from tasks.backends.generative_offer import GenerativeEditorOffer, GenerativeInpainterOffer
from tasks.records.edit_types import NO_ARGUMENT
from tasks.records.records import EditType
from tasks.records.settings_base import Settings
from tasks.roles.offers import Offer, Offered, Offers
from tasks.stages.instruction.choose import allowed_types, choose_edit_type, drawn_weights
from tasks.stages.instruction.settings import PAPER_COUNTS
from tests.tasks.stages.instruction.example_scenes import cups, desk, scene, street, target, thing

INPAINTER = EmbeddedInpainterOffer(RemovalOptions())
EMBEDDED = Offers(editor=EmbeddedEditorOffer(Settings()), inpainter=INPAINTER)
GENERATIVE = Offers(editor=GenerativeEditorOffer(Settings()), inpainter=GenerativeInpainterOffer(Settings()))


class NoEditor(Offer):
    """Offers nothing."""

    name, version, edit_types = "nothing", 1, frozenset()

    def offer(self, edit_type, target):
        return Offered(why_not="not offered by the editor")

    def accepts(self, edit_type, target, argument):
        return "not offered by the editor"


WITHOUT_EDITOR = Offers(editor=NoEditor(Settings()), inpainter=INPAINTER)


def test_a_type_that_the_editor_does_not_offer_is_never_chosen():
    why = allowed_types(target(cups(), 1), WITHOUT_EDITOR, PAPER_COUNTS)
    assert why[EditType.COLOR] == "not offered by the editor"
    assert why[EditType.REMOVE] == ""
    drawn = {
        choose_edit_type(target(cups(), 1), EMBEDDED, PAPER_COUNTS, seed, "p").edit_type for seed in range(60)
    }
    assert drawn <= {EditType.COLOR, EditType.REMOVE, EditType.APPEARANCE}


def test_the_embedded_editor_never_recolors_a_person():
    why = allowed_types(target(street(), 1), EMBEDDED, PAPER_COUNTS)
    assert why[EditType.COLOR] == "not for the kind person"
    assert why[EditType.REMOVE] == ""


def test_a_thing_of_mixed_colors_is_never_recolored():
    mixed = scene([thing("kite", (100, 300, 250, 600)), thing("couch", (400, 300, 800, 600))])
    assert allowed_types(target(mixed, 0), EMBEDDED, PAPER_COUNTS)[EditType.COLOR] != ""


def test_the_new_color_is_far_from_the_present_one():
    for index, present in ((0, "white"), (1, "red")):
        for seed in range(80):
            drawn = choose_edit_type(target(cups(), index), EMBEDDED, {EditType.COLOR: 1.0}, seed, "p")
            assert present not in COLORS[drawn.argument].near
            assert drawn.argument != present


def test_a_dark_thing_is_never_turned_yellow():
    dark = scene([thing("chair", (100, 300, 250, 600), "black"), thing("couch", (400, 300, 800, 600))])
    drawn = [
        choose_edit_type(target(dark, 0), EMBEDDED, {EditType.COLOR: 1.0}, seed, "p") for seed in range(40)
    ]
    assert "yellow" not in {d.argument for d in drawn if d}


def test_color_is_lost_only_where_there_is_some():
    gray = target(desk(), 0)
    drawn = {
        choose_edit_type(gray, EMBEDDED, {EditType.APPEARANCE: 1.0}, seed, "p").argument for seed in range(60)
    }
    assert "black and white" not in drawn


def test_removal_needs_no_argument():
    drawn = choose_edit_type(target(desk(), 0), WITHOUT_EDITOR, PAPER_COUNTS, 1, "p")
    assert (drawn.edit_type, drawn.argument) == (EditType.REMOVE, NO_ARGUMENT)


def test_the_choice_depends_only_on_seed_and_key_and_follows_the_weights():
    cup = target(cups(), 1)
    weights = {EditType.COLOR: 3.0, EditType.REMOVE: 1.0}
    assert choose_edit_type(cup, EMBEDDED, weights, 5, "a") == choose_edit_type(
        cup, EMBEDDED, weights, 5, "a"
    )
    counts = Counter(choose_edit_type(cup, EMBEDDED, weights, 5, f"k{i}").edit_type for i in range(800))
    assert 0.68 < counts[EditType.COLOR] / 800 < 0.82


def test_nothing_is_chosen_if_no_type_is_left():
    assert choose_edit_type(target(street(), 1), EMBEDDED, {EditType.COLOR: 1.0}, 0, "p") is None


def test_the_funnel_sees_how_many_types_were_allowed_and_why_not_the_others():
    drawn = choose_edit_type(target(street(), 1), EMBEDDED, PAPER_COUNTS, 0, "p")
    rows = {row.name: row for row in drawn.choices}
    assert rows["edit_types_allowed"].value == 2
    assert rows["allows_color"].value == 0
    assert "not for the kind person" in rows["allows_color"].note


def test_a_generative_editor_gives_a_person_every_type_and_leaves_the_argument_to_the_instructor():
    person = target(street(), 1)
    assert set(allowed_types(person, GENERATIVE, PAPER_COUNTS).values()) == {""}
    even = dict.fromkeys(EditType, 1.0)
    drawn = [choose_edit_type(person, GENERATIVE, even, seed, "p") for seed in range(120)]
    assert {d.edit_type for d in drawn} == set(EditType)
    assert {d.argument for d in drawn if d.edit_type is not EditType.REMOVE} == {""}
    assert {d.argument for d in drawn if d.edit_type is EditType.REMOVE} == {NO_ARGUMENT}


def test_each_plan_of_a_target_is_another_edit_until_none_is_left():
    person, weights = target(street(), 1), {EditType.REPLACE: 1.0, EditType.ACTION: 1.0}
    taken: list[tuple[EditType, str]] = []
    while drawn := choose_edit_type(person, GENERATIVE, weights, 0, f"p{len(taken)}", taken):
        taken.append((drawn.edit_type, drawn.argument))
    assert sorted(taken) == [(EditType.ACTION, ""), (EditType.REPLACE, "")]


def test_a_type_used_before_is_chosen_again_with_another_argument():
    cup, weights = target(cups(), 1), {EditType.COLOR: 1.0}
    first = choose_edit_type(cup, EMBEDDED, weights, 0, "p")
    again = choose_edit_type(cup, EMBEDDED, weights, 0, "p", [(first.edit_type, first.argument)])
    assert again.edit_type is EditType.COLOR
    assert again.argument != first.argument


def test_a_type_is_held_back_by_its_chance_and_by_nothing_else():
    weights = {EditType.COLOR: 3.0, EditType.APPEARANCE: 1.0}
    drawn = [drawn_weights(weights, {EditType.APPEARANCE: 0.2}, 5, f"k{i}") for i in range(800)]
    assert {d[EditType.COLOR] for d in drawn} == {3.0}
    assert 0.15 < sum(d[EditType.APPEARANCE] > 0 for d in drawn) / 800 < 0.25
    assert drawn[0] == drawn_weights(weights, {EditType.APPEARANCE: 0.2}, 5, "k0")
    assert drawn_weights(weights, {}, 5, "k0") == weights
    assert drawn_weights(weights, {EditType.COLOR: 0.0}, 5, "k0") == {**weights, EditType.COLOR: 0.0}


def test_a_barred_type_has_no_weight():
    weights = {EditType.COLOR: 3.0, EditType.APPEARANCE: 1.0}
    assert drawn_weights(weights, {}, 5, "k", [EditType.COLOR])[EditType.COLOR] == 0.0
