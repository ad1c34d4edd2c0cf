"""Boxes in a reply: the form that the Qwen-VL family writes them in, and their way into pixels of the source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from tasks.imaging.geometry import clip
from tasks.records.records import Box
from tasks.roles.chat import BadReply

THOUSAND = 1000
"""Width and height of any picture in the frame ``thousandths``."""

BOX_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "bbox_2d": {"type": "array", "items": {"type": "integer"}, "minItems": 4, "maxItems": 4},
    },
    "required": ["bbox_2d"],
    "additionalProperties": False,
}
"""JSON schema of one box: left, top, right, bottom."""


def _number(value: object) -> object:
    """A number, or one written as a string; a truth value is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        msg = "expected a number"
        raise ValueError(msg)  # noqa: TRY004 - what pydantic makes an error of this field
    return value


Coordinate = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False)]


class BoxReply(BaseModel):
    """One box of a reply, in the model's own frame; the label that models like to add says nothing."""

    model_config = ConfigDict(extra="forbid")

    bbox_2d: list[Coordinate] = Field(min_length=4, max_length=4)
    label: str = ""


def box_in_source(reply: BoxReply, frame: Sequence[int], source: Sequence[int]) -> Box:
    """A box of a reply in pixels of the source, cut at its border.

    Args:
        reply: left, top, right, bottom in the model's frame.
        frame: (width, height) of the picture in that frame.
        source: (width, height) of the source, pixels.

    Raises:
        BadReply: ``out_of_range`` when it lies outside the picture, ``bad_value`` when its corners are not in order.
    """
    x0, y0, x1, y1 = reply.bbox_2d
    if x1 <= x0 or y1 <= y0:
        raise BadReply("bad_value", "boxes are left, top, right, bottom")
    across, down = source[0] / frame[0], source[1] / frame[1]
    whole = Box(x0=round(x0 * across), y0=round(y0 * down), x1=round(x1 * across), y1=round(y1 * down))
    box = clip(whole, source[0], source[1])
    if not box.area:
        raise BadReply("out_of_range", f"the picture is {frame[0]} by {frame[1]}")
    return box
