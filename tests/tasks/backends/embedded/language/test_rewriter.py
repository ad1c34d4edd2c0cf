"""The rewriter changes words and keeps facts."""

from __future__ import annotations

import pytest

from tasks.backends.embedded.language.referral_grammar import without_writing
from tasks.backends.embedded.language.rewriter import ParaphraseRewriter
from tasks.backends.embedded.language.text_facts import fact_set
from tasks.records.records import EditType
from tasks.roles.questions import RewriteQuestion


def _say(instruction, edit_type, seeds=40):
    questions = [
        RewriteQuestion(subject=instruction, instruction=instruction, edit_type=edit_type, seed=seed)
        for seed in range(seeds)
    ]
    return ParaphraseRewriter().answer(questions)


@pytest.mark.parametrize(
    ("instruction", "edit_type"),
    [
        ("Change the color of the second cup from the left to blue.", EditType.COLOR),
        ("Give the white cup to the left of the laptop an orange color.", EditType.COLOR),
        ("Change the table that is to the right of the couch to green.", EditType.COLOR),
        ("Remove the person closest to the camera.", EditType.REMOVE),
        ("Erase the person who is to the left of the car.", EditType.REMOVE),
        ("Edit out the cup on the table.", EditType.REMOVE),
        ("Show the blue bus to the left of the car pixelated.", EditType.APPEARANCE),
        ("Make the chair on the far left appear as a pencil sketch.", EditType.APPEARANCE),
        ("Change the top worn by the person in the red trousers to blue.", EditType.COLOR),
        ("Recolor the leftmost person's trousers to green.", EditType.COLOR),
        ("Replace the person with the umbrella with a red stool.", EditType.REPLACE),
        ("Swap the cup next to the laptop for another bottle.", EditType.REPLACE),
        ("Add another dog to the left of the dog to the left of the laptop.", EditType.ADD),
        ("Turn the material of the cup beside the laptop into polished steel.", EditType.MATERIAL),
        ('Change the writing on the second cup from the left to "SALE".', EditType.TEXT),
        ("Do something odd to the third chair from the right.", EditType.ACTION),
    ],
)
def test_facts_survive_in_every_wording(instruction, edit_type):
    for text in _say(instruction, edit_type):
        assert fact_set(without_writing(text)) == fact_set(without_writing(instruction)), text
        assert text[0].isupper()
        assert "Please in" not in text


def test_wordings_vary_and_differ_from_the_given_one():
    texts = _say("Remove the cup closest to the laptop.", EditType.REMOVE)
    assert len(set(texts)) >= 8
    assert "Remove the cup closest to the laptop." not in texts


@pytest.mark.parametrize(
    ("instruction", "whole"),
    [
        ("Show the blue bus to the left of the car pixelated.", "blue bus to the left of the car"),
        ("Change the table to the right of the couch to green.", "table"),
        ("Make the person who is second from the left appear as a pencil sketch.", "person who is second"),
    ],
)
def test_the_wording_of_the_target_is_never_split(instruction, whole):
    edit_type = EditType.COLOR if "green" in instruction else EditType.APPEARANCE
    for text in _say(instruction, edit_type):
        assert f"the {whole.split()[0]}" in text
        assert "the to" not in text
        assert "to be the" not in text


def test_people_are_who():
    for text in _say("Erase the person on the left of the car.", EditType.REMOVE):
        assert "person that" not in text


def test_the_same_question_gives_the_same_words():
    assert _say("Remove the dog.", EditType.REMOVE) == _say("Remove the dog.", EditType.REMOVE)


def test_a_clause_is_never_joined_twice():
    for text in _say(
        "Make the person who is to the left of the horse appear pixelated.", EditType.APPEARANCE
    ):
        assert "is that is" not in text
        assert "person that" not in text


@pytest.mark.parametrize(
    ("instruction", "edit_type", "kept"),
    [
        (
            "Replace the person with the umbrella with a red stool.",
            EditType.REPLACE,
            "the person with the umbrella",
        ),
        (
            "Add another dog to the left of the dog to the left of the laptop.",
            EditType.ADD,
            "another dog to the left of",
        ),
        ('Make the sign next to the car say "OPEN 24 H".', EditType.TEXT, '"OPEN 24 H"'),
    ],
)
def test_arguments_of_several_words_are_kept_whole(instruction, edit_type, kept):
    for text in _say(instruction, edit_type):
        assert kept in text
        assert not text.startswith(("In this picture", "Please make the sign next to the car to"))


def test_a_color_follows_at_once_only_where_the_wording_is_short():
    short = _say("Recolor the red top to blue.", EditType.COLOR)
    long = _say("Recolor the top worn by the person next to the dog to blue.", EditType.COLOR)
    assert any(text.endswith("top blue, please.") for text in short)
    assert not any("dog blue" in text for text in long)
