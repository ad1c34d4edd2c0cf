"""Appearance effects by classical image processing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.imaging.arrays import Image, Mask
from tasks.imaging.color_names import to_lab, to_rgb

MOSAIC_BLOCKS = 14
"""Blocks along the longer side of a pixelated object."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """One effect.

    Attributes:
        needs_color: whether the effect only shows on a colorful object.
        apply: (picture, target mask) -> the picture with the effect everywhere; alpha is the caller's.
    """

    needs_color: bool
    apply: Callable[[Image, Mask], Image]


def black_and_white(image: Image, mask: Mask) -> Image:
    """The picture without color, lightness kept."""
    del mask
    lab = to_lab(image)
    lab[..., 1:] = 0
    return to_rgb(lab)


def sepia(image: Image, mask: Mask) -> Image:
    """The picture in brown tones, as an old print."""
    del mask
    lab = to_lab(image)
    lab[..., 0] = 12 + lab[..., 0] * 0.84
    tone = np.clip(lab[..., 0] / 60, 0.4, 1.0) * np.clip((104 - lab[..., 0]) / 34, 0.3, 1.0)
    lab[..., 1], lab[..., 2] = 9.5 * tone, 30.0 * tone
    return to_rgb(lab)


def pixelated(image: Image, mask: Mask) -> Image:
    """The picture as a mosaic of square blocks, sized by the target and mixed from the target's pixels alone."""
    height, width = image.shape[:2]
    block = max(4, round(longest_side(mask) / MOSAIC_BLOCKS))
    counted = mask if mask.any() else np.ones(mask.shape, bool)
    pad = ((0, -height % block), (0, -width % block))
    weight = np.pad(counted.astype(np.float32), pad)
    color = np.pad(image.astype(np.float32), (*pad, (0, 0))) * weight[..., None]
    size = (weight.shape[1] // block, weight.shape[0] // block)
    # Means over the mask only: otherwise blocks on the rim mix with the background and look transparent.
    share = np.asarray(cv2.resize(weight, size, interpolation=cv2.INTER_AREA), np.float32)
    mean = cv2.resize(color, size, interpolation=cv2.INTER_AREA) / np.maximum(share, 1e-6)[..., None]
    large = np.repeat(np.repeat(mean.astype(np.float32), block, axis=0), block, axis=1)[:height, :width]
    return np.where(_block_touched(share, block, height, width)[..., None], _bytes(large), image)


def pencil_sketch(image: Image, mask: Mask) -> Image:
    """The picture as a pencil drawing on white paper: dark lines where tones change, slanting strokes for shade."""
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    sigma = max(2.0, min(image.shape[:2]) / 60)
    smooth = np.asarray(cv2.bilateralFilter(gray, 7, 30, 5), np.float32)
    lines = np.clip(smooth / np.maximum(cv2.GaussianBlur(smooth, (0, 0), sigma), 1), 0, 1) ** 3
    # Shade relative to the object's own range, so that dark objects have paper between the strokes as well.
    low, high = np.percentile(smooth[mask], (2, 98)) if mask.any() else (0.0, 255.0)
    # What has hardly any shading is paper, not shade all over.
    shade = 1 - np.clip((smooth - min(low, high - 60.0)) / max(float(high - low), 60.0), 0, 1)
    strokes = _strokes(image.shape[:2], longest_side(mask))
    drawn = np.clip((0.30 + 0.75 * shade - strokes) / 0.7, 0, 1)
    paper = 248 - 105 * drawn - 55 * shade
    values = np.asarray(paper * (0.15 + 0.85 * lines) * _contour(mask), np.float32)
    return np.repeat(_bytes(values)[..., None], 3, axis=2)


EFFECTS: dict[str, Effect] = {
    "black and white": Effect(
        needs_color=True,
        apply=black_and_white,
    ),
    "sepia": Effect(
        needs_color=False,
        apply=sepia,
    ),
    "pixelated": Effect(
        needs_color=False,
        apply=pixelated,
    ),
    "pencil sketch": Effect(
        needs_color=False,
        apply=pencil_sketch,
    ),
}
"""Effect by its name; the name is the plan's argument for Appearance."""


def longest_side(mask: Mask) -> float:
    """Longer side of the mask's box in pixels; of the picture when the mask is empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return float(max(np.ptp(rows), np.ptp(columns)) + 1) if rows.size else float(max(mask.shape))


def _contour(mask: Mask) -> NDArray[np.float32]:
    """Factor (H, W), 0..1, that draws a line inside the mask's outline: a white thing on white would melt into it."""
    if not mask.any() or mask.all():
        return np.ones(mask.shape, np.float32)
    width = max(1.2, longest_side(mask) / 220)
    inward = np.asarray(cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5), np.float32)
    # The blend makes the outermost pixels transparent, so the line lies a little inside.
    return np.asarray(1 - 0.75 * np.exp(-(((inward - 1.6 * width) / width) ** 2)), np.float32)


def _strokes(shape: tuple[int, ...], longest: float) -> NDArray[np.float32]:
    """Threshold (H, W), 0..1, above which shade is drawn: slanting pencil strokes, equal for equal sizes."""
    noise = np.random.default_rng(7).uniform(0, 1, shape).astype(np.float32)
    width = max(0.6, longest / 480)
    length = int(np.clip(round(longest / 18), 7, 41)) | 1
    slant = np.eye(length, dtype=np.float32)[::-1] / length
    streaks = cv2.filter2D(cv2.GaussianBlur(noise, (0, 0), width), -1, slant, borderType=cv2.BORDER_REFLECT)
    rank = (streaks - float(streaks.mean())) / (float(streaks.std()) or 1.0)
    return np.asarray(np.clip(0.5 + 0.3 * rank, 0, 1), np.float32)


def _block_touched(share: NDArray[np.float32], block: int, height: int, width: int) -> Mask:
    return np.repeat(np.repeat(share > 0, block, axis=0), block, axis=1)[:height, :width]


def _bytes(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
