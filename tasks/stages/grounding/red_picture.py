"""The pictures that show a target: red mask at opacity 0.5 and red box, or the box alone."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from tasks.imaging.arrays import Image, Mask
from tasks.records.records import Box

RED = (255, 0, 0)
MASK_OPACITY = 0.5
"""Paper 3.1, step 1: "a red semi-transparent mask (opacity 0.5) and a red bounding box"."""


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
