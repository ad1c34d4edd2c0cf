"""What the embedded inpainters offer to remove."""

from __future__ import annotations

import pytest

from tasks.backends.embedded.painting.removal_offer import CARRIERS, EmbeddedInpainterOffer, RemovalOptions
from tasks.records.edit_types import NO_ARGUMENT
from tasks.records.records import EditType
from tests.tasks.stages.instruction.example_scenes import desk, scene, street, target, thing

OFFER = EmbeddedInpainterOffer(RemovalOptions())


def _why(grounded):
    return OFFER.offer(EditType.REMOVE, grounded).why_not


def test_what_stands_alone_is_removed_and_needs_no_argument():
    offered = OFFER.offer(EditType.REMOVE, target(desk(), 0))
    assert (offered.why_not, offered.arguments) == ("", ())
    assert OFFER.accepts(EditType.REMOVE, target(desk(), 0), NO_ARGUMENT) == ""


@pytest.mark.parametrize(
    ("left", "objection"), [(240, "close to another zebra"), (255, "close to another zebra"), (300, "")]
)
def test_what_is_close_to_another_of_its_class_is_not_removed(left, objection):
    herd = scene([thing("zebra", (100, 300, 250, 500)), thing("zebra", (left, 310, left + 150, 500))])
    assert _why(target(herd, 0)) == objection


def test_what_carries_other_things_is_not_removed():
    table = scene(
        [thing("dining table", (200, 400, 800, 700), "brown"), thing("cup", (400, 420, 460, 490), "white")]
    )
    assert _why(target(table, 0)) == "carries cup"
    assert _why(target(table, 1)) == ""


def test_a_rider_and_a_ride_stay_together():
    pair = scene([thing("person", (100, 100, 200, 300)), thing("horse", (90, 150, 230, 350))])
    assert _why(target(pair, 0)) == "tangled with horse"


def test_other_types_are_not_offered():
    assert OFFER.offer(EditType.COLOR, target(street(), 4)).why_not == "not offered by the inpainter"


def test_the_carriers_are_an_option_that_no_instruction_depends_on():
    people = EmbeddedInpainterOffer(RemovalOptions(carriers=("person",)))
    assert (OFFER.carriers, people.carriers) == (CARRIERS, ("person",))
    assert people.material() == OFFER.material()
    # Their removal is drawn all the same: what it comes to is decided when the edit is made.
    assert people.offer(EditType.REMOVE, target(street(), 1)).why_not == ""


def test_a_garment_is_not_removed_and_does_not_hold_its_wearer_back():
    worn = scene(
        [thing("person", (100, 100, 300, 600)), thing("top", (120, 200, 280, 380), "blue", part_of=0)]
    )
    assert _why(target(worn, 1)) == "part of a person"
    assert _why(target(worn, 0)) == ""
