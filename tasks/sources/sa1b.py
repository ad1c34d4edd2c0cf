"""SA-1B: photographs ``sa_N.jpg`` with masks in ``sa_N.json`` beside them, given to the segmenter as hints.

{"image": {"width", "height", …},
 "annotations": [{"bbox": [x, y, w, h], "segmentation": {"size": [h, w], "counts": str},
                  "predicted_iou", "stability_score", …}]}
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from pydantic import BaseModel, Field, ValidationError

from tasks.imaging.geometry import box_of, from_rle
from tasks.records.errors import Reason
from tasks.records.outcomes import SourceEntry
from tasks.records.records import MaskHint, Rle

MAX_ANNOTATION_BYTES = 50_000_000
"""Limit for one annotation file; real ones are below one million bytes."""

_PHOTOGRAPH = re.compile(r"sa_\d+\.jpg")
_ANNOTATION = re.compile(r"sa_\d+\.json")


class _Segmentation(BaseModel):
    size: tuple[int, int]
    counts: str


class _Annotation(BaseModel):
    segmentation: _Segmentation
    predicted_iou: float = Field(ge=0, le=2)
    stability_score: float = Field(ge=0, le=2)


class _Document(BaseModel):
    annotations: list[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotations:
    """What a photograph's annotation holds.

    Attributes:
        hints: its masks, in the file's order, without empty ones.
        dropped: masks that are damaged, of another size, or lack a score.
    """

    hints: tuple[MaskHint, ...]
    dropped: int


def is_annotation(location: str) -> bool:
    """Whether a file is an annotation by its name."""
    return _ANNOTATION.fullmatch(_name(location)) is not None


def looks_like_sa1b(entries: Sequence[SourceEntry]) -> bool:
    """Whether any ``sa_N.jpg`` has its ``sa_N.json``, beside it or in another folder."""
    names = {_name(entry.location) for entry in entries}
    return any(_PHOTOGRAPH.fullmatch(name) and f"{_stem(name)}.json" in names for name in names)


def pair_annotations(entries: Sequence[SourceEntry]) -> list[SourceEntry]:
    """Adds to each photograph its annotation's place: the JSON of its name beside it, else the only one of its name
    in any folder. An annotation without a photograph is a ``bad_annotation``.
    """
    documents = {_stem(e.location): e for e in entries if e.location.endswith(".json")}
    elsewhere: dict[str, list[SourceEntry]] = defaultdict(list)
    for stem, document in documents.items():
        elsewhere[_name(stem)].append(document)
    photographs = [e for e in entries if not e.location.endswith(".json")]
    names = Counter(_name(_stem(entry.location)) for entry in photographs)
    paired, taken = [], set[str]()
    for entry in photographs:
        stem = _stem(entry.location)
        others = elsewhere[_name(stem)] if names[_name(stem)] == 1 else []
        found = documents.get(stem) or (others[0] if len(others) == 1 else None)
        taken |= {found.location} if found else set()
        paired.append(_with_annotation(entry, found) if found else entry)
    orphans = [
        replace(
            document,
            problem=document.problem or Reason.BAD_ANNOTATION.value,
            detail=document.detail or "no photograph of this name",
        )
        for document in documents.values()
        if document.location not in taken
    ]
    return paired + orphans


def parse_annotations(data: bytes, width: int, height: int) -> Annotations:
    """The masks of a photograph of the given size (pixels).

    Raises:
        ValueError: not JSON of this shape.
    """
    try:
        document = _Document.model_validate_json(data)
    except ValidationError as error:
        msg = f"{error.error_count()} faults in the annotation"
        raise ValueError(msg) from error
    hints = []
    dropped = 0
    for annotation in document.annotations:
        try:
            hint = _hint(_Annotation.model_validate(annotation), width, height)
        except ValueError:  # pydantic's own is one, too
            dropped += 1
            continue
        hints += [hint] if hint else []
    return Annotations(hints=tuple(hints), dropped=dropped)


def _hint(annotation: _Annotation, width: int, height: int) -> MaskHint | None:
    """The mask of one annotation, None if it is empty.

    Raises:
        ValueError: of another size, or invalid runs.
    """
    if annotation.segmentation.size != (height, width):
        msg = f"a mask of {annotation.segmentation.size}, the photograph has {(height, width)}"
        raise ValueError(msg)
    rle = Rle(height=height, width=width, counts=annotation.segmentation.counts)
    mask = from_rle(rle)
    if not mask.any():
        return None
    return MaskHint(
        # The shipped box is in fractions of pixels; the mask's own is exact and half-open.
        box=box_of(mask),
        mask=rle,
        predicted_iou=float(np.clip(annotation.predicted_iou, 0, 1)),
        stability=float(np.clip(annotation.stability_score, 0, 1)),
    )


def _name(location: str) -> str:
    return location.rsplit("/", 1)[-1]


def _stem(location: str) -> str:
    return location.rsplit(".", 1)[0]


def _with_annotation(entry: SourceEntry, document: SourceEntry) -> SourceEntry:
    if document.problem:
        # The photograph itself is usable: it continues, and its annotation is reported as unusable later.
        return replace(entry, annotation=document.path, annotation_length=0)
    return replace(
        entry,
        annotation=document.path,
        annotation_offset=document.offset,
        annotation_length=document.length if document.member else -1,
        version=f"{entry.version}+{document.version}",
    )
