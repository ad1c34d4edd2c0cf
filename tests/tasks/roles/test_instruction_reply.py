"""Instructors' and rewriters' replies into words, or a reason why not."""

from __future__ import annotations

import json

import pytest

from tasks.records.errors import Reason, SampleError
from tasks.roles.chat import BadReply, ChatReply
from tasks.roles.instruction_reply import read_instruction, read_rewriting

# The object of the paper's Figure 19, without the two keys that were added to it.
GOOD = {
    "Editing_Type": "Color",
    "Editing_Instruction": "Change the red cup to blue.",
    "CoT": {
        "1_Scene_Description": "A desk with cups.",
        "2_Target_Localization": "The target is a red cup.",
        "3_Editing_Description": "The cup becomes blue.",
        "4_Post_Edit_Description": "The cup is now blue.",
    },
}


def read(raw: str):
    return read_instruction(ChatReply(text=raw))


def rewriting(raw: str) -> str:
    return read_rewriting(ChatReply(text=raw))


def refused(raw: str) -> str:
    with pytest.raises(BadReply) as caught:
        read(raw)
    return caught.value.code


def without(key):
    return {k: v for k, v in GOOD.items() if k != key}


def test_a_reply_in_the_papers_own_form_is_read():
    found = read(json.dumps(GOOD))
    assert found.edit_type == "Color"
    assert found.instruction == "Change the red cup to blue."
    assert found.reasoning.post_edit_description == "The cup is now blue."


def test_the_argument_is_what_the_reply_says():
    assert read(json.dumps({**GOOD, "Editing_Argument": " navy  blue "})).argument == "navy blue"
    assert read(json.dumps(GOOD)).argument == ""


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ([1, 2], "not_json"),
        (without("CoT"), "missing_key"),
        (without("Editing_Instruction"), "missing_key"),
        ({**GOOD, "CoT": {**GOOD["CoT"], "2_Target_Localization": "  "}}, "bad_value"),
        ({**GOOD, "Confidence": 0.9}, "unknown_key"),
        ({**GOOD, "CoT": "as above"}, "bad_value"),
        ({**GOOD, "Editing_Argument": None}, "bad_value"),
        ({**GOOD, "Editing_Instruction": " ".join(f"word{i}" for i in range(61))}, "too_long"),
    ],
)
def test_what_does_not_fit_the_schema_is_a_bad_reply(data, code):
    assert refused(json.dumps(data)) == code


def test_a_half_object_is_not_completed():
    assert refused(json.dumps(GOOD)[:120]) == "not_json"


def test_a_refusal_in_the_agreed_form_is_no_bad_reply_and_its_words_stay_out_of_the_row():
    empty = {
        **GOOD,
        "Editing_Instruction": "",
        "Editing_Argument": "",
        "Refusal": "the cups of Anna look alike",
    }
    for raw in (json.dumps(empty), '{"Refusal": "all cups look alike"}'):
        with pytest.raises(SampleError) as caught:
            read(raw)
        assert caught.value.reason is Reason.NO_UNIQUE_REFERENCE
        assert "cups" not in caught.value.detail


@pytest.mark.parametrize("empty", ["", " ", "None", "N/A", None])
def test_an_empty_refusal_is_none(empty):
    raw = json.dumps({**GOOD, "Refusal": empty or ""})
    assert read(raw).instruction == "Change the red cup to blue."


def test_a_refusal_beside_an_instruction_is_neither():
    assert refused(json.dumps({**GOOD, "Refusal": "all cups look alike"})) == "bad_value"


def test_line_breaks_inside_a_part_become_spaces():
    broken = {**GOOD, "CoT": {**GOOD["CoT"], "1_Scene_Description": "A desk\nwith  cups."}}
    assert read(json.dumps(broken)).reasoning.scene_description == "A desk with cups."


@pytest.mark.parametrize(
    "raw",
    [
        "Paint the cup blue.",
        '"Paint the cup blue."',
        "“Paint the cup blue.”",
        "Instruction: Paint the cup blue.",
        "Revised instruction: Paint the cup blue.",
        " Paint the cup blue.\n",
        "<think>\n\n</think>\n\nPaint the cup blue.",
    ],
)
def test_a_rewriting_loses_quotes_labels_and_thoughts(raw):
    assert rewriting(raw) == "Paint the cup blue."


@pytest.mark.parametrize(
    "text",
    [
        'Recolor the sign that says "OPEN"',
        '"OPEN" on the left sign shall read "CLOSED"',
        "'OPEN' on the left sign shall read 'CLOSED'",
    ],
)
def test_quotes_of_writing_in_the_picture_stay(text):
    assert rewriting(text) == text
    assert rewriting(f"“{text}”") == text


def test_an_apostrophe_is_no_quote():
    assert rewriting("'Turn the man's shirt blue.'") == "Turn the man's shirt blue."


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        ("Paint the cup blue.\nOr make the cup blue.", "not_one_line"),
        ('{"instruction": "Paint the cup blue."}', "not_one_line"),
        ('""', "not_one_line"),
        (" ".join(f"word{i}" for i in range(61)), "too_long"),
        ("Sorry, but I can't rewrite that.", "apology"),
    ],
)
def test_what_is_no_single_sentence_is_a_bad_reply(raw, code):
    with pytest.raises(BadReply) as caught:
        rewriting(raw)
    assert caught.value.code == code
