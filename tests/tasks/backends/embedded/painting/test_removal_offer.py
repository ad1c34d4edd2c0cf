"""What the embedded inpainters offer to remove."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tasks.backends.embedded.painting.removal_offer import (
    CARRIERS,
    BestOfTwoOffer,
    EmbeddedInpainterOffer,
    RemovalOptions,
)
from tasks.imaging.geometry import to_rle
from tasks.records.edit_types import NO_ARGUMENT
from tasks.records.records import EditType
from tests.tasks.backends.embedded.painting.test_belongings import with_masks
from tests.tasks.stages.instruction.example_scenes import HEIGHT, WIDTH, desk, scene, street, target, thing

OFFER = EmbeddedInpainterOffer(RemovalOptions())


def _why(grounded):
    return OFFER.offer(EditType.REMOVE, grounded).why_not


def test_what_stands_alone_is_removed_and_needs_no_argument():
    offered = OFFER.offer(EditType.REMOVE, target(desk(), 0))
    assert (offered.why_not, offered.arguments) == ("", ())
    assert OFFER.accepts(EditType.REMOVE, target(desk(), 0), NO_ARGUMENT) == ""


@pytest.mark.parametrize("box", [(0, 300, 150, 500), (300, HEIGHT - 200, 450, HEIGHT - 2)])
def test_what_the_edge_of_the_picture_cuts_off_is_not_removed(box):
    assert _why(target(scene([thing("suitcase", box)]), 0)).startswith("cut off by the edge")


@pytest.mark.parametrize(
    ("left", "objection"),
    [(240, "close to another zebra"), (255, "close to another zebra"), (262, ""), (300, "")],
)
def test_what_is_close_to_another_of_its_class_is_not_removed(left, objection):
    herd = scene([thing("zebra", (100, 300, 250, 500)), thing("zebra", (left, 310, left + 150, 500))])
    assert _why(target(with_masks(herd), 0)) == objection


def test_boxes_may_be_close_where_the_things_are_not():
    herd = with_masks(scene([thing("zebra", (100, 300, 250, 500)), thing("zebra", (240, 310, 390, 500))]))
    narrow = np.zeros((HEIGHT, WIDTH), bool)
    narrow[310:500, 300:390] = True
    apart = replace(herd, objects=(herd.objects[0], replace(herd.objects[1], mask=to_rle(narrow))))
    assert _why(target(apart, 0)) == ""


def test_the_pot_goes_with_its_plant():
    pair = with_masks(
        scene([thing("potted plant", (100, 100, 300, 500)), thing("vase", (150, 350, 250, 500))])
    )
    plant, wide = target(pair, 0), EmbeddedInpainterOffer(RemovalOptions(leafy=()))
    assert (wide.taken_along(plant), wide.offer(EditType.REMOVE, plant).why_not) == ((1,), "")
    beside = with_masks(
        scene([thing("potted plant", (100, 100, 200, 500)), thing("vase", (150, 350, 250, 500))])
    )
    assert OFFER.taken_along(target(beside, 0)) == ()


def test_a_plant_whose_shadow_of_leaves_would_stay_is_not_removed():
    assert _why(target(desk(), 2)) == "its shadow of leaves would stay"


def test_the_inpainter_of_two_has_two_fillings():
    assert (OFFER.fillings, BestOfTwoOffer(RemovalOptions()).fillings) == (1, 2)


def test_what_carries_other_things_is_not_removed():
    tray = scene([thing("chair", (200, 400, 800, 700), "brown"), thing("cup", (400, 420, 460, 490), "white")])
    assert _why(target(tray, 0)) == "carries cup"
    assert _why(target(tray, 1)) == ""


def test_a_rider_and_a_ride_stay_together():
    pair = scene([thing("person", (100, 100, 200, 300)), thing("horse", (90, 150, 230, 350))])
    assert _why(target(pair, 0)) == "tangled with horse"


def test_what_a_person_carries_is_not_removed_alone():
    def beside(left: int) -> str:
        pair = scene([thing("person", (100, 100, 200, 400)), thing("backpack", (left, 150, left + 60, 250))])
        return _why(target(with_masks(pair), 1))

    assert beside(180) == "carried by a person"
    assert beside(215) == "", "it lies beside them"
    assert beside(480) == ""


def test_other_types_are_not_offered():
    assert OFFER.offer(EditType.COLOR, target(street(), 4)).why_not == "not offered by the inpainter"


def test_what_mostly_carries_other_things_is_never_removed_and_the_list_is_an_option():
    table = target(scene([thing("dining table", (200, 400, 800, 700), "brown")]), 0)
    assert _why(table) == "carries what stands on it"
    people = EmbeddedInpainterOffer(RemovalOptions(carriers=("person",), leafy=()))
    assert people.offer(EditType.REMOVE, table).why_not == ""
    assert people.offer(EditType.REMOVE, target(street(), 1)).why_not == "carries what stands on it"
    assert OFFER.material() == {"carriers": list(CARRIERS), "leafy": ["potted plant"]}
    assert people.material() == {"carriers": ["person"], "leafy": []}


def test_a_part_is_not_removed_and_goes_with_its_owner():
    pair = scene([thing("person", (100, 100, 200, 400)), thing("shirt", (110, 160, 190, 260), "red")])
    shirt = replace(pair.objects[1], part_of=0)
    dressed = replace(pair, objects=(pair.objects[0], shirt))
    assert _why(target(dressed, 1)) == "part of a person"
    assert _why(target(dressed, 0)) == ""
    assert OFFER.taken_along(target(dressed, 0)) == (1,)


def test_a_person_with_something_that_cannot_go_along_is_not_removed():
    weak = (("suitcase", (180, 250, 240, 400), 0.3),)
    person = target(scene([thing("person", (100, 100, 200, 400))], weak=weak), 0)
    empty = to_rle(np.zeros((HEIGHT, WIDTH), bool))
    assert _why(replace(person, mask=empty)) == "may carry a suitcase"


def test_what_a_person_hardly_seems_to_carry_goes_along_with_its_box():
    weak = (("handbag", (180, 200, 220, 260), 0.3),)
    person = target(with_masks(scene([thing("person", (100, 100, 200, 400))], weak=weak)), 0)
    assert _why(person) == ""
    assert OFFER.boxes_along(person) == (person.scene.distractors[0].box,)


def test_the_table_under_a_thing_is_its_ground():
    table = scene(
        [
            thing("cup", (400, 420, 460, 490), "white"),
            thing("dining table", (200, 400, 800, 700), "brown"),
            thing("bench", (820, 300, 990, 700), "brown"),
            thing("chair", (380, 300, 700, 690), "brown"),
            thing("chair", (410, 400, 470, 500), "brown"),
            thing("laptop", (380, 300, 700, 690), "gray"),
        ]
    )
    assert OFFER.ground_of(target(table, 0)) == (1, 3), "larger furniture is under it, other things are not"
    sitting = scene(
        [
            thing("person", (400, 300, 500, 600)),
            thing("couch", (200, 400, 800, 700)),
            thing("chair", (380, 290, 700, 690)),
        ]
    )
    assert OFFER.ground_of(target(sitting, 0)) == (1,), "a chair with somebody on it is hidden by them"
