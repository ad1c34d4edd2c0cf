"""Noun phrases, as far as the words alone tell."""

from __future__ import annotations

import pytest

from tasks.stages.instruction.words.phrases import NounPhrase, noun_phrases
from tasks.stages.instruction.words.tokens import tokenize


def phrases(text: str, *labels: str) -> tuple[NounPhrase, ...]:
    known = frozenset(labels)
    return noun_phrases(tokenize(text, known), known)


def test_everything_before_the_noun_is_read() -> None:
    (phrase,) = phrases("the second tall red wooden chair")
    assert phrase.noun == "chair"
    assert phrase.determiner == "the"
    assert phrase.ordinals == (2,)
    assert phrase.sizes == ("tall",)
    assert [color.word for color in phrase.colors] == ["red"]
    assert phrase.modifiers == ("wooden",)


@pytest.mark.parametrize(
    ("text", "ordinals"),
    [
        ("the first and third person", (1, 3)),
        ("the second, third and fifth cups", (2, 3, 5)),
        ("the last cup", (-1,)),
        ("second from the left", (2,)),
    ],
)
def test_ordinals(text: str, ordinals: tuple[int, ...]) -> None:
    assert phrases(text)[0].ordinals == ordinals


def test_a_possessor_is_a_phrase_of_its_own() -> None:
    owner, shirt = phrases("the most likely mother's T-shirt")
    assert shirt.noun == "t-shirt"
    assert shirt.owner == owner
    assert owner.noun == "mother"


def test_a_phrase_ends_before_verbs_participles_and_what_it_becomes() -> None:
    assert phrases("the woman standing there")[0].noun == "woman"
    assert phrases("make the chair red")[0].noun == "chair"
    assert phrases("the cup sits on it")[0].noun == "cup"
    assert phrases("three monitors line a desk")[0].noun == "monitor"


def test_an_unknown_word_after_a_noun_may_be_the_head() -> None:
    assert not phrases("the dog kennel")[0].certain
    assert phrases("the dog")[0].certain


def test_left_is_a_place_and_no_adjective_before_side() -> None:
    assert phrases("the left chair")[0].side == "left"
    assert phrases("the leftmost of them")[0].side == "leftmost"
    assert all(not phrase.side for phrase in phrases("on the left side of the picture"))


def test_a_color_that_is_a_label_is_a_fruit_before_the_phrase_ends() -> None:
    assert phrases("the orange", "orange")[0].noun == "orange"
    assert phrases("the orange cup", "orange")[0].noun == "cup"


def test_two_colors_and_shades() -> None:
    (phrase,) = phrases("a dark blue and white bus")
    assert [color.text for color in phrase.colors] == ["dark blue", "white"]
    assert "black" in phrase.colors[0].names
