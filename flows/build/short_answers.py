"""One-line summaries of answers of any role, to check by eye whether a model works."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

import numpy as np

from tasks.records.records import Box, Tag
from tasks.roles.questions import (
    Detection,
    EditScores,
    Referents,
    Segmentation,
    TargetVerdict,
    TextVerdict,
    WrittenInstruction,
)

SHOWN = 4
"""Maximum number of list items shown."""


@singledispatch
def in_short(answer: Any) -> str:
    """The answer on one line."""
    return str(answer)


@in_short.register(str)
def _text(answer: str) -> str:
    return repr(answer)


@in_short.register(np.ndarray)
def _picture(answer: np.ndarray[Any, Any]) -> str:
    return f"picture of {answer.shape[1]} x {answer.shape[0]}"


@in_short.register(tuple)
@in_short.register(list)
def _several(answer: tuple[Any, ...] | list[Any]) -> str:
    more = f" and {len(answer) - SHOWN} more" if len(answer) > SHOWN else ""
    return f"{', '.join(map(in_short, answer[:SHOWN]))}{more}" if answer else "nothing"


@in_short.register(Referents)
def _referents(answer: Referents) -> str:
    return _several([*answer.objects, *answer.boxes])


@in_short.register(int)
def _object(index: int) -> str:
    return f"object {index + 1}"


@in_short.register(Box)
def _box(box: Box) -> str:
    return f"box {box.x0} {box.y0} {box.x1} {box.y1}"


@in_short.register(Tag)
def _tag(answer: Tag) -> str:
    return f"{answer.name} {answer.score:.2f}"


@in_short.register(Detection)
def _detection(answer: Detection) -> str:
    return f"{answer.label} {answer.score:.2f}"


@in_short.register(Segmentation)
def _mask(answer: Segmentation) -> str:
    return f"mask of {np.count_nonzero(answer.mask) / answer.mask.size:.1%} ({answer.score:.2f})"


@in_short.register(TargetVerdict)
def _target(answer: TargetVerdict) -> str:
    if answer.together:
        return "target kept" if answer.precise and answer.hard else "target refused"
    return f"mask {'' if answer.precise else 'not '}precise, target {'hard' if answer.hard else 'easy'}"


@in_short.register(WrittenInstruction)
def _written(answer: WrittenInstruction) -> str:
    return f"{answer.edit_type} ({answer.argument or 'no argument'}): {answer.instruction!r}"


@in_short.register(TextVerdict)
def _agreement(answer: TextVerdict) -> str:
    return f"agreement {answer.agreement:.2f}"


@in_short.register(EditScores)
def _scores(answer: EditScores) -> str:
    return f"accuracy {answer.accuracy:g}, seamlessness {answer.seamlessness:g}"
