"""Replies that hold an instruction: the instructor's JSON object under the paper's keys, the rewriter's one line."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from tasks.records.errors import Reason, SampleError
from tasks.records.records import Reasoning
from tasks.roles.chat import BadReply, ChatReply
from tasks.roles.questions import WrittenInstruction
from tasks.roles.replies import MAX_INSTRUCTION_WORDS, fitted, is_apology, json_object, one_line, written

PARTS = ("1_Scene_Description", "2_Target_Localization", "3_Editing_Description", "4_Post_Edit_Description")
"""Keys of the four parts (paper Figure 19), in order."""

_LABEL = re.compile(r"^\s*(?:instruction|rewritten|revised)[^:\n]{0,30}:\s*", re.IGNORECASE)
_QUOTES = {'"': '"', "“": "”", "'": "'", "‘": "’"}

NOTHING = frozenset({"", "none", "n/a", "null", "no"})
"""What models write into a key that has to be there and does not apply."""

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


def read_instruction(reply: ChatReply) -> WrittenInstruction:
    """Instruction, argument and reasoning of an instructor's reply; nothing in it is compared with the question.

    Raises:
        SampleError: `NO_UNIQUE_REFERENCE` when the instructor says that no wording fits the target alone; else as
            `json_object`.
        BadReply: as `json_object` and `fitted`; ``apology`` in place of words; ``too_long`` above
            `MAX_INSTRUCTION_WORDS`.
    """
    data = json_object(reply)
    refusal = str(data.get("Refusal") or "").strip()
    if is_apology(refusal) or is_apology(str(data.get("Editing_Instruction") or "")):
        # Not that no words would do, but that the model will not say any.
        raise BadReply("apology", "inside the object")
    refused = refusal.lower() not in NOTHING
    if refused and not str(data.get("Editing_Instruction") or "").strip():
        raise SampleError(Reason.NO_UNIQUE_REFERENCE, "declined by the instructor")
    found = fitted(data, _Reply)
    if refused:
        raise BadReply("bad_value", "Refusal beside an instruction")
    words = len(found.instruction.split())
    if words > MAX_INSTRUCTION_WORDS:
        raise BadReply("too_long", f"{words} words of at most {MAX_INSTRUCTION_WORDS}")
    return WrittenInstruction(
        edit_type=found.edit_type,
        instruction=one_line(found.instruction),
        argument=one_line(found.argument),
        reasoning=Reasoning(
            scene_description=one_line(found.cot.scene),
            target_localization=one_line(found.cot.localization),
            editing_description=one_line(found.cot.editing),
            post_edit_description=one_line(found.cot.result),
        ),
    )


def read_rewriting(reply: ChatReply) -> str:
    """One line of text, without a label before it or quotes around it.

    Raises:
        SampleError, BadReply: as `written`; ``apology``, ``not_one_line`` or ``too_long``.
    """
    text = _LABEL.sub("", written(reply)).strip()
    if _is_quoted(text):
        text = text[1:-1].strip()
    if is_apology(text):
        raise BadReply("apology")
    if not text or "\n" in text or text.startswith(("{", "[")):
        raise BadReply("not_one_line")
    words = len(text.split())
    if words > MAX_INSTRUCTION_WORDS:
        raise BadReply("too_long", f"{words} words of at most {MAX_INSTRUCTION_WORDS}")
    return text


def _is_quoted(text: str) -> bool:
    """Whether quotes enclose the whole text, and not two words that begin and end it."""
    if len(text) < 2 or _QUOTES.get(text[0]) != text[-1]:
        return False
    return re.search(rf"(?:^|[\s(]){re.escape(text[0])}", text[1:-1]) is None
