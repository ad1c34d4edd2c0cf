"""Texts as tokens: quotations, names and numbers on things are masked."""

from __future__ import annotations

import pytest

from tasks.stages.instruction.words.tokens import QUOTE, contrasted, mute, quotes, tokenize


def spoken(text: str) -> str:
    return " ".join(token.text for token in tokenize(text))


@pytest.mark.parametrize(
    "text",
    [
        "a sign that says 'FIRST RIGHT FOR RED LION'",
        'a sign with "first right for red lion"',
        "a sign reading First Right For Red Lion",
        "a sign that says ‘first right’",
        "the sign “RED LION” there",
        "the pub RED LION at the corner",
        "the pub Red Lion",
    ],
)
def test_quoted_writing_and_names_state_nothing(text: str) -> None:
    words = {token.text for token in tokenize(text)}
    assert words & {"first", "right", "red"} == set()
    assert QUOTE in words


def test_an_apostrophe_opens_no_quotation() -> None:
    assert (
        spoken("the woman's red dress and the dogs' left ears")
        == "the woman 's red dress and the dogs 's left ears"
    )


def test_numbers_on_things_are_mute_and_counts_are_not() -> None:
    assert "73" not in spoken("the cable car numbered 73")
    assert "3" in spoken("the 3 cups")


def test_the_first_word_of_a_sentence_is_not_a_name() -> None:
    assert spoken("It is red. Red cups stand there.").count("red") == 2


def test_a_text_in_title_case_holds_no_names() -> None:
    assert "red" in spoken("Change The Red Car To Blue")


def test_muting_keeps_the_length() -> None:
    text = "The sign 'RED LION' says SORRY to No. 12 of Baker Street"
    assert len(mute(text)) == len(text)


def test_quotations_are_found_in_order() -> None:
    assert quotes("from 'CLOSED' to “OPEN”, isn't it?") == ("CLOSED", "OPEN")


def test_clauses_and_sentences() -> None:
    tokens = tokenize("A cup, a plate. A spoon")
    assert [token.sentence for token in tokens] == [0, 0, 0, 0, 0, 0, 1, 1]
    assert tokens[0].clause != tokens[3].clause


def test_words_after_unlike_are_contrasted() -> None:
    tokens = tokenize("It is blue, unlike the red one. The left cup")
    by_text = {token.text: index for index, token in enumerate(tokens)}
    assert contrasted(tokens, by_text["red"])
    assert not contrasted(tokens, by_text["blue"])
    assert not contrasted(tokens, by_text["left"])
