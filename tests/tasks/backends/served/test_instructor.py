"""Instructors' replies into instruction, argument and reasoning, or a reason why not."""

from __future__ import annotations

import json

import pytest

from tasks.backends.served.instructor import ChatInstructor, InstructorOptions
from tasks.records.errors import Reason, SampleError
from tasks.records.records import EditType
from tasks.roles.chat import BadReply, ChatPicture, ChatReply
from tests.tasks.backends.served.asked import SERVED, questions

BACKEND = ChatInstructor(InstructorOptions(served=SERVED))

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
    return BACKEND.read(ChatReply(text=raw), BACKEND.request(questions()["instructor"]))


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


def test_an_empty_refusal_is_none():
    assert read(json.dumps({**GOOD, "Refusal": ""})).instruction == "Change the red cup to blue."


def test_line_breaks_inside_a_part_become_spaces():
    broken = {**GOOD, "CoT": {**GOOD["CoT"], "1_Scene_Description": "A desk\nwith  cups."}}
    assert read(json.dumps(broken)).reasoning.scene_description == "A desk with cups."


def test_the_schema_takes_the_asked_type_only_and_requires_every_key():
    schema = BACKEND.request(questions(edit_type=EditType.ADD)["instructor"]).schema
    assert schema["properties"]["Editing_Type"]["enum"] == ["Add"]
    assert set(schema["required"]) == set(schema["properties"])
    assert all("maxLength" in part for part in schema["properties"]["CoT"]["properties"].values())


@pytest.mark.parametrize("edit_type", EditType)
def test_every_type_is_explained(edit_type):
    asked = BACKEND.request(questions(edit_type=edit_type)["instructor"]).parts[2]
    assert asked.startswith(f"The edit to ask for: {edit_type.value}. ")


def test_the_pipelines_argument_is_sent_and_an_open_one_is_left_to_the_model():
    given = BACKEND.request(questions(argument="blue")["instructor"]).parts[2]
    open_ = BACKEND.request(questions(argument="")["instructor"]).parts[2]
    assert '"blue"' in given
    assert "Choose yourself" in open_


def test_earlier_refusals_are_sent_along_and_only_the_boxed_picture_is_shown():
    parts = BACKEND.request(questions(refusals=("it spoke of a box",))["instructor"]).parts
    assert parts[3].splitlines()[1] == "- it spoke of a box"
    assert [isinstance(part, ChatPicture) for part in parts] == [False, True, False, False]
    assert parts[1].recipe["picture"]["marks"]["boxes"] == [[100, 400, 200, 520]]
