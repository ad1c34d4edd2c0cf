"""Instructor: instruction and four-part reasoning under the paper's keys, with what the target is to become."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import Field

from prompts import load_prompt
from tasks.backends.served.chat_backend import ChatBackend
from tasks.backends.served.options import ServedOptions
from tasks.backends.served.refusals import refusals_text
from tasks.records.edit_types import NO_ARGUMENT
from tasks.roles.chat import ChatReply, ChatRequest
from tasks.roles.edit_type_lines import DATA, prompt_slots
from tasks.roles.instruction_reply import PARTS, read_instruction
from tasks.roles.picture import Picture
from tasks.roles.questions import InstructQuestion, WrittenInstruction

PART_CHARACTERS, INSTRUCTION_CHARACTERS, ARGUMENT_CHARACTERS = 900, 400, 120
"""Longest texts in the schema that a server is given; without a limit a model may never end."""


class InstructorOptions(ServedOptions):
    """Varied instructions, each by the seed of its question."""

    temperature: float = Field(default=0.8, ge=0, le=2, description="0: the likeliest token, always")
    top_p: float = Field(default=0.9, gt=0, le=1, description="share of probability that is drawn from")
    max_tokens: int = Field(default=1200, ge=1, description="longest reply")


class ChatInstructor(ChatBackend[InstructQuestion, WrittenInstruction]):
    """Sees the photograph with the target's red box and writes (paper Figure 19, upper part)."""

    role = "instructor"
    further_prompts = (DATA, "refusals")
    Options = InstructorOptions

    @classmethod
    def pictures(cls, options: InstructorOptions) -> int:
        """See `ServedBackend.pictures`."""
        del options
        return 1

    @classmethod
    def parts(cls, options: InstructorOptions, question: InstructQuestion) -> tuple[str | Picture, ...]:
        """Prompt, boxed photograph, the edit to ask for, whose part it is, what was wrong with earlier answers."""
        del options
        prompt = load_prompt(cls.role)
        slots = prompt_slots(question.edit_type, question.argument)
        given = question.argument not in ("", NO_ARGUMENT)
        asked = [prompt.sentence("ask", **slots), prompt.sentence("given" if given else "chosen", **slots)]
        whole = question.target.whole
        if whole is not None:
            asked.append(prompt.sentence("part", part=question.target.label, whole=whole.label))
        return (prompt.text, question.boxed, "\n".join(asked), *refusals_text(prompt, question.refusals))

    @classmethod
    def schema(cls, options: InstructorOptions, question: InstructQuestion) -> Mapping[str, Any]:
        """All keys required, since strict servers know no optional ones; what does not apply is empty."""
        del options
        text = {"type": "string", "maxLength": PART_CHARACTERS}
        return {
            "title": cls.role,
            "type": "object",
            "properties": {
                "Editing_Type": {"type": "string", "enum": [question.edit_type.value]},
                "Editing_Argument": {"type": "string", "maxLength": ARGUMENT_CHARACTERS},
                "Editing_Instruction": {"type": "string", "maxLength": INSTRUCTION_CHARACTERS},
                "CoT": {
                    "type": "object",
                    "properties": dict.fromkeys(PARTS, text),
                    "required": list(PARTS),
                    "additionalProperties": False,
                },
                "Refusal": {"type": "string", "maxLength": ARGUMENT_CHARACTERS},
            },
            "required": ["Editing_Type", "Editing_Argument", "Editing_Instruction", "CoT", "Refusal"],
            "additionalProperties": False,
        }

    @classmethod
    def context(cls, options: InstructorOptions, question: InstructQuestion) -> Mapping[str, Any]:
        """The argument that was asked for."""
        del options
        return {"argument": question.argument}

    def read(self, reply: ChatReply, request: ChatRequest) -> WrittenInstruction:
        """See `read_instruction`; an argument that was asked for stands, however the reply spells it."""
        written = read_instruction(reply)
        asked = str(request.context["argument"])
        return replace(written, argument=asked) if asked else written
