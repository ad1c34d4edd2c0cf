"""Quality measures of a mask without ground truth: stability, shape, edges, colors."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.imaging.arrays import Image, Mask
from tasks.imaging.geometry import grow
from tasks.imaging.masks import mask_iou
from tasks.records.records import Box


def stability(logits: NDArray[np.float32], step: float = 1.0) -> float:
    """IoU 0..1 of the masks thresholded at +step and -step, as in Segment Anything."""
    return mask_iou(logits > step, logits > -step)


def fill_holes(mask: Mask, max_share: float) -> Mask:
    """The mask with holes of at most ``max_share`` of its area filled; larger ones are real (a chair's frame)."""
    area = int(np.count_nonzero(mask))
    count, labels, stats, _ = cv2.connectedComponentsWithStats((~mask).astype(np.uint8), connectivity=4)
    height, width = mask.shape
    filled = mask.copy()
    for i in range(1, count):
        x, y, w, h, size = (int(v) for v in stats[i])
        inner = x > 0 and y > 0 and x + w < width and y + h < height
        if inner and size <= max_share * area:
            filled[labels == i] = True
    return filled


def solidity(mask: Mask) -> float:
    """Area over the area of the convex hull, 0..1 (0 for an empty mask); 1 for a disc, less where parts stick out."""
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not contours:
        return 0.0
    hull = np.zeros(mask.shape, np.uint8)
    cv2.fillConvexPoly(hull, cv2.convexHull(np.vstack(contours)), 1)
    return int(np.count_nonzero(mask)) / int(np.count_nonzero(hull))


def slenderness(mask: Mask) -> float:
    """Height over the width of the body, which is the median of the rows' longest runs: a handle does not count.

    0 for an empty mask.
    """
    rows = np.flatnonzero(mask.any(axis=1))
    if not rows.size:
        return 0.0
    runs = [_longest_run(mask[row]) for row in range(rows[0], rows[-1] + 1)]
    return len(runs) / max(1.0, float(np.median(runs)))


def _longest_run(row: Mask) -> int:
    steps = np.flatnonzero(np.diff(np.concatenate([[0], row.astype(np.int8), [0]])))
    return int((steps[1::2] - steps[::2]).max()) if steps.size else 0


def inner_point(mask: Mask) -> tuple[float, float]:
    """(x, y) of the pixel farthest from the outline; the first in row order where several are."""
    distance = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
    y, x = np.unravel_index(int(distance.argmax()), mask.shape)
    return float(x) + 0.5, float(y) + 0.5


def edge_ratio(image: Image, mask: Mask, box: Box, side_px: int = 320) -> float:
    """Color step across the outline over the mean step around it; about 1 for a random outline.

    Measured on the box with a margin, at most ``side_px`` long, in Lab.
    """
    lab, inside = _window(image, mask, box, side_px)
    steps = _gradient(lab)
    kernel = np.ones((3, 3), np.uint8)
    outline = (cv2.dilate(inside, kernel) > 0) & (cv2.erode(inside, kernel) == 0)
    near = cv2.dilate(inside, np.ones((15, 15), np.uint8)) > 0
    if not outline.any() or not (near & ~outline).any():
        return 0.0
    # The outline may be off by a pixel, so the largest step within one pixel counts.
    reached = cv2.dilate(steps, kernel)
    return float(reached[outline].mean() / (reached[near & ~outline].mean() + 1e-6))


def color_distance(image: Image, mask: Mask, box: Box, side_px: int = 320) -> float:
    """Distance 0..1 between the colors just inside and just outside the outline (total variation)."""
    lab, inside = _window(image, mask, box, side_px)
    reach = max(3, round(0.06 * max(inside.shape)) | 1)
    kernel = np.ones((reach, reach), np.uint8)
    ring = (cv2.dilate(inside, kernel) > 0) & (inside == 0)
    rim = (inside > 0) & (cv2.erode(inside, kernel) == 0)
    if not ring.any() or not rim.any():
        return 0.0
    return float(0.5 * np.abs(_histogram(lab[rim]) - _histogram(lab[ring])).sum())


def _window(
    image: Image, mask: Mask, box: Box, side_px: int
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    height, width = mask.shape
    part = grow(box, round(0.15 * max(box.width, box.height)) + 4, width, height)
    crop = image[part.y0 : part.y1, part.x0 : part.x1]
    inside = mask[part.y0 : part.y1, part.x0 : part.x1].astype(np.uint8)
    scale = min(1.0, side_px / max(part.width, part.height))
    if scale < 1:
        size = (max(1, round(part.width * scale)), max(1, round(part.height * scale)))
        crop = np.asarray(cv2.resize(crop, size, interpolation=cv2.INTER_AREA), np.uint8)
        inside = np.asarray(cv2.resize(inside, size, interpolation=cv2.INTER_NEAREST), np.uint8)
    lab = cv2.cvtColor(crop.astype(np.float32) / np.float32(255), cv2.COLOR_RGB2Lab)
    return np.asarray(lab, np.float32), inside


def _gradient(lab: NDArray[np.float32]) -> NDArray[np.float32]:
    dx = cv2.Sobel(lab, cv2.CV_32F, 1, 0, ksize=3)
    dy = cv2.Sobel(lab, cv2.CV_32F, 0, 1, ksize=3)
    return np.asarray(np.sqrt((dx * dx + dy * dy).sum(axis=2)), np.float32)


def _histogram(lab: NDArray[np.float32]) -> NDArray[np.float64]:
    cells = np.stack(
        [
            np.clip(lab[:, 0] / 100 * 8, 0, 7),
            np.clip((lab[:, 1] + 64) / 128 * 12, 0, 11),
            np.clip((lab[:, 2] + 64) / 128 * 12, 0, 11),
        ],
        axis=1,
    ).astype(np.int64)
    flat = (cells[:, 0] * 12 + cells[:, 1]) * 12 + cells[:, 2]
    counts = np.bincount(flat, minlength=8 * 12 * 12).astype(np.float64)
    return np.asarray(counts / counts.sum(), np.float64)
