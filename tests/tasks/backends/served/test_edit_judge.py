"""The edit judge's two scores, read strictly."""

from __future__ import annotations

import json

import pytest

from tasks.backends.served.edit_judge import ChatEditJudge, EditJudgeOptions
from tasks.roles.chat import BadReply, ChatPicture, ChatReply
from tests.tasks.backends.served.asked import SERVED, questions


def judge(**options) -> ChatEditJudge:
    return ChatEditJudge(EditJudgeOptions(served=SERVED, **options))


def read(accuracy: object, seamlessness: object = 3.8):
    backend = judge()
    text = json.dumps({"RegionEditAccuracy": accuracy, "SeamlessQuality": seamlessness})
    return backend.read(ChatReply(text=text), backend.request(questions()["edit_judge"]))


@pytest.mark.parametrize(("given", "score"), [(4.5, 4.5), (4, 4.0), ("4.5", 4.5), (1, 1.0), (5.0, 5.0)])
def test_scores_are_numbers_from_one_to_five(given, score):
    scores = read(given)
    assert (scores.accuracy, scores.seamlessness) == (score, 3.8)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (0.9, "out_of_range"),
        (5.1, "out_of_range"),
        ("9/10", "bad_value"),
        ([4.5], "bad_value"),
        (True, "bad_value"),
        (None, "bad_value"),
        (float("nan"), "out_of_range"),
    ],
)
def test_nothing_is_clamped(given, code):
    with pytest.raises(BadReply) as caught:
        read(given)
    assert caught.value.code == code


def test_one_score_is_not_enough():
    backend = judge()
    with pytest.raises(BadReply, match="missing_key: SeamlessQuality"):
        backend.read(
            ChatReply(text='{"RegionEditAccuracy": 4.5}'), backend.request(questions()["edit_judge"])
        )


def test_before_comes_before_after_and_the_window_is_sent_on_demand():
    whole = judge().request(questions()["edit_judge"])
    both = judge(look="whole_and_crop").request(questions()["edit_judge"])
    assert len([p for p in whole.parts if isinstance(p, ChatPicture)]) == 2
    before, after, *windows = [p.recipe["picture"] for p in both.parts if isinstance(p, ChatPicture)]
    assert ("blob" in before["of"], "pixels" in after["of"]) == (True, True)
    assert [window["crop"] for window in windows] == [[50, 350, 250, 570]] * 2
