"""Replies are mended by rule where the answer is plain, and refused with a code where it is not."""

from __future__ import annotations

import math
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field

from tasks.roles.chat import BadReply, ChatReply
from tasks.roles.replies import chosen, fitted, json_object, share_of, written


def reply(text: str, finish: str = "stop") -> ChatReply:
    return ChatReply(text=text, finish=finish)


@pytest.mark.parametrize(
    "text",
    [
        '{"a": "left", "b": 2}',
        '```json\n{"a": "left", "b": 2}\n```',
        '```\n{"a": "left", "b": 2}```',
        'Here it is:\n{"a": "left", "b": 2}\nI hope it helps.',
        "{'a': 'left', 'b': 2}",
        '{"a": "left", "b": 2,}',
        "{“a”: “left”, “b”: 2}",
        '<think>Which side?\n{"a": "no"}</think>\n\n{"a": "left", "b": 2}',
        '{"a": "left" "b": 2}',
        '{a: "left", b: 2}',
        '[{"a": "left", "b": 2}]',
        '{"a": "left", "b": 2}\n{"a": "left", "b": 2}',
        '{"a": "left", "b": 2} where {b} counts the cups',
        'So it is the left one.</think>{"a": "left", "b": 2}',
    ],
)
def test_a_plain_answer_in_odd_dress_is_read(text):
    assert json_object(reply(text)) == {"a": "left", "b": 2}


@pytest.mark.parametrize("text", ["left", "[1, 2]", "{}", "}{", "null", '"a": 2'])
def test_without_an_object_it_is_not_json(text):
    with pytest.raises(BadReply) as caught:
        json_object(reply(text))
    assert caught.value.code == "not_json"


def test_two_objects_that_differ_are_no_answer():
    with pytest.raises(BadReply, match="several objects that differ") as caught:
        json_object(reply('{"a": 1}\nNo, rather: {"a": 2}'))
    assert caught.value.code == "not_json"


def test_quotes_and_line_breaks_inside_a_text_are_mended():
    found = json_object(reply('{"a": "the sign that says "OPEN" there",\n "b": "two\nlines"}'))
    assert found["a"] == 'the sign that says "OPEN" there'
    assert found["b"].split() == ["two", "lines"]


def test_indentation_is_no_overflow():
    assert written(reply("{\n" + " " * 60 + '"a": 1}')).startswith("{")


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    scene: str = Field(alias="1_Scene_Description", min_length=3)


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    score: float = Field(alias="RegionEditAccuracy", ge=1, le=5, allow_inf_nan=False)
    cot: Inner = Field(alias="CoT")


GOOD: dict[str, Any] = {"RegionEditAccuracy": 3, "CoT": {"1_Scene_Description": "a desk"}}


@pytest.mark.parametrize(
    "data",
    [
        GOOD,
        {"region_edit_accuracy": 3, "cot": {"1 Scene Description": "a desk"}},
        {"Region Edit Accuracy": "3.0", "CoT": {"1_scene_description": "a desk"}},
    ],
)
def test_a_key_counts_by_its_letters_and_digits(data):
    found = fitted(data, Outer)
    assert (found.score, found.cot.scene) == (3.0, "a desk")


@pytest.mark.parametrize(
    ("data", "code", "detail"),
    [
        ({"CoT": GOOD["CoT"]}, "missing_key", "RegionEditAccuracy"),
        ({**GOOD, "CoT": {}}, "missing_key", "CoT.1_Scene_Description"),
        ({**GOOD, "Confidence of Anna": 1}, "unknown_key", ""),
        ({**GOOD, "CoT": {**GOOD["CoT"], "extra": ""}}, "unknown_key", "CoT"),
        ({**GOOD, "RegionEditAccuracy": 5.5}, "out_of_range", "RegionEditAccuracy"),
        ({**GOOD, "RegionEditAccuracy": math.nan}, "out_of_range", "RegionEditAccuracy"),
        ({**GOOD, "RegionEditAccuracy": "high"}, "bad_value", "RegionEditAccuracy"),
        ({**GOOD, "CoT": {"1_Scene_Description": ""}}, "bad_value", "CoT.1_Scene_Description"),
        ({**GOOD, "CoT": "as above"}, "bad_value", "CoT"),
        ({**GOOD, "region edit accuracy": 2}, "unknown_key", ""),
    ],
)
def test_what_does_not_fit_says_which_key_and_repeats_no_word_of_the_reply(data, code, detail):
    with pytest.raises(BadReply) as caught:
        fitted(data, Outer)
    assert (caught.value.code, caught.value.detail) == (code, detail)


@pytest.mark.parametrize("text", ["1", " 1\n", '"1"', "<think>\n\n</think>\n\n1"])
def test_a_choice_is_read_even_when_the_limit_ended_it(text):
    assert chosen(reply(text), ("0", "1")) == "1"
    assert chosen(reply(text, "length"), ("0", "1")) == "1"


@pytest.mark.parametrize("text", ["1.", "Yes", "01", "1 or 0", "one", "2"])
def test_anything_else_is_no_choice(text):
    with pytest.raises(BadReply) as caught:
        chosen(reply(text), ("0", "1"))
    assert caught.value.code == "not_a_choice"


def test_probabilities_are_taken_over_the_allowed_words_alone():
    unconstrained = {"1": math.log(0.3), "0": math.log(0.1), "The": math.log(0.5)}
    assert share_of("1", ("0", "1"), unconstrained) == pytest.approx(0.75)


def test_spellings_of_one_word_add_up():
    spelled = {" 1": math.log(0.2), "1": math.log(0.2), "Ġ0": math.log(0.1)}
    assert share_of("1", ("0", "1"), spelled) == pytest.approx(0.8)


@pytest.mark.parametrize("logprobs", [{}, {"The": -0.1}])
def test_without_a_word_of_the_choice_there_is_no_probability(logprobs):
    assert share_of("1", ("0", "1"), logprobs) is None


def test_a_word_that_is_not_among_the_alternatives_has_no_share():
    assert share_of("1", ("0", "1"), {"0": -0.01, "2": -6.0}) == 0.0
