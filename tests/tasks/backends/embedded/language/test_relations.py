"""Relations hold where nobody would dispute them, and may hold wherever somebody could claim them."""

from __future__ import annotations

from tasks.backends.embedded.language.relations import (
    beside,
    clearly_left,
    has_with_it,
    in_front_of,
    is_next_to,
    maybe_has_with_it,
    maybe_in_front_of,
    maybe_next_to,
    rests_on,
)
from tasks.backends.embedded.language.scene_facts import Entity, FactLimits, gather_facts
from tasks.records.records import Box
from tests.tasks.stages.instruction.example_scenes import WIDTH, desk, scene, target, thing

LIMITS = FactLimits(weak=0.2, named=0.55, color_share=0.7)


def _facts(whole, index):
    return gather_facts(target(whole, index), LIMITS)


def entity(label, x0, y0, x1, y1):
    box = Box(x0=x0, y0=y0, x1=x1, y1=y1)
    return Entity(index=0, label=label, box=box, score=0.9, area=box.area, color="mixed", color_share=0.5)


PERSON = entity("person", 300, 200, 400, 700)


def test_what_stands_close_on_one_level_is_next_to_each_other():
    dog = entity("dog", 410, 620, 500, 700)
    assert is_next_to(PERSON, dog, WIDTH)
    assert is_next_to(dog, PERSON, WIDTH)
    assert not is_next_to(PERSON, entity("dog", 460, 620, 550, 700), WIDTH)
    assert maybe_next_to(PERSON, entity("dog", 460, 620, 550, 700), WIDTH)
    assert not is_next_to(PERSON, entity("kite", 410, 100, 500, 180), WIDTH)
    assert not is_next_to(PERSON, entity("dog", 310, 620, 390, 700), WIDTH)


def test_in_front_is_what_hides_a_thing_and_stands_lower():
    car = entity("car", 200, 400, 700, 600)
    assert in_front_of(PERSON, car) is False  # the person's head is above the car: behind it, or beside
    dog = entity("dog", 350, 520, 450, 650)
    assert in_front_of(dog, car)
    assert not in_front_of(entity("dog", 350, 450, 450, 600), car)
    assert not in_front_of(dog, entity("bench", 200, 400, 700, 600))
    assert maybe_in_front_of(entity("dog", 350, 450, 450, 600), car, WIDTH)
    assert not maybe_in_front_of(entity("dog", 850, 450, 950, 650), car, WIDTH)


def test_a_bag_is_with_the_person_whose_outline_holds_it():
    assert has_with_it(PERSON, entity("handbag", 310, 450, 360, 520))
    assert not has_with_it(PERSON, entity("handbag", 380, 450, 460, 520))
    assert maybe_has_with_it(PERSON, entity("handbag", 380, 450, 460, 520), WIDTH)
    assert not has_with_it(PERSON, entity("laptop", 310, 450, 360, 520))
    assert not has_with_it(entity("dog", 300, 200, 400, 700), entity("handbag", 310, 450, 360, 520))


def test_beside_needs_separate_boxes_on_about_one_level():
    facts = _facts(desk(), 1)
    laptop = next(a for a in facts.anchors if a.label == "laptop")
    assert beside(facts.target, laptop, "left", WIDTH)
    assert not beside(facts.target, laptop, "right", WIDTH)
    above = _facts(scene([thing("clock", (300, 20, 360, 80)), thing("couch", (350, 500, 800, 780))]), 0)
    assert not beside(above.target, above.anchors[0], "left", WIDTH)


def test_clearly_left_is_false_for_stacked_things():
    facts = _facts(scene([thing("cup", (100, 400, 180, 480)), thing("book", (110, 500, 185, 540))]), 0)
    assert not clearly_left(facts.target, facts.anchors[0], WIDTH)


def test_a_cup_with_its_foot_inside_the_table_rests_on_it_and_a_person_behind_does_not():
    whole = scene(
        [
            thing("dining table", (200, 400, 800, 700), "brown"),
            thing("cup", (400, 380, 460, 470), "white"),
            thing("vase", (100, 380, 260, 470), "white"),
        ]
    )
    cup, vase = _facts(whole, 1), _facts(whole, 2)
    assert rests_on(cup.target, next(a for a in cup.anchors if a.label == "dining table"))
    assert not rests_on(vase.target, next(a for a in vase.anchors if a.label == "dining table"))
