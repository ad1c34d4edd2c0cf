"""Replies that cannot be read, from the server to the row: asked again with the reason, then the right failure."""

from __future__ import annotations

import pytest

from tasks.records.errors import Reason, SampleError
from tasks.records.settings_base import RoleSettings
from tasks.roles.backends import choose
from tests.serving.scripts import Answer, Asked, Script, first_times, fixed_answers
from tests.tasks.backends.contract.served_makers import MODEL, asker
from tests.tasks.backends.served.asked import questions

SORRY = Answer(text="I'm sorry, but I can't help with that.")


def answer_of(role: str, script: Script):
    choice = choose(role, RoleSettings(backend="chat", run="test"), role, MODEL)
    (answer,) = asker(choice, script)([questions()[role]])
    return answer


@pytest.mark.parametrize(
    ("role", "bad", "told"),
    [
        ("target_judge", "Yes", "not one of the words that were allowed (expected 0 or 1)"),
        (
            "instructor",
            '{"Editing_Type": "Color"}',
            "a key of the JSON object was missing (Editing_Instruction)",
        ),
        ("rewriter", "One.\nTwo.", "it was not one plain sentence"),
        ("referrer", '{"matches": [9]}', "outside the range that was named (numbers are 1 to 3)"),
        ("text_judge", "1.", "not one of the words that were allowed"),
        ("edit_judge", '{"RegionEditAccuracy": 7, "SeamlessQuality": 4}', "range that was named (RegionEdit"),
    ],
)
def test_a_bad_reply_goes_back_with_the_reason_and_a_good_one_is_taken(role, bad, told):
    bodies = []

    def script(asked: Asked) -> Answer:
        bodies.append(asked.body)
        return fixed_answers(asked) if asked.again else Answer(text=bad)

    assert not isinstance(answer_of(role, script), SampleError)
    first, second = bodies
    assert [message["role"] for message in second["messages"]] == ["user", "assistant", "user"]
    assert told in str(second["messages"][2]["content"])
    assert second["seed"] != first["seed"]


@pytest.mark.parametrize("role", list(questions()))
@pytest.mark.parametrize(
    ("reply", "reason", "detail"),
    [
        (SORRY, Reason.REFUSED_BY_MODEL, "apology"),
        (Answer(text="", finish="content_filter"), Reason.REFUSED_BY_MODEL, "content filter"),
        (Answer(text="!" * 80), Reason.BAD_REPLY, "degenerate"),
        (Answer(text="{" + " " * 80, finish="length"), Reason.BAD_REPLY, "cut_off"),
    ],
)
def test_what_stays_bad_is_a_failure_with_its_code(role, reply, reason, detail):
    answer = answer_of(role, lambda _: reply)
    assert isinstance(answer, SampleError)
    assert answer.reason is reason
    assert answer.detail.startswith(detail)


def test_half_a_reply_is_no_bad_reply_but_asked_for_once_more():
    answer = answer_of("rewriter", first_times(1, Answer(half=True), fixed_answers))
    assert answer == "Make the first thing from the left blue."
