"""Geometry of scenes: strict relations, rivals and anchors."""

from __future__ import annotations

from tasks.backends.embedded.language.scene_facts import (
    FactLimits,
    gather_facts,
    part,
    possible_instances,
)
from tasks.imaging.geometry import gap
from tests.tasks.stages.instruction.example_scenes import (
    cups,
    garments,
    scene,
    street,
    target,
    thing,
)

LIMITS = FactLimits(weak=0.2, named=0.55, color_share=0.7)


def _facts(whole, index):
    return gather_facts(target(whole, index), LIMITS)


def test_other_things_of_the_class_are_rivals_and_unique_ones_are_anchors():
    facts = _facts(cups(), 1)
    assert [r.index for r in facts.rivals] == [0, 2]
    assert [a.label for a in facts.anchors] == ["laptop"]


def test_where_the_light_colors_nearly_all_things_none_is_called_by_it():
    def street_at_night(*colors):
        return scene([thing("person", (100 * i, 300, 100 * i + 60, 600), c) for i, c in enumerate(colors)])

    neon = street_at_night("blue", "blue", "mixed", "blue", "blue", "red")
    assert [_facts(neon, i).target.color for i in (0, 5)] == ["mixed", "red"]
    team = street_at_night("blue", "blue", "blue", "red", "red", "green")
    assert _facts(team, 0).target.color == "blue"
    coats = street_at_night("black", "black", "black", "black", "black")
    assert _facts(coats, 0).target.color == "black"


def test_a_weak_detection_of_the_class_is_a_rival():
    whole = scene(
        [thing("cup", (100, 400, 180, 480), "white"), thing("laptop", (400, 300, 700, 500))],
        weak=(("cup", (800, 400, 880, 480), 0.3), ("cup", (900, 400, 960, 480), 0.1)),
    )
    facts = _facts(whole, 0)
    assert [(r.index, r.box.x0) for r in facts.rivals] == [(-1, 800)]


def test_a_second_box_a_part_and_a_group_of_an_entity_are_no_further_things():
    whole = scene(
        [thing("person", (100, 200, 300, 700)), thing("person", (400, 200, 600, 700))],
        weak=(
            ("person", (105, 205, 305, 690), 0.5),
            ("person", (120, 220, 200, 300), 0.5),
            ("person", (90, 190, 610, 710), 0.5),
            ("person", (700, 200, 900, 700), 0.5),
        ),
    )
    assert [e.box.x0 for e in possible_instances(whole, 0.2)] == [700]


def test_a_weak_detection_takes_an_anchor_its_name():
    whole = scene(
        [thing("cup", (100, 400, 180, 480), "white"), thing("laptop", (400, 300, 700, 500))],
        weak=(("laptop", (800, 300, 950, 420), 0.3),),
    )
    assert _facts(whole, 0).anchors == ()


def test_a_doubtful_thing_that_looks_alike_is_a_rival_and_a_sure_one_is_not():
    def with_score(score):
        return scene([thing("car", (100, 400, 300, 500)), thing("truck", (500, 350, 800, 520), score=score)])

    assert len(_facts(with_score(0.6), 0).rivals) == 1
    assert len(_facts(with_score(0.9), 0).rivals) == 0


def test_group_boxes_and_contested_labels_are_no_anchors():
    whole = scene(
        [
            thing("cup", (100, 400, 180, 480), "white"),
            thing("laptop", (400, 300, 700, 500), not_a_target="contested_label"),
        ]
    )
    assert _facts(whole, 0).anchors == ()


def test_the_gap_of_touching_boxes_is_zero_and_parts_cover_the_picture():
    facts = _facts(street(), 1)
    bus = next(a for a in facts.anchors if a.label == "bus")
    assert gap(facts.target.box, bus.box) == 100
    assert [part(x) for x in (0.0, 0.35, 0.37, 0.65, 1.0)] == [0, 0, 1, 2, 2]


def test_parts_are_no_things_of_their_own_and_their_whole_is_told_from_its_rivals():
    facts = _facts(garments(), 3)
    assert (facts.target.index, facts.edited.index) == (0, 3)
    assert [r.index for r in facts.rivals] == [1, 2]
    assert {e.label for e in (*facts.named, *facts.anchors)} == {"person", "dog", "bench"}
    assert [e.label for e in facts.garments(facts.target)] == ["top", "trousers"]
    assert facts.is_sole_part
    assert _facts(garments(), 0).part is None
