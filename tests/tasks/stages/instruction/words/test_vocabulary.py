"""Nouns, plurals and colors, and how they relate."""

from __future__ import annotations

import pytest

from tasks.stages.instruction.words.vocabulary import (
    Relation,
    are_different,
    color_names,
    plural,
    relation,
    same_color,
    senses,
    singular,
)


@pytest.mark.parametrize(
    ("noun", "label", "expected"),
    [
        ("car", "car", Relation.SAME),
        ("automobile", "car", Relation.SAME),
        ("vehicle", "car", Relation.WIDER),
        ("suv", "car", Relation.NARROWER),
        ("person", "woman", Relation.WIDER),
        ("woman", "person", Relation.NARROWER),
        ("mother", "woman", Relation.NARROWER),
        ("goalkeeper", "woman", Relation.ALIKE),
        ("man", "woman", Relation.OTHER),
        ("boy", "girl", Relation.OTHER),
        ("girl", "woman", Relation.NARROWER),
        ("dog", "woman", Relation.OTHER),
        ("cat", "dog", Relation.OTHER),
        ("loaf", "bread", Relation.NARROWER),
        ("object", "dog", Relation.WIDER),
        ("roof", "building", Relation.UNKNOWN),
        ("soup", "bowl", Relation.UNKNOWN),
        ("man", "statue", Relation.UNKNOWN),
        ("samovar", "dog", Relation.UNKNOWN),
        ("dog", "samovar", Relation.UNKNOWN),
        ("board", "surfboard", Relation.ALIKE),
        ("table", "dining table", Relation.SAME),
    ],
)
def test_a_noun_relates_to_a_label(noun: str, label: str, expected: Relation) -> None:
    assert relation(noun, label) is expected


@pytest.mark.parametrize(
    ("one", "many"),
    [("woman", "women"), ("person", "people"), ("loaf", "loaves"), ("bus", "buses"), ("wine glass", "wine glasses"),
     ("berry", "berries"), ("toy", "toys"), ("sheep", "sheep"), ("fisherman", "fishermen"), ("human", "humans")],
)  # fmt: skip
def test_plurals(one: str, many: str) -> None:
    assert plural(one) == many


def test_a_plural_is_found_again_and_labels_are_known_nouns() -> None:
    assert singular("loaves") == "loaf"
    assert singular("samovars") is None
    assert singular("samovars", frozenset({"samovar"})) == "samovar"


def test_every_listed_noun_is_found_from_its_plural() -> None:
    assert [noun for noun in senses() if singular(plural(noun)) is None] == []


def test_color_words_stand_for_measured_names() -> None:
    assert "gray" in color_names("silver-gray")
    assert "blue" in color_names("bluish")
    assert color_names("table") == frozenset()
    assert not color_names("red") & color_names("blue")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("grey", "gray", True),
        ("navy", "blue", True),
        ("crimson", "red", True),
        ("red", "brown", False),
        ("green", "red", False),
        ("turquoise", "blue", True),
    ],
)
def test_two_color_words_may_name_one_color(one: str, other: str, same: bool) -> None:
    assert same_color(one, other) is same


def test_new_things_differ_by_kind() -> None:
    assert are_different("hat", "dog")
    assert are_different("cat", "dog")
    assert not are_different("mug", "cup")
    assert not are_different("samovar", "dog")
