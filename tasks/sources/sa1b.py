"""SA-1B: photographs ``sa_N.jpg`` with masks in ``sa_N.json`` beside them, given to the segmenter as hints.

{"image": {"width", "height", …},
 "annotations": [{"bbox": [x, y, w, h], "segmentation": {"size": [h, w], "counts": str},
                  "predicted_iou", "stability_score", …}]}
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from pydantic import BaseModel, Field, ValidationError

from tasks.imaging.geometry import box_of, from_rle
from tasks.records.errors import Reason
from tasks.records.outcomes import SourceEntry
from tasks.records.records import MaskHint, Rle

MAX_ANNOTATION_BYTES = 50_000_000
"""Limit for one annotation file; real ones are below one million bytes."""

_PHOTOGRAPH = re.compile(r"(?:.*/)?sa_\d+\.jpg")


class _Segmentation(BaseModel):
    size: tuple[int, int]
    counts: str


class _Annotation(BaseModel):
    segmentation: _Segmentation
    predicted_iou: float = Field(ge=0, le=2)
    stability_score: float = Field(ge=0, le=2)


class _Document(BaseModel):
    annotations: list[_Annotation]


def looks_like_sa1b(entries: Sequence[SourceEntry]) -> bool:
    """Whether any ``sa_N.jpg`` has its ``sa_N.json``."""
    locations = {entry.location for entry in entries}
    return any(_PHOTOGRAPH.fullmatch(name) and f"{_stem(name)}.json" in locations for name in locations)


def pair_annotations(entries: Sequence[SourceEntry]) -> list[SourceEntry]:
    """Adds to each photograph its annotation's place; an annotation without a photograph is ``bad_annotation``."""
    documents = {_stem(e.location): e for e in entries if e.location.endswith(".json")}
    photographs = [e for e in entries if not e.location.endswith(".json")]
    paired = []
    for entry in photographs:
        document = documents.get(_stem(entry.location))
        if document is None:
            paired.append(entry)
        elif document.problem:
            # The photograph itself is usable: it continues, and its annotation is reported as unusable later.
            paired.append(replace(entry, annotation=document.path, annotation_length=0))
        else:
            paired.append(_with_annotation(entry, document))
    owners = {_stem(entry.location) for entry in photographs}
    orphans = [
        replace(document, problem=document.problem or Reason.BAD_ANNOTATION.value)
        for stem, document in documents.items()
        if stem not in owners
    ]
    return paired + orphans


def parse_annotations(data: bytes, width: int, height: int) -> tuple[MaskHint, ...]:
    """The masks of a photograph of the given size (pixels), in the file's order, without empty masks.

    Raises:
        ValueError: not JSON of this shape, a mask of another size, or invalid runs.
    """
    try:
        document = _Document.model_validate_json(data)
    except ValidationError as error:
        msg = f"{error.error_count()} faults in the annotation"
        raise ValueError(msg) from error
    hints = []
    for annotation in document.annotations:
        if annotation.segmentation.size != (height, width):
            msg = f"a mask of {annotation.segmentation.size}, the photograph has {(height, width)}"
            raise ValueError(msg)
        rle = Rle(height=height, width=width, counts=annotation.segmentation.counts)
        mask = from_rle(rle)
        if mask.any():
            hints.append(
                MaskHint(
                    # The shipped box is in fractions of pixels; the mask's own is exact and half-open.
                    box=box_of(mask),
                    mask=rle,
                    predicted_iou=float(np.clip(annotation.predicted_iou, 0, 1)),
                    stability=float(np.clip(annotation.stability_score, 0, 1)),
                )
            )
    return tuple(hints)


def _stem(location: str) -> str:
    return location.rsplit(".", 1)[0]


def _with_annotation(entry: SourceEntry, document: SourceEntry) -> SourceEntry:
    return replace(
        entry,
        annotation=document.path,
        annotation_offset=document.offset,
        annotation_length=document.length,
        version=f"{entry.version}+{document.version}",
    )
