"""Fact words in texts."""

from __future__ import annotations

import pytest

from tasks.backends.embedded.language.text_facts import fact_set, mentions


def test_an_instruction_gives_its_noun_color_ordinal_and_side():
    facts = fact_set("Change the color of the second red chair from the left to blue.")
    assert facts == {
        ("noun", "chair"),
        ("color", "red"),
        ("color", "blue"),
        ("ordinal", "2"),
        ("side", "count_left"),
    }


def test_leftmost_and_first_from_the_left_are_one_fact():
    assert fact_set("the leftmost cup") == fact_set("the first cup from the left")
    assert fact_set("the cup on the far right") == fact_set("the cup furthest to the right")


def test_left_of_and_right_of_differ():
    assert fact_set("the cup to the left of the laptop") != fact_set("the cup to the right of the laptop")
    assert fact_set("the cup to the left of the laptop") == fact_set("the cup on the left of the laptop")


def test_plurals_and_synonyms_name_the_class():
    assert fact_set("two people and three sofas") == {
        ("number", "2"),
        ("noun", "person"),
        ("number", "3"),
        ("noun", "couch"),
    }


def test_the_longest_phrase_wins():
    assert ("noun", "mouse") in fact_set("the computer mouse")
    assert ("side", "camera") in fact_set("the person closest to the camera")
    assert ("side", "nearest") not in fact_set("the person closest to the camera")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Turn the chair orange", ("color", "orange")),
        ("Remove the orange chair", ("color", "orange")),
        ("Remove the orange to the left of the cup", ("noun", "orange")),
        ("Change the cup to orange", ("color", "orange")),
    ],
)
def test_orange_is_told_from_the_fruit(text, expected):
    facts = fact_set(text, ["orange", "cup", "chair"])
    assert {fact for fact in facts if fact[1] == "orange"} == {expected}


def test_labels_that_the_list_does_not_know_are_found_when_given():
    assert fact_set("the paper lantern") == set()
    assert fact_set("two paper lanterns", ["paper lantern"]) == {("number", "2"), ("noun", "paper lantern")}


def test_only_whole_words_count():
    assert fact_set("the carpet and the redness") == set()
    assert mentions("the unmasked boxer", ["mask", "box"]) == []
    assert mentions("inside the red box", ["mask", "box"]) == ["box"]
