"""The pictures that show a target or number the objects: red mask at opacity 0.5 and red box, the box alone, marks."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from tasks.imaging.arrays import Image, Mask
from tasks.imaging.geometry import from_rle
from tasks.records.records import Box, GroundedTarget
from tasks.roles.picture import Picture

RED = (255, 0, 0)
MASK_OPACITY = 0.5
"""Paper 3.1, step 1: "a red semi-transparent mask (opacity 0.5) and a red bounding box"."""


def marked_with_boxes(picture: Picture, boxes: Sequence[Box]) -> Picture:
    """The picture with each box outlined: what the instructor sees (paper Figure 19)."""
    return picture.marked({"boxes": _corners(boxes)}, lambda image: draw_box(image, boxes))


def marked_with_mask(picture: Picture, target: GroundedTarget) -> Picture:
    """The picture with the target's red mask and boxes: the visual grounding."""
    boxes = [thing.box for thing in target.objects]
    marks = {"boxes": _corners(boxes), "mask": target.mask.counts}
    return picture.marked(marks, lambda image: draw_mask_and_box(image, from_rle(target.mask), boxes))


def numbered(picture: Picture, boxes: Sequence[Box]) -> Picture:
    """The picture with the number of each box (from 0) in its middle: what a referrer points at."""
    return picture.marked({"numbers": _corners(boxes)}, lambda image: draw_numbers(image, boxes))


def draw_numbers(image: Image, boxes: Sequence[Box]) -> Image:
    """A copy of ``image`` with a numbered plate in the middle of each box, larger ones first."""
    marked = np.ascontiguousarray(image).copy()
    scale = max(0.5, min(image.shape[:2]) / 900)
    thickness = max(1, round(2 * scale))
    for number in sorted(range(len(boxes)), key=lambda n: -boxes[n].area):
        text = str(number)
        (width, height), base = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thickness)
        x, y = (round(value) for value in boxes[number].center)
        left, top = max(0, x - width // 2), max(height + base, y + height // 2)
        cv2.rectangle(marked, (left - 3, top - height - 3), (left + width + 3, top + base), (0, 0, 0), -1)
        cv2.putText(marked, text, (left, top), cv2.FONT_HERSHEY_SIMPLEX, scale, (255, 255, 255), thickness)
    return marked


def draw_box(image: Image, boxes: Sequence[Box]) -> Image:
    """A copy of ``image`` with each box outlined in red; the line lies on the box's border pixels."""
    marked = np.ascontiguousarray(image).copy()
    thickness = line_width(image.shape[0], image.shape[1])
    for box in boxes:
        cv2.rectangle(marked, (box.x0, box.y0), (box.x1 - 1, box.y1 - 1), RED, thickness)
    return marked


def draw_mask_and_box(image: Image, mask: Mask, boxes: Sequence[Box]) -> Image:
    """A copy of ``image`` with the masked pixels half red and each box outlined: the visual grounding."""
    marked = image.copy()
    tinted = marked[mask].astype(np.float32) * (1 - MASK_OPACITY) + np.array(RED, np.float32) * MASK_OPACITY
    marked[mask] = np.round(tinted).astype(np.uint8)
    return draw_box(marked, boxes)


def line_width(height: int, width: int) -> int:
    """Box line in pixels: 1 for each 300 pixels of the short side, at least 2."""
    return max(2, round(min(height, width) / 300))


def _corners(boxes: Sequence[Box]) -> list[list[int]]:
    return [[box.x0, box.y0, box.x1, box.y1] for box in boxes]
