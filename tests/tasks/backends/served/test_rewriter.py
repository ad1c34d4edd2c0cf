"""Rewriters' replies: one line, or a code."""

from __future__ import annotations

import pytest

from tasks.backends.served.rewriter import ChatRewriter, RewriterOptions
from tasks.roles.chat import BadReply, ChatReply
from tests.tasks.backends.served.asked import SERVED, questions

BACKEND = ChatRewriter(RewriterOptions(served=SERVED))


def read(raw: str) -> str:
    return BACKEND.read(ChatReply(text=raw), BACKEND.request(questions()["rewriter"]))


@pytest.mark.parametrize(
    "raw",
    [
        "Paint the cup blue.",
        '"Paint the cup blue."',
        "“Paint the cup blue.”",
        "Instruction: Paint the cup blue.",
        "Revised instruction: Paint the cup blue.",
        " Paint the cup blue.\n",
        "<think>\n\n</think>\n\nPaint the cup blue.",
    ],
)
def test_a_rewriting_loses_quotes_labels_and_thoughts(raw):
    assert read(raw) == "Paint the cup blue."


def test_quotes_of_writing_in_the_picture_stay():
    assert read('Recolor the sign that says "OPEN"') == 'Recolor the sign that says "OPEN"'


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        ("Paint the cup blue.\nOr make the cup blue.", "not_one_line"),
        ('{"instruction": "Paint the cup blue."}', "not_one_line"),
        ('""', "not_one_line"),
        (" ".join(f"word{i}" for i in range(61)), "too_long"),
        ("Sorry, but I can't rewrite that.", "apology"),
    ],
)
def test_what_is_no_single_sentence_is_a_bad_reply(raw, code):
    with pytest.raises(BadReply) as caught:
        read(raw)
    assert caught.value.code == code


def test_only_the_instruction_and_earlier_refusals_are_sent():
    parts = BACKEND.request(questions(refusals=("it lost the color",))["rewriter"]).parts
    assert parts[1] == "Instruction: Turn the left cup blue."
    assert parts[2].endswith("- it lost the color")
