"""Searches for a removed object's shape: given the same box, the segmenter should no longer find it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tasks.imaging.arrays import Image, Mask
from tasks.imaging.masks import mask_iou
from tasks.records.errors import Reason
from tasks.records.records import Box, SceneObject
from tasks.roles.asks import AskSegmenter
from tasks.roles.picture import Picture
from tasks.roles.questions import Detection, SegmentQuestion
from tasks.stages.editing.gates import Gate, gate


async def trace_gate(
    segmenter: AskSegmenter,
    edited: Image,
    crop: Box,
    targets: Sequence[SceneObject],
    mask: Mask,
    bound: float,
    subject: str,
) -> Gate:
    """How much of the object's outline is left, 0..1: overlap with its old mask times the segmenter's score.

    Overlap counts from what the bare box has, since that is what a segmenter gives where it finds nothing.

    A bad fill (a blob, a ghost, a leftover rim) has the outline of its hole, which a segmenter finds immediately; on a
    good one it finds something else, or nothing with certainty. Before the removal it did find the object there: the
    target's mask is its answer.

    Args:
        segmenter: the one that made the target's mask, or another.
        edited: the crop after the removal, (h, w, 3).
        crop: its position in the picture.
        targets: the removed objects, boxes in picture pixels.
        mask: their old mask in crop pixels, (h, w).
        bound: maximum that passes.
        subject: id of the sample, for messages.
    """
    boxes = tuple(Detection(label=o.label, score=o.score, box=_moved(o.box, crop)) for o in targets)
    question = SegmentQuestion(subject=subject, picture=Picture.of_pixels(edited), detections=boxes)
    found = await segmenter(question)
    chance = mask_iou(_boxes(boxes, mask), mask)
    value = max((_above(mask_iou(s.mask, mask), chance) * s.score for s in found), default=0.0)
    return gate("trace_of_shape", value, Reason.STILL_THERE, high=bound)


def _boxes(found: Sequence[Detection], mask: Mask) -> Mask:
    """All pixels (h, w) in the boxes."""
    inside = np.zeros_like(mask)
    for each in found:
        inside[max(0, each.box.y0) : each.box.y1, max(0, each.box.x0) : each.box.x1] = True
    return inside


def _above(overlap: float, chance: float) -> float:
    """The overlap between chance (0) and full agreement (1)."""
    return max(0.0, overlap - chance) / max(1e-3, 1 - chance)


def _moved(box: Box, crop: Box) -> Box:
    return Box(x0=box.x0 - crop.x0, y0=box.y0 - crop.y0, x1=box.x1 - crop.x0, y1=box.y1 - crop.y0)
