"""Raw replies into parts, or a reason."""

from __future__ import annotations

import json

import pytest

from tasks.records.errors import Reason, SampleError
from tasks.stages.instruction.parsing import parse_reply, parse_rewriting

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


def _without(key):
    return {k: v for k, v in GOOD.items() if k != key}


@pytest.mark.parametrize(
    "raw",
    [
        json.dumps(GOOD),
        "```json\n" + json.dumps(GOOD, indent=1) + "\n```",
        "Here is the answer:\n" + json.dumps(GOOD) + "\nI hope it helps.",
    ],
)
def test_a_reply_is_read_alone_in_a_fence_or_amid_prose(raw):
    reply = parse_reply(raw)
    assert reply.edit_type == "Color"
    assert reply.instruction == "Change the red cup to blue."
    assert reply.reasoning.post_edit_description == "The cup is now blue."


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "I'm sorry, I can't help.",
        "[1, 2]",
        '{"Editing_Type": "Color",',
        json.dumps(_without("CoT")),
        json.dumps(_without("Editing_Instruction")),
        json.dumps({**GOOD, "CoT": {**GOOD["CoT"], "2_Target_Localization": "  "}}),
        json.dumps({**GOOD, "Confidence": 0.9}),
        json.dumps({**GOOD, "Editing_Instruction": "blue " * 80}),
        json.dumps({**GOOD, "CoT": "as above"}),
    ],
)
def test_what_does_not_fit_the_schema_is_a_bad_reply(raw):
    with pytest.raises(SampleError) as caught:
        parse_reply(raw)
    assert caught.value.reason is Reason.BAD_REPLY


def test_a_refusal_is_no_bad_reply():
    with pytest.raises(SampleError) as caught:
        parse_reply('{"Refusal": "all cups look alike"}')
    assert caught.value.reason is Reason.NO_UNIQUE_REFERENCE
    assert caught.value.detail == "all cups look alike"


def test_line_breaks_inside_a_part_become_spaces():
    broken = {**GOOD, "CoT": {**GOOD["CoT"], "1_Scene_Description": "A desk\nwith  cups."}}
    assert parse_reply(json.dumps(broken)).reasoning.scene_description == "A desk with cups."


@pytest.mark.parametrize(
    "raw",
    ['"Paint the cup blue."', "Instruction: Paint the cup blue.", " Paint the cup blue.\n"],
)
def test_a_rewriting_loses_quotes_and_labels(raw):
    assert parse_rewriting(raw) == "Paint the cup blue."


@pytest.mark.parametrize("raw", ["", '""', "One.\nTwo.", "blue " * 70])
def test_an_empty_or_manifold_rewriting_is_a_bad_reply(raw):
    with pytest.raises(SampleError) as caught:
        parse_rewriting(raw)
    assert caught.value.reason is Reason.BAD_REPLY
