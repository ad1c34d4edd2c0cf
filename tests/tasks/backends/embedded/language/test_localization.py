"""The localisation: every position is given, or the text is withheld."""

from __future__ import annotations

import re

import pytest

from prompts import load_data
from tasks.backends.embedded.language.elimination import ruled_out
from tasks.backends.embedded.language.localization import target_localization
from tasks.backends.embedded.language.realization import Writer
from tasks.backends.embedded.language.reference import Reference
from tasks.backends.embedded.language.scene_facts import FactLimits, gather_facts
from tests.tasks.stages.instruction.example_scenes import cups, garments, scene, street, target, thing

LIMITS = FactLimits(weak=0.2, named=0.6, color_share=0.7)


def _localize(whole, index, seed=0):
    facts = gather_facts(target(whole, index), LIMITS)
    writer = Writer(patterns=load_data("patterns_instructor"), seed=seed, key="k")
    return target_localization(facts, Reference(kind="color"), "the one meant", LIMITS, writer)


def test_category_zone_order_neighbor_and_wording_all_stand_in_it():
    text = _localize(cups(), 1)
    for words in ("a red cup", "left half of the picture", "second", "laptop", "the one meant"):
        assert words in text


def test_clothes_are_named_only_where_one_color_covers_most_of_a_person():
    assert "mostly black clothes" in _localize(street(), 1)
    assert "clothes" not in _localize(street(), 2)


def test_without_an_order_from_left_to_right_it_is_told_from_top_to_bottom():
    stacked = scene([thing("clock", (400, 40, 500, 140)), thing("couch", (300, 500, 610, 780), "gray")])
    texts = {_localize(stacked, 0, seed) for seed in range(10)}
    assert all("before the couch" in text and "left to right" not in text for text in texts)
    # Which is not said a second time.
    assert not any("higher up in the picture" in text for text in texts)


def test_a_single_thing_without_an_order_is_said_to_be_the_only_one():
    around = scene([thing("cup", (450, 380, 550, 480), "red"), thing("bed", (200, 150, 800, 700))])
    texts = [_localize(around, 0, seed) for seed in range(10)]
    assert all("only cup" in text or "No other cup" in text for text in texts)
    assert all("close to the bed" in text for text in texts)


def test_nothing_is_called_the_only_one_of_a_class_that_is_often_overlooked():
    around = scene([thing("book", (450, 380, 550, 480), "red"), thing("bed", (200, 150, 800, 700))])
    assert "only book" not in _localize(around, 0)


def test_a_neighbor_that_its_noun_does_not_single_out_is_told_of_as_some_thing():
    around = scene(
        [
            thing("laptop", (450, 380, 560, 480)),
            thing("book", (440, 470, 600, 520)),
            thing("book", (430, 300, 560, 390)),
        ]
    )
    assert "lose to it is a book" in _localize(around, 0) or "It is close to a book" in _localize(around, 0)


def test_it_is_withheld_when_nothing_around_gives_a_position():
    alone = scene([thing("book", (450, 380, 550, 480), "red"), thing("bed", (700, 50, 1000, 150), score=0.3)])
    assert _localize(alone, 0) is None


def test_a_class_taken_together_serves_as_a_mark():
    whole = scene(
        [
            thing("book", (100, 600, 200, 650)),
            thing("book", (220, 600, 330, 650)),
            thing("clock", (600, 590, 700, 660)),
        ]
    )
    text = _localize(whole, 2)
    assert "after the books" in text


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        (
            Reference(kind="extreme", side="left", rank=1),
            r"o other cup is further to the left|very other cup",
        ),
        (Reference(kind="ordinal", side="left", rank=2), r"one other cup"),
        (Reference(kind="color", color="red"), r"o other cup is red|very other cup has another color"),
        (Reference(kind="color_half", side="left", color="red"), r"o other cup|very other cup"),
    ],
)
def test_what_rules_the_others_out_is_said(reference, said):
    facts = gather_facts(target(cups(), 1), LIMITS)
    for seed in range(6):
        writer = Writer(patterns=load_data("patterns_instructor"), seed=seed, key="k")
        assert re.search(said, ruled_out(facts, reference, writer))


def test_of_a_single_other_thing_nobody_says_that_there_is_no_third():
    pair = scene([thing("vase", (100, 200, 300, 600), "blue"), thing("vase", (600, 300, 720, 500), "white")])
    facts = gather_facts(target(pair, 0), LIMITS)
    said = set()
    for seed in range(8):
        writer = Writer(patterns=load_data("patterns_instructor"), seed=seed, key="k")
        said.add(ruled_out(facts, Reference(kind="largest", of_two=True), writer))
    assert said == {"Another vase looks smaller.", "No other vase is as large."}


def test_nothing_is_ruled_out_where_there_is_nothing_else_of_the_kind():
    facts = gather_facts(target(cups(), 3), LIMITS)
    writer = Writer(patterns=load_data("patterns_instructor"), seed=0, key="k")
    assert ruled_out(facts, Reference(kind="extreme", side="right", rank=1), writer) == ""


def test_a_garment_is_told_with_its_wearer_and_what_else_is_worn():
    text = _localize(garments(), 3)
    for words in ("a red top", "one of the people", "blue trousers", "left half of the picture", "bench"):
        assert words in text
    assert " it " not in text.replace("with it.", "")


def test_no_relation_to_its_own_kind_is_said_twice():
    pair = scene([thing("chair", (100, 400, 180, 600), "red"), thing("chair", (500, 400, 580, 600), "white")])
    facts = gather_facts(target(pair, 0), LIMITS)
    for seed in range(8):
        writer = Writer(patterns=load_data("patterns_instructor"), seed=seed, key="k")
        reference = Reference(kind="extreme", side="left", rank=1)
        text = target_localization(facts, reference, "the leftmost chair", LIMITS, writer)
        assert text.count("nother chair") <= 1
        assert "other chair" in text
