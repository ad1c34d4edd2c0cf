"""Wordings that single a target out, and what forbids them."""

from __future__ import annotations

from tasks.backends.embedded.language.references import candidate_references
from tasks.backends.embedded.language.scene_facts import FactLimits, gather_facts
from tests.tasks.stages.instruction.example_scenes import (
    cups,
    desk,
    garments,
    living_room,
    scene,
    tall_and_short,
    target,
    thing,
)

LIMITS = FactLimits(weak=0.2, named=0.55, color_share=0.7)


def _found(whole, index):
    return candidate_references(gather_facts(target(whole, index), LIMITS), 0.7)


def _kinds(whole, index):
    return {(r.kind, r.side, r.rank) for r in _found(whole, index)}


def _row(*xs, weak=()):
    things = [thing("chair", (x, 400, x + 80, 600), "white") for x in xs]
    return scene([*things, thing("dog", (20, 700, 140, 790), "brown")], weak=weak)


def test_the_middle_of_three_is_second_from_either_side():
    kinds = _kinds(_row(300, 500, 700), 1)
    assert ("ordinal", "left", 2) in kinds
    assert ("ordinal", "right", 2) in kinds


def test_the_outer_ones_are_extremes_only_on_their_side():
    kinds = _kinds(_row(300, 500, 700), 0)
    assert ("extreme", "left", 1) in kinds
    assert ("extreme", "right", 1) not in kinds


def test_a_possible_chair_on_the_way_forbids_the_ordinal_but_not_the_other_side():
    weak = (("chair", (400, 400, 460, 600), 0.3),)
    kinds = _kinds(_row(300, 500, 700, weak=weak), 1)
    assert ("ordinal", "left", 2) not in kinds
    assert ("ordinal", "left", 3) not in kinds
    assert ("ordinal", "right", 2) in kinds


def test_a_possible_chair_further_out_forbids_the_extreme():
    weak = (("chair", (100, 400, 160, 600), 0.3),)
    assert ("extreme", "left", 1) not in _kinds(_row(300, 500, 700, weak=weak), 0)


def test_things_above_each_other_have_no_order():
    stacked = scene(
        [
            thing("book", (300, 300, 400, 340)),
            thing("book", (305, 360, 405, 400)),
            thing("dog", (700, 400, 900, 600)),
        ]
    )
    assert not {k for k in _kinds(stacked, 0) if k[0] in {"extreme", "ordinal"}}


def test_left_of_an_anchor_is_forbidden_by_any_rival_on_that_side():
    assert ("side_of", "left", 0) in _kinds(desk(), 1)
    kinds = {r.kind for r in _found(cups(), 1) if r.anchors}
    assert "side_of" not in kinds


def test_a_color_tells_apart_only_from_plainly_other_colors():
    assert "color" in {r.kind for r in _found(cups(), 1)}
    assert "color" not in {r.kind for r in _found(cups(), 0)}
    unsure = scene(
        [thing("cup", (80, 400, 160, 490), "red"), thing("cup", (260, 400, 345, 490), "pink")],
    )
    assert "color" not in {r.kind for r in _found(unsure, 0)}


def test_a_person_is_told_by_a_garment_of_clear_color_when_all_others_there_are_known():
    found = {(r.kind, r.color, r.anchors[0].label) for r in _found(garments(), 1) if r.kind == "clothes"}
    # One of the others wears trousers that nobody saw, so that trousers tell nobody apart.
    assert found == {("clothes", "white", "top")}
    assert "clad" not in {r.kind for r in _found(garments(), 1)}  # in white, and in black


def test_an_unknown_garment_or_a_weak_person_forbids_to_tell_people_by_clothes():
    two = [
        thing("person", (100, 250, 200, 650), "red"),
        thing("person", (600, 250, 700, 650), "blue"),
        thing("top", (110, 310, 190, 440), "red", part_of=0),
    ]
    assert not {r.kind for r in _found(scene(two), 0)} & {"clothes", "clad"}
    known = [*two, thing("top", (610, 310, 690, 440), "blue", part_of=1)]
    assert {r.kind for r in _found(scene(known), 0)} >= {"clothes", "clad"}
    near = [*two, thing("top", (610, 310, 690, 440), "pink", part_of=1)]
    assert not {r.kind for r in _found(scene(near), 0)} & {"clothes", "clad"}
    weak = (("person", (800, 250, 900, 650), 0.3),)
    assert not {r.kind for r in _found(scene(known, weak), 0)} & {"clothes", "clad"}


def test_a_garment_is_told_by_its_own_color_or_its_wearer_but_never_by_itself():
    red_top = _found(garments(), 3)
    assert "part_color" in {r.kind for r in red_top}
    assert "extreme" in {r.kind for r in red_top}
    assert not [r for r in red_top if r.kind == "clothes" and r.anchors[0].label == "top"]
    assert "part_color" not in {r.kind for r in _found(garments(), 4)}  # others' trousers are not all known


def test_the_garment_of_the_only_person_needs_no_more():
    alone = scene(
        [thing("person", (300, 200, 400, 700)), thing("top", (310, 260, 390, 400), "red", part_of=0)]
    )
    assert "alone" in {r.kind for r in _found(alone, 1)}


