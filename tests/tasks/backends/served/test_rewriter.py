"""What a rewriter is asked."""

from __future__ import annotations

from tasks.backends.served.rewriter import ChatRewriter, RewriterOptions
from tasks.roles.chat import ChatReply
from tests.tasks.backends.served.asked import SERVED, questions

BACKEND = ChatRewriter(RewriterOptions(served=SERVED))


def test_a_rewriting_is_one_line_of_text():
    reply = ChatReply(text='Revised instruction: "Paint the cup blue."')
    assert BACKEND.read(reply, BACKEND.request(questions()["rewriter"])) == "Paint the cup blue."


def test_only_the_instruction_and_earlier_refusals_are_sent():
    parts = BACKEND.request(questions(refusals=("it lost the color",))["rewriter"]).parts
    assert parts[1] == "Instruction: Turn the left cup blue."
    assert parts[2].endswith("- it lost the color")
