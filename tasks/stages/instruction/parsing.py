"""An instructor's raw reply -> type, instruction and four-part reasoning, or the reason why not."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from tasks.records.errors import Reason, SampleError
from tasks.records.records import Reasoning

MAX_INSTRUCTION_WORDS = 60
"""A longer instruction is a description, or two edits."""

_FENCE = re.compile(r"^\s*```[a-zA-Z]*\s*\n(.*?)\n?\s*```\s*$", re.DOTALL)

_Sentence = Annotated[str, StringConstraints(strip_whitespace=True, min_length=8, max_length=2000)]


class _ChainOfThought(BaseModel):
    """The four parts under the paper's keys (Figure 19)."""

    model_config = ConfigDict(extra="forbid")

    scene: _Sentence = Field(alias="1_Scene_Description")
    localization: _Sentence = Field(alias="2_Target_Localization")
    editing: _Sentence = Field(alias="3_Editing_Description")
    result: _Sentence = Field(alias="4_Post_Edit_Description")


class _InstructorReply(BaseModel):
    """The reply's schema (Figure 19)."""

    model_config = ConfigDict(extra="forbid")

    edit_type: str = Field(alias="Editing_Type")
    instruction: _Sentence = Field(alias="Editing_Instruction")
    cot: _ChainOfThought = Field(alias="CoT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A reply that fits the schema; ``edit_type`` is what the instructor says, not yet checked."""

    edit_type: str
    instruction: str
    reasoning: Reasoning


def parse_reply(raw: str) -> Reply:
    """Read a reply: a JSON object, alone, in a code fence, or with prose around it.

    Raises:
        SampleError: `NO_UNIQUE_REFERENCE` when the instructor declined, `BAD_REPLY` when the text is no object of
            the schema (missing, empty or unknown keys, an instruction of more than `MAX_INSTRUCTION_WORDS`).
    """
    data = _read_object(raw)
    if "Refusal" in data:
        raise SampleError(Reason.NO_UNIQUE_REFERENCE, str(data["Refusal"])[:200])
    try:
        reply = _InstructorReply.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise SampleError(Reason.BAD_REPLY, f"{key}: {first['type']}") from error
    words = len(reply.instruction.split())
    if words > MAX_INSTRUCTION_WORDS:
        raise SampleError(Reason.BAD_REPLY, f"instruction of {words} words")
    return Reply(
        edit_type=reply.edit_type.strip(),
        instruction=_one_line(reply.instruction),
        reasoning=Reasoning(
            scene_description=_one_line(reply.cot.scene),
            target_localization=_one_line(reply.cot.localization),
            editing_description=_one_line(reply.cot.editing),
            post_edit_description=_one_line(reply.cot.result),
        ),
    )


def parse_rewriting(raw: str) -> str:
    """The rewritten instruction: one line, without surrounding quotes or a label before it.

    Raises:
        SampleError: `BAD_REPLY` when nothing, or more than one instruction, is left.
    """
    text = re.sub(
        r"^\s*(?:instruction|rewritten|revised)[^:\n]{0,30}:\s*", "", raw.strip(), flags=re.IGNORECASE
    )
    text = text.strip().strip('"“”').strip()
    if not text or "\n" in text or len(text.split()) > MAX_INSTRUCTION_WORDS:
        raise SampleError(
            Reason.BAD_REPLY, f"rewriting of {len(raw.split())} words, {raw.count(chr(10))} breaks"
        )
    return text


def _read_object(raw: str) -> dict[str, object]:
    fenced = _FENCE.match(raw)
    text = fenced.group(1) if fenced else raw
    start, end = text.find("{"), text.rfind("}")
    if start < 0 or end < start:
        raise SampleError(Reason.BAD_REPLY, "no JSON object in the reply")
    try:
        data = json.loads(text[start : end + 1])
    except json.JSONDecodeError as error:
        raise SampleError(Reason.BAD_REPLY, f"not JSON: {error.msg} at {error.pos}") from error
    if not isinstance(data, dict):
        raise SampleError(Reason.BAD_REPLY, "the reply is no JSON object")
    return data


def _one_line(text: str) -> str:
    return " ".join(text.split())
