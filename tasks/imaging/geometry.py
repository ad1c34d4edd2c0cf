"""Boxes and run-length masks: intersection, union, enlargement, COCO RLE."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from tasks.imaging.arrays import Mask
from tasks.records.records import Box, Rle

Pixel = TypeVar("Pixel", bound=np.generic)

_MAX_GROUPS = 6
"""Groups of five bits per run length: up to 2**30 pixels."""


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


def union_box(boxes: Sequence[Box]) -> Box:
    """The smallest box around all boxes, in the same pixels."""
    return Box(
        x0=min(b.x0 for b in boxes),
        y0=min(b.y0 for b in boxes),
        x1=max(b.x1 for b in boxes),
        y1=max(b.y1 for b in boxes),
    )


def gap(a: Box, b: Box) -> float:
    """Distance of two boxes in pixels, 0 when they touch or overlap."""
    dx = max(a.x0 - b.x1, b.x0 - a.x1, 0)
    dy = max(a.y0 - b.y1, b.y0 - a.y1, 0)
    return float((dx * dx + dy * dy) ** 0.5)


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
    """``box`` scaled about its center, widened to ``min_side``, then *shifted* (not shrunk) into the picture."""
    side_x = min(width, max(round(box.width * factor), min_side))
    side_y = min(height, max(round(box.height * factor), min_side))
    cx, cy = box.center
    x0 = min(max(0, round(cx - side_x / 2)), width - side_x)
    y0 = min(max(0, round(cy - side_y / 2)), height - side_y)
    return Box(x0=x0, y0=y0, x1=x0 + side_x, y1=y0 + side_y)


def quarter_views(width: int, height: int, share: float) -> list[Box]:
    """Four corner windows, each ``share`` of the picture's sides, so that they overlap in the middle."""
    side_x, side_y = round(width * share), round(height * share)
    return [
        Box(x0=x, y0=y, x1=x + side_x, y1=y + side_y)
        for y in (0, height - side_y)
        for x in (0, width - side_x)
    ]


def box_of(mask: Mask) -> Box:
    """The tight box around a mask; all zeros for an empty one."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return Box(x0=0, y0=0, x1=0, y1=0)
    return Box(x0=int(columns[0]), y0=int(rows[0]), x1=int(columns[-1]) + 1, y1=int(rows[-1]) + 1)


def cropped(array: NDArray[Pixel], box: Box) -> NDArray[Pixel]:
    """A contiguous copy of the part of ``array`` (H, W, ...) inside ``box``."""
    return np.ascontiguousarray(array[box.y0 : box.y1, box.x0 : box.x1])


def to_rle(mask: Mask) -> Rle:
    """Encode a mask (H, W) bool as compressed COCO RLE."""
    encoded = coco.encode(np.asfortranarray(mask, dtype=np.uint8))
    height, width = mask.shape
    return Rle(height=height, width=width, counts=encoded["counts"].decode("ascii"))


def from_rle(rle: Rle) -> Mask:
    """Decode a compressed COCO RLE to (H, W) bool.

    Raises:
        ValueError: broken counts, or runs that don't add up to height * width.
    """
    runs = run_lengths(rle.counts)
    if int(runs.sum()) != rle.height * rle.width:
        raise ValueError(f"runs add up to {int(runs.sum())}, not to {rle.height} x {rle.width}")
    flat = np.repeat(np.arange(runs.size) % 2 == 1, runs)
    return np.ascontiguousarray(flat.reshape(rle.width, rle.height).T)


def run_lengths(counts: str) -> NDArray[np.int64]:
    """Run lengths of a compressed COCO RLE: zeros, ones, zeros …, all >= 0.

    Parsed here because the COCO library writes out of bounds when they don't add up to the picture.
    A number is coded in groups of five bits, low ones first, bit 5 meaning "more"; from the fourth on it is the
    difference to the run two before.

    Raises:
        ValueError: an empty string, a character out of range, a broken number or a negative run.
    """
    codes = np.frombuffer(counts.encode("ascii"), np.uint8).astype(np.int64) - 48
    ends = np.flatnonzero(codes & 32 == 0)
    if not codes.size or codes.min() < 0 or codes.max() > 63 or not ends.size or ends[-1] != codes.size - 1:
        raise ValueError("broken run lengths")
    starts = np.concatenate(([0], ends[:-1] + 1))
    sizes = ends - starts + 1
    if sizes.max() > _MAX_GROUPS:
        raise ValueError("a run length beyond any picture")
    shifts = 5 * (np.arange(codes.size) - np.repeat(starts, sizes))
    values: NDArray[np.int64] = np.add.reduceat((codes & 31) << shifts, starts)
    values -= np.where(codes[ends] & 16, np.int64(1) << (5 * sizes), 0)
    # Differences: the second run and every other one from there, and the third likewise; the first stands alone.
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    if values.min() < 0:
        raise ValueError("a negative run length")
    return values


def touches_border(box: Box, width: int, height: int, margin: float = 0.01) -> bool:
    """Whether a box reaches the picture's border, so that the thing may go on outside."""
    dx, dy = margin * width, margin * height
    return box.x0 <= dx or box.y0 <= dy or box.x1 >= width - dx or box.y1 >= height - dy
