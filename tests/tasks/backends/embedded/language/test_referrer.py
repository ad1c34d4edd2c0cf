"""The referrer finds what the words fit, all of it."""

from __future__ import annotations

import pytest

from tasks.backends.embedded.language.referral_grammar import parse_referral
from tasks.backends.embedded.language.referrer import GrammarReferrer
from tasks.roles.questions import ReferQuestion
from tests.tasks.roles.role_questions import unseen
from tests.tasks.stages.instruction.example_scenes import (
    cups,
    desk,
    garments,
    living_room,
    scene,
    street,
    tall_and_short,
    thing,
)


def _find(whole, instruction):
    question = ReferQuestion(
        subject=instruction, picture=unseen(), numbered=unseen(), instruction=instruction, scene=whole
    )
    return GrammarReferrer().answer_one(question).objects


@pytest.mark.parametrize(
    ("instruction", "expected"),
    [
        ("Remove the leftmost cup.", (0,)),
        ("Please erase the first cup from the left.", (0,)),
        ("Recolor the second cup from the left to blue.", (1,)),
        ("Change the cup that is second from the right to blue.", (1,)),
        ("Get rid of the red cup.", (1,)),
        ("Get rid of the white cup.", (0, 2)),
        ("Could you edit out the cup closest to the laptop?", (2,)),
        ("Remove the cup to the left of the laptop.", (0, 1, 2)),
        ("Remove the cup.", (0, 1, 2)),
        ("Remove the mug on the far right.", (2,)),
        ("Remove the fourth cup from the left.", ()),
        ("Remove the plate.", ()),
    ],
)
def test_words_lead_to_everything_they_fit(instruction, expected):
    assert _find(cups(), instruction) == expected


@pytest.mark.parametrize(
    ("whole", "instruction", "expected"),
    [
        (desk(), "Change the laptop between the cup and the plant to red.", (0,)),
        (desk(), "Remove the book to the right of the cup.", (3,)),
        (desk(), "Remove the book to the left of the cup.", ()),
        (street(), "Erase the person in the left part of the picture.", (1, 2)),
        (street(), "Erase the person closest to the camera.", (1,)),
        (living_room(), "Recolor the orange chair to blue.", (1,)),
        (living_room(), "Remove the vase on the table.", (5,)),
    ],
)
def test_relations_to_other_things_are_understood(whole, instruction, expected):
    assert _find(whole, instruction) == expected


@pytest.mark.parametrize(
    ("whole", "instruction", "expected"),
    [
        (garments(), "Change the top worn by the person furthest to the left to blue.", (3,)),
        (garments(), "Recolor the leftmost person's top to blue.", (3,)),
        (garments(), "Recolor the leftmost person's red top to blue.", (3,)),
        (garments(), "Dye the trousers of the person in the red top green.", (4,)),
        (garments(), "Change the trousers that the person next to the dog is wearing to red.", (6,)),
        (garments(), "Change the red top to blue.", (3,)),
        (garments(), "Change the only green jacket to blue.", (7,)),
        (garments(), "Remove the person in white.", (1,)),
        (garments(), "Remove the person in the white top.", (1,)),
        (garments(), "Remove the person wearing a green top.", (2,)),
        # Dark blue passes for black, and the third person's trousers are not known.
        (garments(), "Remove the person wearing black trousers.", (0, 1, 2)),
        (garments(), "Recolor the trousers of the second person from the right to red.", (6,)),
        (garments(), "Recolor the trousers of the rightmost person to red.", (2,)),
        (tall_and_short(), "Remove the taller of the two people.", (0,)),
        (tall_and_short(), "Erase the shorter person.", (1,)),
        (tall_and_short(), "Recolor the shorts of the person with the handbag to green.", (4,)),
        (tall_and_short(), "Make the dress of the tallest person blue.", (2,)),
        (garments(), "Add another dog to the left of the person in the red top.", (0,)),
        (garments(), "Put another person to the right of the dog.", (8,)),
        (cups(), "Put a red stool in place of the red cup.", (1,)),
        (cups(), "Remove the red one of the cups.", (1,)),
        (garments(), 'Change the number on the top of the leftmost person to "7".', (3,)),
    ],
)
def test_parts_clothes_and_sizes_are_understood(whole, instruction, expected):
    assert _find(whole, instruction) == expected


def test_a_possible_person_makes_clothes_ambiguous():
    things = [
        thing("person", (100, 250, 200, 650), "red"),
        thing("top", (110, 310, 190, 440), "red", part_of=0),
    ]
    weak = (("person", (600, 250, 700, 650), 0.3),)
    for instruction in ("Remove the person in red.", "Remove the person in the red top."):
        assert _find(scene(things), instruction) == (0,)
        assert _find(scene(things, weak), instruction) == (0, 2)
    for instruction in ("Dye the red top blue.", "Dye the top of the person blue."):
        assert _find(scene(things, weak), instruction) == (1, 2)


def test_a_color_after_the_noun_is_what_the_edit_makes():
    referral = parse_referral("Change the chair to the left of the red couch to blue.", ["chair", "couch"])
    assert (referral.label, referral.color) == ("chair", "")
    assert parse_referral("Change the red chair to blue.", ["chair"]).color == "red"


def test_a_weak_detection_makes_words_ambiguous():
    things = [thing("cup", (400, 400, 480, 480)), thing("laptop", (600, 300, 900, 500))]
    weak = (("cup", (100, 400, 180, 480), 0.3),)
    assert _find(scene(things), "Remove the cup to the left of the laptop.") == (0,)
    assert _find(scene(things, weak), "Remove the cup to the left of the laptop.") == (0, 2)


def test_a_second_box_of_the_same_thing_does_not():
    things = [thing("cup", (400, 400, 480, 480)), thing("laptop", (600, 300, 900, 500))]
    weak = (("cup", (402, 404, 484, 480), 0.4),)
    assert _find(scene(things, weak), "Remove the cup to the left of the laptop.") == (0,)


def test_near_ties_are_all_returned():
    stacked = scene([thing("book", (300, 300, 400, 340)), thing("book", (305, 360, 405, 400))])
    assert _find(stacked, "Remove the leftmost book.") == (0, 1)
    alike = scene([thing("vase", (100, 200, 300, 600)), thing("vase", (600, 220, 780, 610))])
    assert _find(alike, "Remove the largest vase.") == (0, 1)


def test_the_largest_and_the_lowest_may_both_be_the_closest():
    people = scene([thing("person", (100, 100, 300, 600)), thing("person", (600, 500, 700, 760))])
    assert _find(people, "Remove the person closest to the camera.") == (0, 1)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("closest to the upper left corner of the picture", (0,)),
        ("nearest to the lower right corner of the picture", (3,)),
        ("closest to the lower left corner of the picture", (2,)),
        ("closest to the lower edge of the picture", (2, 3)),
        ("nearest to the upper edge of the picture", (0,)),
    ],
)
def test_a_corner_and_an_edge_lead_to_what_is_closest_and_to_ties(words, expected):
    places = ((60, 60), (800, 160), (80, 600), (820, 605))
    whole = scene([thing("cup", (x, y, x + 60, y + 60), "white") for x, y in places])
    assert _find(whole, f"Remove the cup {words}.") == expected
