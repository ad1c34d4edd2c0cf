"""The yes-no edit judge: four digits, their probabilities, and the scores that follow."""

from __future__ import annotations

import json
import math

import pytest

from tasks.backends.served.edit_judge import EditJudgeOptions
from tasks.backends.served.yes_no_edit_judge import YesNoEditJudge
from tasks.roles.chat import BadReply, ChatReply
from tests.tasks.backends.served.asked import SERVED, questions

BACKEND = YesNoEditJudge(EditJudgeOptions(served=SERVED))
NAMES = ("done", "kept", "real", "blended")


def read(*digits: int, yes: tuple[float, ...] = ()):
    places = tuple({"1": math.log(p), "0": math.log(1 - p)} for p in yes)
    text = json.dumps(dict(zip(NAMES, digits, strict=False)))
    return BACKEND.read(ChatReply(text=text, places=places), BACKEND.request(questions()["edit_judge"]))


def test_a_score_follows_from_its_less_probable_yes():
    scores = read(1, 1, 1, 1, yes=(0.9, 0.75, 0.6, 0.95))
    assert (scores.accuracy, scores.seamlessness) == (4.0, 3.4)
    assert {m.name: m.value for m in scores.measurements} == {
        "yes_done_probability": 0.9,
        "yes_kept_probability": 0.75,
        "yes_real_probability": 0.6,
        "yes_blended_probability": 0.95,
    }
    assert not any(m.decides for m in scores.measurements), "thresholds are the stage's"


def test_without_probabilities_the_digits_decide_and_the_measurements_say_so():
    scores = read(1, 1, 1, 0)
    assert (scores.accuracy, scores.seamlessness) == (5.0, 1.0)
    assert [m.name for m in scores.measurements] == [f"yes_{name}_probability_unknown" for name in NAMES]


def test_three_answers_are_not_enough():
    with pytest.raises(BadReply, match="missing_key: blended"):
        read(1, 1, 1)


def test_the_schema_holds_each_answer_to_a_digit():
    request = BACKEND.request(questions()["edit_judge"])
    digit = {"type": "integer", "enum": [0, 1]}
    assert request.schema["properties"] == dict.fromkeys(NAMES, digit)
    assert request.choices == ("0", "1")
