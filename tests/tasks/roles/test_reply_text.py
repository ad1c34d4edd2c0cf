"""Think blocks, loops and the places of choices in a reply's text."""

from __future__ import annotations

import pytest

from tasks.roles.reply_text import (
    RUNAWAY,
    choice_places,
    endless,
    is_unfinished_thought,
    runs_away,
    without_thoughts,
)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<think>Left or right?</think>1", "1"),
        ("\n<THINK>\n</THINK>\n\n1", "\n\n1"),
        ("<thinking>Two </think> tags</thinking>0", " tags</thinking>0"),
        ("Left or right? Left.</think>\n1", "\n1"),
        ("1", "1"),
        ("<think>no end", "<think>no end"),
        ("The sign says <think>.", "The sign says <think>."),
    ],
)
def test_a_think_block_before_the_answer_is_no_part_of_it(text, answer):
    assert without_thoughts(text) == answer


def test_a_block_that_is_never_closed_is_no_answer():
    assert is_unfinished_thought(" <reasoning>The cup")
    assert not is_unfinished_thought("The cup <think>")


@pytest.mark.parametrize(
    "text",
    [
        "!" * 21,
        '{"a": "' + "\\n" * 30,
        "{" + " " * 201,
        "{" + "\n\t" * 120,
        "no no no no " * 6,
        "the left cup " * 8,
        "The first cup from the left, which stands beside the green plant, is red. " * 4,
        "无法回答" * 22,
    ],
)
def test_what_goes_on_without_end_is_found(text):
    assert endless(text)


@pytest.mark.parametrize(
    "text",
    [
        "The sign says 'STOP!!!' three times: STOP!!! STOP!!! STOP!!!",
        "{\n" + " " * 60 + '"a": 1}',
        "----------",
        "The cup is red. The plate is red. The bowl is red. The lid is red. The spoon is red.",
        '{"1_Scene_Description": "A red cup.", "2_Target_Localization": "A red cup.", "3": "A red cup."}',
        "It is 1,000,000,000,000 years old.",
    ],
)
def test_writing_that_repeats_itself_is_no_loop(text):
    assert endless(text) == ""


def test_an_end_of_blanks_or_of_one_character_runs_away():
    assert runs_away('{"a": 1' + " " * RUNAWAY)
    assert runs_away('{"a": 1' + "\n " * RUNAWAY)
    assert runs_away("!" * RUNAWAY)
    assert not runs_away("! " * RUNAWAY)
    assert not runs_away(" " * (RUNAWAY - 1))


ONE, ZERO = {"1": -0.1, "0": -2.3}, {"0": -0.2, "1": -1.7}


@pytest.mark.parametrize(
    ("tokens", "places"),
    [
        ([("1", ONE)], (ONE,)),
        ([("\n", {"\n": 0.0}), (" 1", ONE)], (ONE,)),
        ([("1", ONE), ("\n", {"\n": 0.0})], (ONE,)),
        ([("<think>", {}), ("1", ZERO), ("</think>", {}), ("1", ONE)], (ONE,)),
        ([('{"', {}), ("hard", {}), ('":', {}), (" 0", ZERO), (', "', {}), ("1}", ONE)], (ZERO, ONE)),
        ([("Yes", {"Yes": -0.1, "1": -3.0})], ()),
        ([("1", {})], ()),
    ],
)
def test_each_place_of_a_choice_has_its_alternatives(tokens, places):
    assert choice_places(tokens, ("0", "1")) == places


def test_without_choices_there_are_no_places():
    assert choice_places([("1", ONE)], ()) == ()
