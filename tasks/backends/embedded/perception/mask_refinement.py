"""Refines a coarse mask along the edges of the photograph with the guided filter (He, Sun and Tang 2010)."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.imaging.arrays import Image, Mask
from tasks.imaging.geometry import box_of, grow

EPSILON = 1e-3
"""Regularization for colors in 0..1 (equation 14): steps under about 0.03 don't attract the outline."""

WORK_SIDE_PX = 512
"""Longer windows are reduced to this side, pixels; finer detail is below the accuracy of the coarse mask."""

REACH_CELLS = 1.5
"""How far the outline may move, in cells of the coarse mask."""


def refine(image: Image, logits: NDArray[np.float32]) -> Mask:
    """The mask (H, W) bool of coarse logits (h, w) float32 that cover the picture (H, W, 3) uint8.

    The chance of being inside (the logistic of the logits) is filtered with the photograph as guide, in a
    window around the coarse mask; above one half is inside.
    """
    height, width = image.shape[:2]
    full = np.asarray(cv2.resize(logits, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
    coarse = full > 0
    if not coarse.any():
        return coarse
    cell = max(height / logits.shape[0], width / logits.shape[1])
    part = grow(box_of(coarse), round(2 * REACH_CELLS * cell) + 2, width, height)
    rows, columns = slice(part.y0, part.y1), slice(part.x0, part.x1)
    guide = image[rows, columns].astype(np.float32) / np.float32(255)
    chance = 1 / (1 + np.exp(-np.clip(full[rows, columns], -8, 8)))
    scale = min(1.0, WORK_SIDE_PX / max(part.width, part.height))
    if scale < 1:
        size = (max(1, round(part.width * scale)), max(1, round(part.height * scale)))
        guide = np.asarray(cv2.resize(guide, size, interpolation=cv2.INTER_AREA), np.float32)
        chance = np.asarray(cv2.resize(chance, size, interpolation=cv2.INTER_AREA), np.float64)
    fine = guided_filter(guide, np.asarray(chance, np.float32), max(2, round(REACH_CELLS * cell * scale)))
    if scale < 1:
        fine = np.asarray(
            cv2.resize(fine, (part.width, part.height), interpolation=cv2.INTER_LINEAR), np.float32
        )
    mask = np.zeros((height, width), bool)
    mask[rows, columns] = fine > 0.5
    return mask


def guided_filter(
    guide: NDArray[np.float32], values: NDArray[np.float32], radius: int
) -> NDArray[np.float32]:
    """``values`` (H, W), smoothed so that they are locally linear in the colors ``guide`` (H, W, 3), 0..1."""

    def mean(field: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(cv2.boxFilter(field, -1, (2 * radius + 1, 2 * radius + 1)), np.float32)

    guide_mean, value_mean = mean(guide), mean(values)
    covariance = mean(guide * values[..., None]) - guide_mean * value_mean[..., None]
    spread = np.empty((*guide.shape, 3), np.float32)
    for i in range(3):
        for j in range(3):
            spread[..., i, j] = mean(guide[..., i] * guide[..., j]) - guide_mean[..., i] * guide_mean[..., j]
    spread += EPSILON * np.eye(3, dtype=np.float32)
    slope = np.asarray(np.linalg.solve(spread, covariance[..., None])[..., 0], np.float32)
    offset = value_mean - (slope * guide_mean).sum(axis=-1)
    return np.asarray((mean(slope) * guide).sum(axis=-1) + mean(offset), np.float32)
