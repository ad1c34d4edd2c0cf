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
    reply = ChatReply(text=text, logprobs={name.strip("_"): math.log(p) for name, p in logprobs.items()})
    return backend.read(reply, backend.request(questions()["target_judge"]))


@pytest.mark.parametrize(("text", "keep"), [("1", True), ("0", False)])
def test_the_digit_answers_for_both_conditions(text, keep):
    verdict = read(text)
    assert (verdict.precise, verdict.hard) == (keep, keep)


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
