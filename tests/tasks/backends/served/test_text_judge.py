"""The text judge's probability."""

from __future__ import annotations

import math

import pytest

from tasks.backends.served.text_judge import ChatTextJudge, TextJudgeOptions
from tasks.roles.chat import BadReply, ChatReply
from tests.tasks.backends.served.asked import SERVED, WORDS, questions

BACKEND = ChatTextJudge(TextJudgeOptions(served=SERVED))


def read(text: str, logprobs: dict[str, float] | None = None):
    return BACKEND.read(
        ChatReply(text=text, places=(logprobs,) if logprobs else ()),
        BACKEND.request(questions()["text_judge"]),
    )


def test_agreement_is_the_probability_of_yes_among_the_two_answers():
    verdict = read("1", {"1": math.log(0.45), "0": math.log(0.05), "#": math.log(0.5)})
    assert verdict.agreement == 0.9
    assert [m.name for m in verdict.measurements] == ["agreement_probability"]


@pytest.mark.parametrize(("text", "agreement"), [("1", 1.0), ("0", 0.0)])
def test_a_server_without_probabilities_gives_all_or_nothing_and_says_so(text, agreement):
    verdict = read(text)
    assert verdict.agreement == agreement
    assert [m.name for m in verdict.measurements] == ["agreement_probability_unknown"]


def test_a_sentence_is_a_bad_reply():
    with pytest.raises(BadReply) as caught:
        read("The words agree.")
    assert caught.value.code == "not_a_choice"


def test_all_words_are_shown_to_it():
    shown = BACKEND.request(questions()["text_judge"]).parts[2]
    parts = (WORDS.scene_description, WORDS.target_localization, WORDS.editing_description)
    for text in (*parts, WORDS.post_edit_description, "Turn the left cup blue."):
        assert text in shown
