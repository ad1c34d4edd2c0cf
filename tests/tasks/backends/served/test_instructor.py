"""What an instructor is asked, and the argument that its answer carries."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tasks.backends.served.instructor import ChatInstructor, InstructorOptions
from tasks.records.edit_types import EDIT_TYPES, NO_ARGUMENT
from tasks.records.records import EditType
from tasks.roles.chat import ChatPicture, ChatReply
from tests.tasks.backends.served.asked import SERVED, questions
from tests.tasks.stages.instruction.example_scenes import garments, target

BACKEND = ChatInstructor(InstructorOptions(served=SERVED))

RAW = json.dumps(
    {
        "Editing_Type": "Color",
        "Editing_Argument": "a blue one",
        "Editing_Instruction": "Change the red cup to blue.",
        "CoT": {
            "1_Scene_Description": "A desk with cups.",
            "2_Target_Localization": "The target is a red cup.",
            "3_Editing_Description": "The cup becomes blue.",
            "4_Post_Edit_Description": "The cup is now blue.",
        },
        "Refusal": "",
    }
)


def test_an_argument_that_was_asked_for_stands_however_the_reply_spells_it():
    arguments = {}
    for asked in ("blue", ""):
        request = BACKEND.request(questions(argument=asked)["instructor"])
        arguments[asked] = BACKEND.read(ChatReply(text=RAW), request).argument
    assert arguments == {"blue": "blue", "": "a blue one"}


def test_the_schema_takes_the_asked_type_only_and_requires_every_key():
    schema = BACKEND.request(questions(edit_type=EditType.ADD)["instructor"]).schema
    assert schema["properties"]["Editing_Type"]["enum"] == ["Add"]
    assert set(schema["required"]) == set(schema["properties"])
    assert all("maxLength" in part for part in schema["properties"]["CoT"]["properties"].values())


@pytest.mark.parametrize("edit_type", EditType)
def test_every_type_is_explained(edit_type):
    asked = BACKEND.request(questions(edit_type=edit_type)["instructor"]).parts[2]
    assert asked.startswith(f"The edit to ask for: {edit_type.value} (")


def test_the_pipelines_argument_is_sent_and_an_open_one_is_left_to_the_model():
    given = BACKEND.request(questions(argument="blue")["instructor"]).parts[2]
    open_ = BACKEND.request(questions(argument="")["instructor"]).parts[2]
    assert '"blue"' in given
    assert "your choice, a color" in open_


@pytest.mark.parametrize("row", EDIT_TYPES, ids=lambda row: row.edit_type.value)
@pytest.mark.parametrize("argument", ["", NO_ARGUMENT])
def test_the_model_chooses_an_argument_only_where_the_type_has_one(row, argument):
    asked = BACKEND.request(questions(edit_type=row.edit_type, argument=argument)["instructor"]).parts[2]
    assert ("your choice" in asked) is bool(row.argument)
    assert f'"{NO_ARGUMENT}"' not in asked


def test_earlier_refusals_are_sent_along_and_only_the_boxed_picture_is_shown():
    parts = BACKEND.request(questions(refusals=("it spoke of a box",))["instructor"]).parts
    assert parts[3].splitlines()[1] == "- it spoke of a box"
    assert [isinstance(part, ChatPicture) for part in parts] == [False, True, False, False]
    assert parts[1].recipe["picture"]["marks"]["boxes"] == [[100, 400, 200, 520]]


def test_of_a_part_it_is_said_what_it_belongs_to():
    question = questions(argument="blue")["instructor"]
    asked = BACKEND.request(question).parts[2]
    worn = BACKEND.request(replace(question, target=target(garments(), 4))).parts[2]
    assert worn.startswith(asked)
    assert "the trousers of the person" in worn
    assert "trousers" not in asked
