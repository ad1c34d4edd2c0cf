"""Instructor: instruction and four-part reasoning under the paper's keys, with what the target is to become."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from prompts import load_prompt
from tasks.backends.served.chat_backend import ChatBackend
from tasks.backends.served.options import ServedOptions
from tasks.backends.served.refusals import refusals_text
from tasks.backends.served.replies import MAX_INSTRUCTION_WORDS, fitted, json_object, one_line
from tasks.records.edit_types import NO_ARGUMENT
from tasks.records.errors import Reason, SampleError
from tasks.records.records import Reasoning
from tasks.roles.chat import BadReply, ChatReply, ChatRequest
from tasks.roles.edit_type_lines import DATA, prompt_slots
from tasks.roles.picture import Picture
from tasks.roles.questions import InstructQuestion, WrittenInstruction

PARTS = ("1_Scene_Description", "2_Target_Localization", "3_Editing_Description", "4_Post_Edit_Description")
"""Keys of the four parts (paper Figure 19), in order."""

PART_CHARACTERS, INSTRUCTION_CHARACTERS, ARGUMENT_CHARACTERS = 900, 400, 120
"""Longest texts in the schema that a server is given; without a limit a model may never end."""

_Sentence = Annotated[str, StringConstraints(strip_whitespace=True, min_length=8, max_length=2000)]
_Short = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)]


class _ChainOfThought(BaseModel):
    model_config = ConfigDict(extra="forbid")

    scene: _Sentence = Field(alias="1_Scene_Description")
    localization: _Sentence = Field(alias="2_Target_Localization")
    editing: _Sentence = Field(alias="3_Editing_Description")
    result: _Sentence = Field(alias="4_Post_Edit_Description")


class _Reply(BaseModel):
    """The paper's object; the two keys it goes without may be missing."""

    model_config = ConfigDict(extra="forbid")

    edit_type: _Short = Field(alias="Editing_Type")
    instruction: _Sentence = Field(alias="Editing_Instruction")
    argument: _Short = Field(default="", alias="Editing_Argument")
    cot: _ChainOfThought = Field(alias="CoT")
    refusal: str = Field(default="", alias="Refusal")


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
    def parts(cls, options: InstructorOptions, question: InstructQuestion) -> tuple[str | Picture, ...]:
        """Prompt, boxed photograph, the edit to ask for, and what was wrong with earlier answers."""
        del options
        prompt = load_prompt(cls.role)
        slots = prompt_slots(question.edit_type, question.argument)
        given = question.argument not in ("", NO_ARGUMENT)
        asked = [prompt.sentence("ask", **slots), prompt.sentence("given" if given else "chosen", **slots)]
        return (prompt.text, question.boxed, "\n".join(asked), *refusals_text(prompt, question.refusals))

    @classmethod
    def schema(cls, question: InstructQuestion) -> Mapping[str, Any]:
        """All keys required, since strict servers know no optional ones; what does not apply is empty."""
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

    def read(self, reply: ChatReply, request: ChatRequest) -> WrittenInstruction:
        """See `written_instruction`."""
        del request
        return written_instruction(json_object(reply))


def written_instruction(data: Mapping[str, Any]) -> WrittenInstruction:
    """The paper's JSON object as instruction, argument and reasoning.

    Raises:
        SampleError: `NO_UNIQUE_REFERENCE` when the instructor says that no wording fits the target alone.
        BadReply: a key is missing, unknown or empty, or the instruction has more than `MAX_INSTRUCTION_WORDS` words.
    """
    if str(data.get("Refusal") or "").strip():
        raise SampleError(Reason.NO_UNIQUE_REFERENCE, "declined by the instructor")
    reply = fitted(data, _Reply)
    words = len(reply.instruction.split())
    if words > MAX_INSTRUCTION_WORDS:
        raise BadReply("too_long", f"{words} words of at most {MAX_INSTRUCTION_WORDS}")
    return WrittenInstruction(
        edit_type=reply.edit_type,
        instruction=one_line(reply.instruction),
        argument=one_line(reply.argument),
        reasoning=Reasoning(
            scene_description=one_line(reply.cot.scene),
            target_localization=one_line(reply.cot.localization),
            editing_description=one_line(reply.cot.editing),
            post_edit_description=one_line(reply.cot.result),
        ),
    )
