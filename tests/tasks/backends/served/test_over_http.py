"""Replies that cannot be read, from the server to the row: asked again with the reason, then the right failure."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from tasks.records.errors import Reason, SampleError
from tasks.records.settings_base import RoleSettings
from tasks.roles.backends import choose
from tests.serving.bad_replies import DIGITS, MENDED, REFUSED, SORRY, BadReply
from tests.serving.scripts import Answer, Asked, Script, first_times, fixed_answers
from tests.tasks.backends.contract.served_makers import MODEL, asker, served
from tests.tasks.backends.served.asked import questions
from tests.tasks.roles.contract import check_all


def answer_of(role: str, script: Script):
    choice = choose(role, RoleSettings(backend="chat", run="test"), role, MODEL)
    (answer,) = asker(choice, script)([questions()[role]])
    return answer


@pytest.mark.parametrize(
    ("role", "bad", "told"),
    [
        (
            "tagger",
            '{"things": ["cup", "a man who is standing beside the red car"]}',
            "empty or too long (things.1)",
        ),
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


SEEDS = 1000
"""Seeds between two questions, so that a question's kind is known by its seed, put again or not."""


def answers_to_all(role: str, kinds: list[BadReply]) -> tuple[list[Any], Counter[int]]:
    """The answer to one question per kind, all put at the same time, and how often each was asked."""
    came: Counter[int] = Counter()

    def script(asked: Asked) -> Answer:
        number = asked.seed // SEEDS
        came[number] += 1
        return kinds[number].send(fixed_answers(asked).text)

    choice = choose(role, RoleSettings(backend="chat", run="test"), role, MODEL)
    asked = [replace(questions()[role], seed=number * SEEDS) for number in range(len(kinds))]
    return asker(choice, script)(asked), came


@pytest.mark.parametrize("role", list(questions()))
def test_a_plain_answer_in_odd_dress_is_read_at_the_first_time(role):
    kinds = [kind for kind in MENDED if role in kind.roles]
    found, came = answers_to_all(role, kinds)
    good = answer_of(role, fixed_answers)
    if role in DIGITS:  # no probabilities are sent beside a digit in odd dress
        found, good = [replace(answer, measurements=()) for answer in found], replace(good, measurements=())
        good = replace(good, agreement=1.0) if role == "text_judge" else good
    read = {kind.name: answer for kind, answer in zip(kinds, found, strict=True)}
    assert read == dict.fromkeys(read, good)
    assert set(came.values()) == {1}


@pytest.mark.parametrize("role", list(questions()))
def test_what_stays_bad_is_a_failure_with_its_code(role):
    kinds = [kind for kind in REFUSED if role in kind.roles]
    found, came = answers_to_all(role, kinds)
    assert {type(answer) for answer in found} == {SampleError}
    told = {k.name: (e.reason.value, e.detail.partition(":")[0]) for k, e in zip(kinds, found, strict=True)}
    assert told == {kind.name: (kind.reason, kind.code) for kind in kinds}
    # The server of these tests lets each question be put twice; what a content filter says is final.
    times = {kind.name: came[number] for number, kind in enumerate(kinds)}
    assert times == {kind.name: 1 if kind.code == "content filter" else 2 for kind in kinds}


@pytest.mark.parametrize("role", list(questions()))
def test_after_a_loop_the_model_is_asked_with_less_taste_for_repetition(role):
    bodies = []

    def script(asked: Asked) -> Answer:
        bodies.append(asked.body)
        return fixed_answers(asked) if asked.again else Answer(text="the left cup " * 40)

    assert not isinstance(answer_of(role, script), SampleError)
    first, second = bodies
    varied = role not in DIGITS  # the probability of a digit must be that of the sampling which was stated
    assert (second["temperature"] >= 0.7 and second["presence_penalty"] >= 1.0) == varied
    assert {key for key in first if first[key] != second[key]} <= {
        "temperature",
        "presence_penalty",
        "seed",
        "messages",
    }


def test_who_apologizes_is_asked_once_more_and_then_left_alone():
    asked_for = []

    def script(asked: Asked) -> Answer:
        asked_for.append(asked)
        return Answer(text=SORRY)

    choice = choose("rewriter", RoleSettings(backend="chat", run="test"), "rewriter", MODEL)
    (answer,) = asker(choice, script, bad_replies=5)([questions()["rewriter"]])
    assert answer.reason is Reason.REFUSED_BY_MODEL
    assert len(asked_for) == 2


@pytest.mark.parametrize(
    ("role", "name", "options"),
    [
        ("target_judge", "chat", {"answers": "two"}),
        ("referrer", "chat", {"by": "boxes", "frame": "pixels"}),
        ("referrer", "chat", {"by": "boxes", "frame": "thousandths"}),
        ("edit_judge", "yes-no", {"look": "whole_and_crop"}),
        ("edit_judge", "chat", {"max_pixels": 60_000}),
    ],
)
def test_the_contract_holds_with_other_options(role, name, options, tmp_path):
    check_all(served(role, name, **options)(tmp_path))


def test_half_a_reply_is_no_bad_reply_but_asked_for_once_more():
    answer = answer_of("rewriter", first_times(1, Answer(half=True), fixed_answers))
    assert answer == "Make the first thing from the left blue."
