"""What the target becomes: as requested, stated, or read from the sentence."""

from __future__ import annotations

import pytest

from tasks.records.edit_types import NO_ARGUMENT
from tasks.records.records import EditType
from tasks.stages.instruction.arguments import read_argument, settled_argument

SENTENCES = [
    (EditType.COLOR, "Turn the clothes of the person facing to the left to blue.", "blue"),
    (EditType.COLOR, "Make the second bread in the third row turn purple.", "purple"),
    (EditType.COLOR, "Make the jersey color of the player with the number '3' blue.", "blue"),
    (
        EditType.COLOR,
        "Change the color of the woman's orange dress to purple who is holding a black and red jacket.",
        "purple",
    ),
    (
        EditType.COLOR,
        "Change the uniform color of the scout walking alone in the center-left to bright blue.",
        "bright blue",
    ),
    (EditType.COLOR, "Turn the car bright red.", "bright red"),
    (EditType.COLOR, "Change the car next to the red bus to green!", "green"),
    (EditType.COLOR, "Give the cup on the left a dark green color.", "dark green"),
    (EditType.COLOR, "Paint the bench in yellow.", "yellow"),
    (
        EditType.COLOR,
        "Recolor the signboard that says 'BABY DIAPERS' to a vibrant purple hue.",
        "vibrant purple",
    ),
    (EditType.COLOR, "Change the color of the third boat to vermilion.", "vermilion"),
    (EditType.COLOR, "Change the color of the car to match the sky.", ""),
    (EditType.COLOR, "Recolor the chair on the left side of the dining table.", ""),
    (EditType.REPLACE, "Replace the cable car numbered '73' with a helicopter.", "helicopter"),
    (EditType.REPLACE, "Replace the man with the hat with an old oak tree.", "old oak tree"),
    (EditType.REPLACE, "Swap the dog with brown fur for a cat with white paws.", "cat with white paws"),
    (EditType.REPLACE, "Turn the second statue into a fountain.", "fountain"),
    (EditType.REPLACE, "Replace the cup with two apples.", "two apples"),
    (EditType.ADD, "Add a hat to the mother who is leading two children.", "hat"),
    (EditType.ADD, "Put sunglasses on the dog nearest to the camera.", "sunglasses"),
    (EditType.ADD, "Give the tallest man a red scarf.", "red scarf"),
    (EditType.ADD, "Make the girl by the door hold an umbrella.", "umbrella"),
    (EditType.ADD, "Place a small vase of flowers beside the laptop.", "small vase of flowers"),
    (EditType.ADD, "Stick a white paper label onto the shortest bottle.", "white paper label"),
    (EditType.MATERIAL, "Make the second statue from the right metallic.", "metallic"),
    (EditType.MATERIAL, "Change the material of the chair to the left of the table to wood.", "wood"),
    (EditType.MATERIAL, "Turn the vase into polished copper.", "polished copper"),
    (EditType.MATERIAL, "Make the cup look as if it were made of papier-mache.", "papier-mache"),
    (EditType.ACTION, "Make the dog raise its left paw.", "raise its left paw"),
    (EditType.ACTION, "Have the person nearest to the bus wave at the driver.", "wave at the driver"),
    (EditType.ACTION, "Change the man from sitting to standing.", "standing"),
    (EditType.ACTION, "Change the pose of the girl to jumping in the air.", "jumping in the air"),
    (EditType.APPEARANCE, "Make the smiling person look older.", "older"),
    (EditType.APPEARANCE, "Make the car on the right look like a rusty wreck.", "rusty wreck"),
    (EditType.APPEARANCE, "Turn the left cup into a pencil sketch.", "pencil sketch"),
    (EditType.APPEARANCE, "Make the truck dirty.", "dirty"),
    (EditType.TEXT, "Change the text on the red sign to 'OPEN'.", "OPEN"),
    (EditType.TEXT, 'Make the sign that says "FIRST RIGHT" read "SECOND LEFT".', "SECOND LEFT"),
    (EditType.TEXT, "Make the sign above the door say “A new day”.", "A new day"),
    (EditType.TEXT, 'Write "SALE" on the shop window.', "SALE"),
    (EditType.TEXT, "Change the number on the bus to 42.", "42"),
]


@pytest.mark.parametrize(("edit_type", "sentence", "argument"), SENTENCES, ids=[s for _, s, _ in SENTENCES])
def test_the_argument_is_read_from_the_sentence(edit_type, sentence, argument):
    assert read_argument(edit_type, sentence) == argument


def test_an_asked_argument_stays():
    assert settled_argument(EditType.COLOR, "blue", "teal", "Make the cup teal.") == "blue"


def test_a_stated_argument_comes_before_the_sentence():
    assert settled_argument(EditType.REPLACE, "", "a Tesla. ", "Replace the car with a red one.") == "Tesla"


@pytest.mark.parametrize("stated", ["", "none", "N/A", " "])
def test_without_a_stated_argument_the_sentence_is_read(stated):
    assert settled_argument(EditType.ADD, "", stated, "Add a kite to the sky above the boy.") == "kite"


def test_what_cannot_be_read_stays_open():
    assert settled_argument(EditType.REPLACE, "", "", "Do something nice to the cup.") == ""


def test_a_removal_says_none_whatever_the_reply_states():
    assert settled_argument(EditType.REMOVE, NO_ARGUMENT, "the cup", "Remove the cup.") == NO_ARGUMENT


def test_writing_is_kept_letter_by_letter():
    assert settled_argument(EditType.TEXT, "", '"A day at sea."', "") == "A day at sea."


def test_half_a_sentence_is_not_an_argument():
    rest = "a " + "very " * 14 + "big dog"
    assert read_argument(EditType.REPLACE, f"Replace the cup with {rest}.") == ""
