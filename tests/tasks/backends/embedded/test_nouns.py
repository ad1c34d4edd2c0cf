"""How labels are said: nouns, plurals, articles, likeness."""

from __future__ import annotations

import pytest

from tasks.backends.embedded.nouns import article, known_labels, may_be, noun, regular_plural
from tasks.stages.grounding.parts import is_part_of
from tasks.stages.grounding.settings import PartSettings


@pytest.mark.parametrize(
    ("label", "one", "many"),
    [
        ("person", "person", "people"),
        ("knife", "knife", "knives"),
        ("couch", "couch", "couches"),
        ("sheep", "sheep", "sheep"),
        ("tv", "screen", "screens"),
        ("wine glass", "glass", "glasses"),
        ("skis", "skis", "skis"),
        ("dress", "dress", "dresses"),
        ("trousers", "trousers", "trousers"),
        ("t-shirt", "T-shirt", "T-shirts"),
        ("lamp post", "lamp post", "lamp posts"),
        ("berry", "berry", "berries"),
    ],
)
def test_labels_are_said_as_people_say_them(label, one, many):
    assert (noun(label).one, noun(label).many) == (one, many)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("umbrella", "an"),
        ("chair", "a"),
        ("orange chair", "an"),
        ("unicycle", "a"),
        ("hourglass", "an"),
        ("", "a"),
    ],
)
def test_articles_follow_the_sound(word, expected):
    assert article(word) == expected


def test_an_unknown_label_gets_a_regular_plural_and_the_kind_thing():
    assert noun("lantern").many == "lanterns"
    assert noun("lantern").kind == "thing"
    assert regular_plural("box") == "boxes"


def test_the_list_holds_all_eighty_coco_classes_and_those_of_the_other_networks():
    things = [label for label in known_labels() if noun(label).kind != "garment"]
    assert len(things) == 82  # COCO, drinking glasses apart from cups, and shoes


def test_garments_are_parts_of_a_person_and_those_with_a_plural_name_take_no_article():
    garments = [label for label in known_labels() if noun(label).kind == "garment"]
    assert garments
    assert all(is_part_of(label, "person", PartSettings().tables) for label in garments)
    assert noun("trousers").with_article == "trousers"
    assert noun("top").with_article == "a top"


def test_a_laptop_may_be_taken_for_its_keyboard_but_not_the_other_way_round():
    assert may_be("keyboard", "laptop")
    assert not may_be("laptop", "keyboard")


def test_likeness_never_holds_across_unlike_things():
    assert may_be("car", "truck")
    assert may_be("truck", "car")
    assert may_be("cup", "cup")
    assert not may_be("cup", "person")
