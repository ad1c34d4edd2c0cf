"""Referrer: which of the numbered things an instruction may mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from prompts import load_prompt
from tasks.backends.served.chat_backend import ChatBackend
from tasks.backends.served.options import ServedOptions
from tasks.roles.chat import BadReply, ChatReply, ChatRequest
from tasks.roles.picture import Picture
from tasks.roles.questions import ReferQuestion
from tasks.roles.replies import fitted, json_object


def _whole(value: object) -> object:
    """A number, or one written as a string; a truth value is none."""
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdecimal():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        msg = "expected a whole number"
        raise ValueError(msg)  # noqa: TRY004 - what pydantic makes an error of this field
    return value


class _Matches(BaseModel):
    model_config = ConfigDict(extra="forbid")

    matches: list[Annotated[int, BeforeValidator(_whole)]]


class ReferrerOptions(ServedOptions):
    """A list of a few numbers."""

    max_tokens: int = Field(default=200, ge=1, description="longest reply")


class ChatReferrer(ChatBackend[ReferQuestion, tuple[int, ...]]):
    """Sees the photograph with numbered things and the instruction; the numbers drawn are indices plus one."""

    role = "referrer"
    Options = ReferrerOptions

    @classmethod
    def parts(cls, options: ReferrerOptions, question: ReferQuestion) -> tuple[str | Picture, ...]:
        """Prompt, numbered photograph, instruction."""
        del options
        prompt = load_prompt(cls.role)
        asked = prompt.sentence("ask", count=len(question.scene.objects), instruction=question.instruction)
        return (prompt.text, question.numbered, asked)

    @classmethod
    def schema(cls, question: ReferQuestion) -> Mapping[str, Any]:
        """A list of numbers that were drawn."""
        count = len(question.scene.objects)
        number = {"type": "integer", "minimum": 1, "maximum": count}
        return {
            "title": cls.role,
            "type": "object",
            "properties": {"matches": {"type": "array", "items": number, "maxItems": count}},
            "required": ["matches"],
            "additionalProperties": False,
        }

    @classmethod
    def context(cls, question: ReferQuestion) -> Mapping[str, Any]:
        """How many numbers were drawn."""
        return {"count": len(question.scene.objects)}

    def read(self, reply: ChatReply, request: ChatRequest) -> tuple[int, ...]:
        """Indices of ``scene.objects``, ascending, each once."""
        numbers = fitted(json_object(reply), _Matches).matches
        count = int(request.context["count"])
        if any(not 1 <= number <= count for number in numbers):
            raise BadReply("out_of_range", f"numbers are 1 to {count}")
        return tuple(sorted({number - 1 for number in numbers}))