def test_the_noun_alone_tells_the_only_thing_of_its_kind_with_what_it_may_be_taken_for_as_risk():
    screen = thing("tv", (300, 200, 500, 400), "black")
    (alone,) = (r for r in _found(scene([screen]), 0) if r.kind == "alone")
    doubted = scene([screen], weak=(("laptop", (700, 200, 800, 300), 0.3),))
    (less,) = (r for r in _found(doubted, 0) if r.kind == "alone")
    assert less.risk > alone.risk + 0.1
    another = scene([screen], weak=(("tv", (700, 200, 800, 300), 0.3),))
    assert "alone" not in {r.kind for r in _found(another, 0)}
    two = scene([screen, thing("tv", (700, 200, 900, 400), "black")])
    assert "alone" not in {r.kind for r in _found(two, 0)}


def _grid(*places, weak=()):
    return scene([thing("cup", (x, y, x + 60, y + 60), "white") for x, y in places], weak=weak)


def test_of_things_in_rows_one_may_be_closest_to_a_corner_or_an_edge():
    rows = _grid((60, 100), (500, 100), (900, 120), (60, 600), (500, 620), (900, 600))
    assert ("corner", "", 0) in _kinds(rows, 0)
    assert ("corner", "", 8) in _kinds(rows, 5)
    assert not {k for k in _kinds(rows, 1) if k[0] == "corner"}
    assert not {k for k in _kinds(rows, 0) if k[0] == "edge"}  # others are as near
    assert ("edge", "bottom", 0) in _kinds(_grid((60, 100), (500, 120), (900, 600)), 2)
    near = _grid((60, 100), (500, 100), (900, 120), weak=(("cup", (150, 180, 210, 240), 0.3),))
    assert not {k for k in _kinds(near, 0) if k[0] == "corner"}
    people = scene([thing("person", (100, 100, 160, 250)), thing("person", (600, 500, 700, 790))])
    assert not {k for k in _kinds(people, 1) if k[0] == "edge"}  # lower is nearer there


def test_people_are_taller_only_where_all_stand_on_one_line():
    assert ("tallest", "", 0) in _kinds(tall_and_short(), 0)
    assert ("shortest", "", 0) in _kinds(tall_and_short(), 1)
    further = scene([thing("person", (300, 200, 400, 700)), thing("person", (600, 300, 690, 600))])
    assert not {k for k in _kinds(further, 0) if k[0] in {"tallest", "shortest"}}
    seated = scene([thing("person", (300, 200, 400, 700)), thing("person", (600, 450, 800, 700))])
    assert not {k for k in _kinds(seated, 0) if k[0] in {"tallest", "shortest"}}


def test_things_are_smaller_only_without_a_possible_third_one():
    pair = [thing("vase", (100, 200, 300, 600), "blue"), thing("vase", (600, 300, 720, 500), "blue")]
    assert ("smallest", "", 0) in _kinds(scene(pair), 1)
    assert ("smallest", "", 0) not in _kinds(scene(pair, (("vase", (800, 300, 830, 400), 0.3),)), 1)


def test_next_to_and_in_front_of_need_a_rival_that_is_clearly_elsewhere():
    assert ("next_to", "", 0) in _kinds(garments(), 1)
    near = scene(
        [
            thing("person", (470, 240, 580, 650)),
            thing("person", (700, 240, 800, 650)),
            thing("dog", (590, 540, 690, 655), "brown"),
        ]
    )
    assert ("next_to", "", 0) not in _kinds(near, 0)
    desk_with_cups = [thing("laptop", (350, 250, 620, 480)), thing("cup", (440, 400, 520, 560), "white")]
    apart = scene([*desk_with_cups, thing("cup", (800, 400, 880, 560), "white")])
    assert ("front", "", 0) in _kinds(apart, 1)
    assert ("front", "", 0) not in _kinds(apart, 2)
    beside = scene([*desk_with_cups, thing("cup", (600, 400, 680, 560), "white")])
    assert ("front", "", 0) not in _kinds(beside, 1)


def test_a_bag_is_with_somebody_whose_outline_holds_it_and_nobody_elses():
    assert ("with", "", 0) in _kinds(tall_and_short(), 1)
    assert ("with", "", 0) not in _kinds(tall_and_short(), 0)


def test_a_person_is_never_told_by_a_color():
    people = scene(
        [thing("person", (100, 300, 200, 700), "red"), thing("person", (600, 300, 700, 700), "blue")]
    )
    assert not [r for r in _found(people, 0) if r.color]


def test_a_lone_couch_among_chairs_is_not_the_leftmost_couch():
    assert "extreme" not in {r.kind for r in _found(living_room(), 0)}


def test_the_largest_needs_a_wide_margin_and_nothing_cut_off():
    def pair(second):
        return scene([thing("vase", (100, 200, 300, 600), "blue"), thing("vase", second, "blue")])

    assert "largest" in {r.kind for r in _found(pair((600, 300, 720, 500)), 0)}
    assert "largest" not in {r.kind for r in _found(pair((600, 220, 780, 590)), 0)}
    assert "largest" not in {r.kind for r in _found(pair((880, 300, 1000, 500)), 0)}


def test_a_crowd_raises_the_risk_of_an_ordinal():
    few = next(r for r in _found(_row(300, 500, 700), 1) if r.kind == "ordinal")
    many = next(r for r in _found(_row(300, 450, 600, 750, 900), 1) if r.kind == "ordinal")
    assert many.risk > few.risk


def test_a_lone_thing_beside_a_group_is_told_by_the_group():
    found = [r for r in _found(cups(), 3) if r.group]
    assert [(r.kind, r.side) for r in found] == [("side_of", "right")]
