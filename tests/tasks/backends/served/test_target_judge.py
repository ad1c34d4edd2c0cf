"""The target judge's digit and its probability."""

from __future__ import annotations

import math

import pytest

from tasks.backends.served.target_judge import ChatTargetJudge, TargetJudgeOptions
from tasks.roles.chat import BadReply, ChatPicture, ChatReply
from tests.tasks.backends.served.asked import SERVED, questions


def judge(**options) -> ChatTargetJudge:
    return ChatTargetJudge(TargetJudgeOptions(served=SERVED, **options))


def read(text: str, **logprobs: float):
    backend = judge()
    likely = {name.strip("_"): math.log(p) for name, p in logprobs.items()}
    reply = ChatReply(text=text, places=(likely,) if likely else ())
    return backend.read(reply, backend.request(questions()["target_judge"]))


@pytest.mark.parametrize(("text", "keep"), [("1", True), ("0", False)])
def test_the_digit_answers_for_both_conditions(text, keep):
    verdict = read(text)
    assert (verdict.precise, verdict.hard, verdict.together) == (keep, keep, True)


def test_the_probability_is_kept_for_a_threshold_that_comes_later():
    (measurement,) = read("1", _1=0.6, _0=0.2, The=0.2).measurements
    assert (measurement.name, measurement.value) == ("keep_probability", 0.75)


def test_without_probabilities_the_measurement_says_so():
    (measurement,) = read("0").measurements
    assert (measurement.name, measurement.value) == ("keep_probability_unknown", 0.0)


@pytest.mark.parametrize("text", ["1.", "Yes", "keep: 1", '{"keep": 1}'])
def test_anything_but_the_digit_is_a_bad_reply(text):
    with pytest.raises(BadReply) as caught:
        read(text)
    assert caught.value.code == "not_a_choice"


def test_the_marked_part_is_sent_enlarged_on_demand():
    whole = [p for p in judge().request(questions()["target_judge"]).parts if isinstance(p, ChatPicture)]
    both = judge(look="whole_and_crop").request(questions()["target_judge"])
    pictures = [p for p in both.parts if isinstance(p, ChatPicture)]
    assert (len(whole), len(pictures)) == (1, 2)
    x0, y0, x1, y1 = pictures[1].recipe["picture"]["crop"]
    assert x0 <= 100 < 200 <= x1
    assert y0 <= 400 < 520 <= y1
    assert (x1 - x0, y1 - y0) == (448, 448)


def read_two(text: str, *places: dict[str, float]):
    backend = judge(answers="two")
    reply = ChatReply(text=text, places=tuple({t: math.log(p) for t, p in one.items()} for one in places))
    return backend.read(reply, backend.request(questions()["target_judge"]))


def test_with_two_answers_each_condition_has_its_own_probability():
    verdict = read_two('{"precise": 1, "hard": 0}', {"1": 0.6, "0": 0.2}, {" 1": 0.1, " 0": 0.4})
    assert (verdict.precise, verdict.hard, verdict.together) == (True, False, False)
    values = {measurement.name: measurement.value for measurement in verdict.measurements}
    assert values == {"precise_probability": 0.75, "hard_probability": 0.2}


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ('{"precise": 1, "hard": 0}', ()),
        ('{"precise": 1, "hard": 0}', ({"1": 0.6, "0": 0.2},)),
        ('{"hard": 0, "precise": 1}', ({"1": 0.6, "0": 0.2}, {"1": 0.1, "0": 0.4})),
        ('Of 1 thing: {"precise": 1, "hard": 0}', ({"1": 0.9},) * 3),
    ],
)
def test_probabilities_that_cannot_be_told_apart_are_unknown(text, places):
    names = [measurement.name for measurement in read_two(text, *places).measurements]
    assert names == ["precise_probability_unknown", "hard_probability_unknown"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("1", "not_json"),
        ('{"precise": 1}', "missing_key"),
        ('{"precise": "yes", "hard": 0}', "bad_value"),
        ('{"precise": true, "hard": 0}', "bad_value"),
        ('{"precise": 2, "hard": 0}', "bad_value"),
        ('{"precise": [1], "hard": 0}', "bad_value"),
        ('{"precise": 1, "hard": 0, "why": "it is"}', "unknown_key"),
    ],
)
def test_an_object_of_anything_but_two_digits_is_a_bad_reply(text, code):
    with pytest.raises(BadReply) as caught:
        read_two(text)
    assert caught.value.code == code


def test_digits_may_be_written_as_texts():
    verdict = read_two('{"Precise": "1", "hard": "0"}')
    assert (verdict.precise, verdict.hard) == (True, False)


def test_the_way_to_answer_is_said_last_and_held_by_the_schema():
    one, two = (judge(answers=n).request(questions()["target_judge"]) for n in ("one", "two"))
    assert one.schema == {"type": "integer", "enum": [0, 1]}
    assert list(two.schema["properties"]) == two.schema["required"] == ["precise", "hard"]
    assert "single digit" in one.parts[-1]
    assert '{"precise": <0 or 1' in two.parts[-1]
    assert one.parts[0] == two.parts[0]
