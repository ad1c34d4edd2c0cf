"""Drafts from a line of JSON (to try gates on texts without any model), and from a raw reply.

One line: ``{"id", "size": [w, h], "objects": [{"label", "box": [x0, y0, x1, y1], "color", "part_of"}],
"target": [indices], "edit_type", "argument", "reply": {the reply's JSON}, "rewritten", "referred": [indices]}``. A mask
is the box where ``"mask"`` (COCO run-length, ``{"size": [h, w], "counts": "…"}``) is absent; ``part_of`` is the index
of the object's whole, where it is a part; color, argument, rewritten and referred are optional; ``reply`` may also be
the text as a model wrote it.
"""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from tasks.imaging.geometry import run_lengths
from tasks.records.errors import SampleError
from tasks.records.records import Box, EditType
from tasks.roles.chat import BadReply, ChatReply
from tasks.roles.instruction_reply import read_instruction, read_rewriting
from tasks.roles.questions import WrittenInstruction
from tasks.stages.instruction.words.draft import Draft
from tasks.stages.instruction.words.gate_names import ALL
from tasks.stages.instruction.words.gates import WordResult, check_words, first_refused
from tasks.stages.instruction.words.orders import named_type
from tasks.stages.instruction.words.scene import Thing, WordScene

BAD_LINE = "bad_line"
"""Replaces a reason for a line that is not a draft; never stored in rows."""

NO_ARGUMENT = frozenset({"", "none", "null", "n/a"})

MAX_SIDE = 1_000_000
"""Pixels; no picture is larger, and boxes may reach beyond it a little."""

MAX_OBJECTS, MAX_LABEL, MAX_TEXT = 2_000, 200, 20_000
"""Objects of a scene, letters of a label or an argument, and of a text; a line with more is no draft."""

_Label = Annotated[
    str, StringConstraints(strip_whitespace=True, to_lower=True, min_length=1, max_length=MAX_LABEL)
]
_Coordinate = Annotated[float, Field(ge=-MAX_SIDE, le=MAX_SIDE)]
_Coordinates = tuple[_Coordinate, _Coordinate, _Coordinate, _Coordinate]
_Side = Annotated[int, Field(le=MAX_SIDE)]
_Argument = Annotated[str, StringConstraints(max_length=MAX_LABEL)]
_Text = Annotated[str, StringConstraints(max_length=MAX_TEXT)]


def _or_empty(value: object) -> object:
    return "" if value is None else value


def _type_of(value: object) -> object:
    return (named_type(value) or value) if isinstance(value, str) else value


class _Mask(BaseModel):
    model_config = ConfigDict(extra="forbid")
    size: tuple[int, int]
    counts: str

    @field_validator("counts")
    @classmethod
    def _are_run_lengths(cls, counts: str) -> str:
        run_lengths(counts)
        return counts


class _Object(BaseModel):
    model_config = ConfigDict(extra="ignore")

    label: _Label
    box: _Coordinates
    color: Annotated[str, BeforeValidator(_or_empty)] = ""
    mask: _Mask | None = None
    part_of: int | None = None

    @model_validator(mode="after")
    def _box_has_area(self) -> _Object:
        x0, y0, x1, y1 = self.box
        if not (x0 < x1 and y0 < y1):
            msg = f"box {list(self.box)} has no area: [x0, y0, x1, y1] with x0 < x1 and y0 < y1"
            raise ValueError(msg)
        return self


class _Line(BaseModel):
    model_config = ConfigDict(extra="ignore")

    id: str | int
    size: Annotated[tuple[_Side, _Side], Field(description="width, height in pixels")]
    objects: list[_Object] = Field(min_length=1, max_length=MAX_OBJECTS)
    target: list[int] = Field(min_length=1)
    edit_type: Annotated[EditType, BeforeValidator(_type_of)]
    argument: Annotated[_Argument, BeforeValidator(_or_empty)] = ""
    reply: dict[str, Any] | str
    rewritten: Annotated[_Text, BeforeValidator(_or_empty)] = ""
    referred: list[int] | None = None

    @model_validator(mode="after")
    def _indices_exist(self) -> _Line:
        if min(self.size) < 1:
            msg = f"size {list(self.size)} is not a picture size"
            raise ValueError(msg)
        for index in self.target:
            if not 0 <= index < len(self.objects):
                msg = f"target {index} is none of the {len(self.objects)} objects"
                raise ValueError(msg)
        for number, each in enumerate(self.objects):
            whole = each.part_of
            if whole is None:
                continue
            if not 0 <= whole < len(self.objects) or self.objects[whole].part_of is not None:
                msg = f"objects.{number}.part_of: {whole} is no object that is a thing of its own"
                raise ValueError(msg)
        return self


