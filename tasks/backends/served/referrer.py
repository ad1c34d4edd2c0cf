"""Referrer: which things an instruction may mean, by the numbers drawn on them or by boxes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator

from prompts import load_prompt
from tasks.backends.served.chat_backend import ChatBackend
from tasks.backends.served.options import ServedOptions
from tasks.backends.served.pictures import SizeRule
from tasks.backends.served.pointing import BOX_SCHEMA, THOUSAND, BoxReply, box_in_source
from tasks.roles.chat import BadReply, ChatReply, ChatRequest
from tasks.roles.picture import Picture
from tasks.roles.questions import Referents, ReferQuestion
from tasks.roles.replies import fitted, json_object

PATCH = 28
"""Sides of what Qwen2.5-VL sees are multiples of this, in pixels."""

MOST_BOXES = 20
"""Longest list of boxes in the schema; without a limit a model may never end."""


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


class _Boxes(BaseModel):
    model_config = ConfigDict(extra="forbid")

    boxes: list[BoxReply] = Field(max_length=MOST_BOXES)


class ReferrerOptions(ServedOptions):
    """A list of a few numbers or boxes."""

    max_tokens: int = Field(default=200, ge=1, description="longest reply")
    by: Literal["marks", "boxes"] = Field(
        default="marks",
        description="numbers drawn on all things that were found, or boxes on the plain photograph",
    )
    frame: Literal["", "pixels", "thousandths"] = Field(
        default="",
        description="what boxes are counted in: pixels of the picture as sent (Qwen2.5-VL) or thousandths of its width "
        "and height (Qwen2-VL, Qwen3-VL); to be stated with by: boxes",
        validate_default=True,
    )

    @field_validator("frame")
    @classmethod
    def _stated_for_boxes(cls, frame: str, info: ValidationInfo) -> str:
        """A box that is read in the wrong frame is still a box, so the frame is never guessed."""
        if info.data.get("by") == "boxes" and not frame:
            msg = "expected 'pixels' (Qwen2.5-VL) or 'thousandths' (Qwen2-VL, Qwen3-VL) with by: boxes"
            raise ValueError(msg)
        return frame


class ChatReferrer(ChatBackend[ReferQuestion, Referents]):
    """Sees the instruction, and the photograph with numbered things or as it is."""

    role = "referrer"
    Options = ReferrerOptions
    options: ReferrerOptions

    @classmethod
    def pictures(cls, options: ReferrerOptions) -> int:
        """See `ServedBackend.pictures`."""
        del options
        return 1

    @classmethod
    def size_rule(cls, options: ReferrerOptions) -> SizeRule:
        """Boxes in pixels need the very picture that the model sees."""
        multiple = PATCH if options.by == "boxes" and options.frame == "pixels" else 1
        return SizeRule.of(options.picture_pixels, options.picture_format, multiple)

    @classmethod
    def parts(cls, options: ReferrerOptions, question: ReferQuestion) -> tuple[str | Picture, ...]:
        """Prompt, photograph, how to answer, and the instruction."""
        prompt = load_prompt(cls.role)
        if options.by == "marks":
            count = len(question.scene.objects)
            asked = prompt.sentence("marks", count=count, instruction=question.instruction)
            return (prompt.text, question.numbered, asked)
        width, height = cls._sent_size(options, question)
        asked = prompt.sentence(options.frame, width=width, height=height, instruction=question.instruction)
        return (prompt.text, question.picture, asked)

    @classmethod
    def schema(cls, options: ReferrerOptions, question: ReferQuestion) -> Mapping[str, Any]:
        """A list of numbers that were drawn, or of boxes."""
        if options.by == "marks":
            count = len(question.scene.objects)
            number = {"type": "integer", "minimum": 1, "maximum": count}
            return _list_of("matches", number, count)
        return _list_of("boxes", BOX_SCHEMA, MOST_BOXES)

    @classmethod
    def context(cls, options: ReferrerOptions, question: ReferQuestion) -> Mapping[str, Any]:
        """How many numbers were drawn, the source's size, and what its sides are in the frame of the boxes."""
        source = question.scene.source
        frame = (THOUSAND, THOUSAND) if options.frame == "thousandths" else cls._sent_size(options, question)
        return {
            "count": len(question.scene.objects),
            "source": [source.width, source.height],
            "frame": list(frame),
        }

    def read(self, reply: ChatReply, request: ChatRequest) -> Referents:
        """Indices of ``scene.objects``, or boxes in pixels of the source."""
        if self.options.by == "boxes":
            found = fitted(json_object(reply), _Boxes).boxes
            frame, source = request.context["frame"], request.context["source"]
            return Referents(boxes=tuple(box_in_source(box, frame, source) for box in found))
        numbers = fitted(json_object(reply), _Matches).matches
        count = int(request.context["count"])
        if any(not 1 <= number <= count for number in numbers):
            raise BadReply("out_of_range", f"numbers are 1 to {count}")
        return Referents(objects=tuple(sorted({number - 1 for number in numbers})))

    @classmethod
    def _sent_size(cls, options: ReferrerOptions, question: ReferQuestion) -> tuple[int, int]:
        source = question.scene.source
        return cls.size_rule(options).size_of(source.width, source.height)


def _list_of(key: str, item: Mapping[str, Any], most: int) -> Mapping[str, Any]:
    return {
        "title": ChatReferrer.role,
        "type": "object",
        "properties": {key: {"type": "array", "items": item, "maxItems": most}},
        "required": [key],
        "additionalProperties": False,
    }
