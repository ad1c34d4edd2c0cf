"""Boxes and run-length masks: intersection, union, enlargement, COCO RLE."""

from __future__ import annotations

import numpy as np
from pycocotools import mask as coco

from tasks.records import Box, Rle
from tasks.roles.protocols import Mask


def intersection(a: Box, b: Box) -> int:
    """Pixels that lie in both boxes."""
    return max(0, min(a.x1, b.x1) - max(a.x0, b.x0)) * max(0, min(a.y1, b.y1) - max(a.y0, b.y0))


def iou(a: Box, b: Box) -> float:
    """Intersection over union of two boxes, 0..1 (0 when both are empty)."""
    common = intersection(a, b)
    union = a.area + b.area - common
    return common / union if union else 0.0


def containment(inner: Box, outer: Box) -> float:
    """Share of ``inner`` that lies in ``outer``, 0..1."""
    return intersection(inner, outer) / inner.area if inner.area else 0.0


def clip(box: Box, width: int, height: int) -> Box:
    """The part of ``box`` inside a picture of that size (may be empty)."""
    x0, y0 = min(max(box.x0, 0), width), min(max(box.y0, 0), height)
    return Box(x0=x0, y0=y0, x1=max(x0, min(box.x1, width)), y1=max(y0, min(box.y1, height)))


def grow(box: Box, pixels: int, width: int, height: int) -> Box:
    """``box`` with a margin on every side, clipped to the picture."""
    return clip(
        Box(x0=box.x0 - pixels, y0=box.y0 - pixels, x1=box.x1 + pixels, y1=box.y1 + pixels), width, height
    )


def enlarge(box: Box, factor: float, min_side: int, width: int, height: int) -> Box:
    """``box`` scaled about its centre, widened to ``min_side``, then *shifted* (not shrunk) into the picture."""
    side_x = min(width, max(round(box.width * factor), min_side))
    side_y = min(height, max(round(box.height * factor), min_side))
    cx, cy = box.center
    x0 = min(max(0, round(cx - side_x / 2)), width - side_x)
    y0 = min(max(0, round(cy - side_y / 2)), height - side_y)
    return Box(x0=x0, y0=y0, x1=x0 + side_x, y1=y0 + side_y)


def box_of(mask: Mask) -> Box:
    """The tight box around a mask; all zeros for an empty one."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return Box(x0=0, y0=0, x1=0, y1=0)
    return Box(x0=int(columns[0]), y0=int(rows[0]), x1=int(columns[-1]) + 1, y1=int(rows[-1]) + 1)


def to_rle(mask: Mask) -> Rle:
    """Encode a mask (H, W) bool as compressed COCO RLE."""
    encoded = coco.encode(np.asfortranarray(mask, dtype=np.uint8))
    height, width = mask.shape
    return Rle(height=height, width=width, counts=encoded["counts"].decode("ascii"))


def from_rle(rle: Rle) -> Mask:
    """Decode a compressed COCO RLE to (H, W) bool.

    Raises:
        ValueError: when the runs don't add up to height * width.
    """
    decoded = coco.decode({"size": [rle.height, rle.width], "counts": rle.counts.encode("ascii")})
    return decoded.astype(bool)
