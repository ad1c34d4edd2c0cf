"""Patch comparison: how far filled patches are from the real patches around them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.imaging.arrays import Image, Mask
from tasks.imaging.color_names import to_lab
from tasks.imaging.masks import dilate

MAX_POINTS, MAX_SOURCES = 1500, 12_000
"""Largest numbers of hole and source patches, both sampled on a regular grid."""

TAP = 3
"""Spacing, in pixels, of the 3 x 3 samples that describe a patch."""

NOVELTY_SIDE = 384
"""Longer side, in pixels, at which fillings are compared: coarse enough to hide grain."""


def novel_share(image: Image, hole: Mask, avoid: Mask, distance: float) -> float:
    """Share of the filling's patches that resemble nothing around the hole, as those of an invented object.

    Args:
        image: the window with its hole filled.
        hole: filled pixels.
        avoid: pixels of other objects, which are not compared with.
        distance: Lab distance to the nearest real patch from which a patch is novel.
    """
    scale = min(1.0, NOVELTY_SIDE / max(hole.shape))
    size = (max(1, round(hole.shape[1] * scale)), max(1, round(hole.shape[0] * scale)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    inside = cv2.resize(hole.astype(np.uint8) * 255, size, interpolation=cv2.INTER_AREA) > 127
    barred = cv2.resize((avoid & ~hole).astype(np.uint8) * 255, size, interpolation=cv2.INTER_AREA) > 0
    # Lab times two as bytes: whole numbers of sufficient resolution.
    coded = np.clip(to_lab(np.asarray(small, np.uint8)) * 2 + np.array([0, 128, 128]), 0, 255).astype(
        np.uint8
    )
    described = describe(coded)
    points, sources = grid(inside, MAX_POINTS), grid(~dilate(inside | barred, TAP + 1), MAX_SOURCES)
    if not len(points) or not len(sources):
        return 0.0
    asked = described[points[:, 0], points[:, 1]]
    real = described[sources[:, 0], sources[:, 1]]
    apart = np.sqrt(((asked - real[nearest(asked, real)]) ** 2).sum(axis=1) / 9) / 2
    return float((apart > distance).mean())


def describe(image: Image) -> NDArray[np.float32]:
    """Each pixel's 3 x 3 blurred samples, (H, W, 27) float32 of whole numbers.

    Whole numbers this small add up exactly in float32, so no thread count changes a nearest neighbor.
    """
    blurred = cv2.GaussianBlur(image, (0, 0), 1.5)
    padded = cv2.copyMakeBorder(blurred, TAP, TAP, TAP, TAP, cv2.BORDER_REFLECT)
    height, width = image.shape[:2]
    taps = [padded[y : y + height, x : x + width] for y in (0, TAP, 2 * TAP) for x in (0, TAP, 2 * TAP)]
    return np.concatenate(taps, axis=2).astype(np.float32)


def nearest(points: NDArray[np.float32], sources: NDArray[np.float32]) -> NDArray[np.int64]:
    """Index of the nearest of ``sources`` (M, D) for each of ``points`` (N, D)."""
    squares = (sources**2).sum(axis=1)
    found = [
        np.argmin(squares - 2 * block @ sources.T, axis=1)
        for block in np.array_split(points, 8)
        if len(block)
    ]
    return np.concatenate(found)


def grid(mask: Mask, most: int) -> NDArray[np.int64]:
    """(y, x) of the mask's pixels, thinned evenly to at most about ``most``."""
    step = max(1, int(np.ceil(np.sqrt(mask.sum() / most))))
    kept = np.zeros_like(mask)
    kept[::step, ::step] = mask[::step, ::step]
    return np.argwhere(kept)
