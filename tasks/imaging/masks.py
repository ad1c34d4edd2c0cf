"""Masks as sets of pixels: growing, shrinking, agreement, pieces. All masks are (H, W) bool."""

from __future__ import annotations

import cv2
import numpy as np

from tasks.imaging.arrays import Mask


def dilate(mask: Mask, radius: int) -> Mask:
    """``mask`` grown by a disc of ``radius`` pixels."""
    if radius <= 0:
        return mask
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return cv2.dilate(mask.astype(np.uint8), kernel) > 0


def erode(mask: Mask, radius: int) -> Mask:
    """``mask`` shrunk by a disc of ``radius`` pixels; the frame counts as inside."""
    return ~dilate(~mask, radius)


def clear_of_frame(shape: tuple[int, ...], margin: int) -> Mask:
    """Pixels (H, W) at least ``margin`` from the picture's frame, where no border of interest lies."""
    clear = np.zeros(shape[:2], bool)
    clear[margin:-margin, margin:-margin] = True
    return clear


def mask_iou(a: Mask, b: Mask) -> float:
    """Intersection over union of two masks of one shape, 0..1 (0 when both are empty)."""
    union = int(np.count_nonzero(a | b))
    return int(np.count_nonzero(a & b)) / union if union else 0.0


def large_pieces(mask: Mask, least: float) -> tuple[Mask, float]:
    """The 8-connected pieces of at least this share 0..1 of the mask's pixels, and their share together."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count < 2:
        return mask.copy(), 0.0
    areas = stats[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0
    kept = areas >= max(1.0, least * areas.sum())
    return kept[labels], float(areas[kept].sum() / areas.sum())


def largest_piece(mask: Mask) -> tuple[Mask, float]:
    """The largest 8-connected piece, and its share of the mask's pixels, 0..1 (0 for an empty mask)."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count < 2:
        return mask.copy(), 0.0
    best = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    return labels == best, float(stats[best, cv2.CC_STAT_AREA] / stats[1:, cv2.CC_STAT_AREA].sum())
