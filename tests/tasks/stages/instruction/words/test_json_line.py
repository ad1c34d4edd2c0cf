"""Lines of JSON: what is read, what is optional, and what is invalid."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from tasks.imaging.geometry import to_rle
from tasks.records.errors import ConfigurationError
from tasks.records.records import Box, EditType
from tasks.stages.instruction.words.gates import gates_named
from tasks.stages.instruction.words.json_line import BAD_LINE, check_line, draft_of_reply
from tasks.stages.instruction.words.scene import Thing, WordScene
from tests.tasks.stages.instruction.words.corpus import line_of, samples


def right_line(**changes: Any) -> dict[str, Any]:
    return line_of(next(each for each in samples("figures") if each["id"] == "figure-19-red-car")) | changes


def verdict(**changes: Any) -> dict[str, Any]:
    return check_line(json.dumps(right_line(**changes)))


def test_a_right_line_is_not_refused() -> None:
    assert verdict()["refused"] is None
    assert verdict()["id"] == "figure-19-red-car"


@pytest.mark.parametrize("key", ["argument", "rewritten", "referred"])
def test_optional_keys_may_be_absent_or_null(key: str) -> None:
    line = right_line(**{key: None})
    assert check_line(json.dumps(line))["refused"] is None
    del line[key]
    assert check_line(json.dumps(line))["refused"] is None


def test_the_reply_may_be_text_with_a_fence_and_prose() -> None:
    reply = json.dumps(right_line()["reply"])
    for text in (f"```json\n{reply}\n```", f"Here is the JSON:\n{reply}\nDone."):
        assert verdict(reply=text)["refused"] is None


def test_an_argument_in_the_reply_is_not_a_fault_of_its_form() -> None:
    reply = right_line()["reply"]
    assert verdict(reply=reply | {"Editing_Argument": "blue"})["refused"] is None
    assert verdict(reply=json.dumps(reply | {"Editing_Argument": "blue"}))["refused"] is None


def test_a_refusal_in_place_of_json_is_the_models_refusal_and_other_prose_a_bad_reply() -> None:
    assert verdict(reply="I'm sorry, I can't help with that.")["refused"] == "refused_by_model"
    assert verdict(reply="The red car should become blue.")["refused"] == "bad_reply"
    assert verdict(reply={"Editing_Type": "Color"})["refused"] == "bad_reply"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "not JSON"),
        ("[1, 2]", "line"),
        ('"text"', "line"),
        ("�", "not JSON"),
        (json.dumps(right_line(target=[7])), "target 7"),
        (json.dumps(right_line(target=[])), "target"),
        (json.dumps(right_line(edit_type="Paint")), "edit_type"),
        (json.dumps(right_line(size=[0, 10])), "size"),
        (json.dumps(right_line(objects=[{"label": "car", "box": [5, 5, 5, 9]}])), "no area"),
        (json.dumps(right_line(objects=[{"box": [0, 0, 5, 9]}])), "label"),
        ("[" * 100_000, "not JSON"),
        ('{"id": 1' + "0" * 5000 + "}", "not JSON"),
        (json.dumps(right_line(objects=[{"label": "car", "box": [0, 0, 1e308, 9]}])), "box"),
        (json.dumps(right_line(objects=[{"label": "car", "box": [0, 0, float("inf"), 9]}])), "box"),
        (json.dumps(right_line(objects=[{"label": "c" * 10_000, "box": [0, 0, 5, 9]}])), "label"),
        (
            json.dumps(
                right_line(
                    objects=[{"label": "car", "box": [0, 0, 5, 9], "mask": {"size": [9, 9], "counts": "~~~"}}]
                )
            ),
            "mask.counts",
        ),
        (json.dumps(right_line(rewritten="a car " * 10_000)), "rewritten"),
        (json.dumps(right_line(objects=[{"label": "cup", "box": [0, 0, 9, 9], "part_of": 3}])), "part_of"),
        (
            json.dumps(
                right_line(
                    objects=[
                        {"label": "man", "box": [0, 0, 9, 9]},
                        {"label": "coat", "box": [1, 1, 8, 8], "part_of": 0},
                        {"label": "button", "box": [2, 2, 3, 3], "part_of": 1},
                    ]
                )
            ),
            "objects.2.part_of: 1 is no object that is a thing of its own",
        ),
    ],
)
def test_a_line_that_cannot_be_read_is_a_verdict_with_what_is_wrong(text: str, says: str) -> None:
    found = check_line(text)
    assert found["refused"] == BAD_LINE
    assert says in found["detail"]
    assert found["gates"] == []


def test_a_mask_gives_the_size_that_words_are_compared_with() -> None:
    line = right_line()
    thin = np.zeros((800, 1400), dtype=bool)
    thin[400:410, 900:1200] = True
    rle = to_rle(thin)
    line["objects"][0]["mask"] = {"size": [rle.height, rle.width], "counts": rle.counts}
    line["reply"]["Editing_Instruction"] = "Change the color of the largest car to blue."
    found = check_line(json.dumps(line))
    assert found["refused"] == "wrong_size"
    assert "its area is 3000" in found["detail"]


def test_ranks_belong_to_the_whole_of_a_part_and_colors_to_either() -> None:
    line = line_of(next(each for each in samples("parts") if each["id"] == "p-second-leftmost"))
    assert check_line(json.dumps(line))["refused"] is None
    without = json.loads(json.dumps(line))
    for each in without["objects"]:
        each.pop("part_of", None)
    found = check_line(json.dumps(without), ("ordinal",))
    assert not found["gates"][0]["decided"]
    assert check_line(json.dumps(line), ("ordinal",))["gates"][0]["decided"]


def test_only_listed_gates_are_asked_and_unknown_names_are_an_error() -> None:
    found = check_line(json.dumps(right_line()), ("schema", "marking"))
    assert [gate["name"] for gate in found["gates"]] == ["schema", "marking"]
    with pytest.raises(ConfigurationError, match=r"unknown gate 'mark'.*marking"):
        gates_named(("mark",))


def test_undecided_gates_say_so() -> None:
    found = check_line(json.dumps(right_line(rewritten="", referred=None)))
    decided = {gate["name"]: gate["decided"] for gate in found["gates"]}
    assert not decided["rewriting"]
    assert not decided["round_trip"]
    assert decided["color"]


def test_a_reply_that_cannot_be_read_fails_the_form_and_leaves_the_rest_undecided() -> None:
    scene = WordScene(
        width=10,
        height=10,
        things=(Thing(label="cup", box=Box(x0=0, y0=0, x1=5, y1=5), area=25),),
        target=(0,),
    )
    draft = draft_of_reply(scene, EditType.REMOVE, "none", "no json")
    assert draft.reply is None
    assert draft.argument == ""
    for gate in gates_named(("all",)):
        found = gate.look(draft)
        assert bool(found.faults) == (gate.name == "schema")