def check_line(text: str, names: tuple[str, ...] = (ALL,)) -> dict[str, Any]:
    """The verdict on one line: ``{"id", "refused": reason or None, "detail", "gates": [...]}``.

    An unreadable line also gets a verdict: refused as `BAD_LINE`, with the error as detail.

    Args:
        text: one JSON object as described above.
        names: the gates to run, as for `check_words`.
    """
    key: str | int | None = None
    try:
        data = json.loads(text)
        key = data.get("id") if isinstance(data, dict) else None
        line = _Line.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "line"
        return _bad_line(key if isinstance(key, str | int) else None, f"{where}: {first['msg']}")
    except (ValueError, RecursionError) as error:  # JSON's own errors, and a number of thousands of digits
        return _bad_line(None, f"not JSON: {error}")
    results = check_words(_draft_of(line), names)
    refused = first_refused(results)
    return {
        "id": line.id,
        "refused": refused.reason.value if refused else None,
        "detail": refused.detail if refused else "",
        "gates": [_row(result) for result in results],
    }


def draft_of_reply(
    scene: WordScene,
    edit_type: EditType,
    argument: str,
    raw: str,
    rewritten: str = "",
    referred: tuple[int, ...] | None = None,
) -> Draft:
    """A draft from a reply as the model wrote it; an unreadable reply is a fault of the draft, not an error."""
    reply, fault = _read_reply(raw)
    return Draft(
        scene=scene,
        edit_type=edit_type,
        argument="" if argument.strip().lower() in NO_ARGUMENT else argument.strip(),
        raw=raw,
        reply=reply,
        fault=fault,
        rewritten=_read_rewriting(rewritten),
        referred=referred,
    )


def _draft_of(line: _Line) -> Draft:
    scene = WordScene(
        width=line.size[0],
        height=line.size[1],
        things=tuple(_thing(each) for each in line.objects),
        target=tuple(sorted(set(line.target))),
    )
    raw = line.reply if isinstance(line.reply, str) else json.dumps(line.reply, ensure_ascii=False)
    referred = None if line.referred is None else tuple(line.referred)
    return draft_of_reply(scene, line.edit_type, line.argument, raw, line.rewritten, referred)


def _thing(each: _Object) -> Thing:
    x0, y0, x1, y1 = (round(value) for value in each.box)
    box = Box(x0=x0, y0=y0, x1=max(x1, x0 + 1), y1=max(y1, y0 + 1))
    area = int(run_lengths(each.mask.counts)[1::2].sum()) if each.mask is not None else box.area
    color = each.color.strip().lower().replace("grey", "gray")
    return Thing(label=each.label, box=box, area=area or box.area, color=color, part_of=each.part_of)


def _read_reply(raw: str) -> tuple[WrittenInstruction | None, str]:
    try:
        return read_instruction(ChatReply(text=raw)), ""
    except SampleError as error:
        return None, f"declined: {error.detail}"
    except BadReply as error:
        return None, "declined: an apology" if error.code == "apology" else str(error)


def _read_rewriting(text: str) -> str:
    if not text.strip():
        return ""
    try:
        return read_rewriting(ChatReply(text=text))
    except BadReply:
        return " ".join(text.split())  # left to the gates, which name the problem


def _bad_line(key: str | int | None, detail: str) -> dict[str, Any]:
    return {"id": key, "refused": BAD_LINE, "detail": detail, "gates": []}


def _row(result: WordResult) -> dict[str, Any]:
    return {"name": result.name, "passed": result.passed, "decided": result.decided, "detail": result.detail}
