"""Rewriter: the instruction in other words, one line of text."""

from __future__ import annotations

from pydantic import Field

from prompts import load_prompt
from tasks.backends.served.chat_backend import ChatBackend
from tasks.backends.served.options import ServedOptions
from tasks.backends.served.refusals import refusals_text
from tasks.roles.chat import ChatReply, ChatRequest
from tasks.roles.instruction_reply import read_rewriting
from tasks.roles.picture import Picture
from tasks.roles.questions import RewriteQuestion


class RewriterOptions(ServedOptions):
    """Variety is the point: the sampling that Qwen3 is published with for answers without thinking."""

    temperature: float = Field(default=0.7, ge=0, le=2, description="0: the likeliest token, always")
    top_p: float = Field(default=0.8, gt=0, le=1, description="share of probability that is drawn from")
    top_k: int = Field(default=20, ge=-1, description="tokens that are drawn from; -1: all")
    max_tokens: int = Field(default=160, ge=1, description="longest reply")


class ChatRewriter(ChatBackend[RewriteQuestion, str]):
    """Sees the instruction alone (paper Figure 20, upper part)."""

    role = "rewriter"
    further_prompts = ("refusals",)
    Options = RewriterOptions

    @classmethod
    def parts(cls, options: RewriterOptions, question: RewriteQuestion) -> tuple[str | Picture, ...]:
        """Prompt, instruction, and what was wrong with earlier rewritings."""
        del options
        prompt = load_prompt(cls.role)
        asked = prompt.sentence("ask", instruction=question.instruction)
        return (prompt.text, asked, *refusals_text(prompt, question.refusals))

    def read(self, reply: ChatReply, request: ChatRequest) -> str:
        """See `read_rewriting`."""
        del request
        return read_rewriting(reply)
