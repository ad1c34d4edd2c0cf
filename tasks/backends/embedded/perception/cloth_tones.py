"""Two garments in one mask, such as an open jacket and a shirt of about one hue: two tones with a hard edge between."""

from __future__ import annotations

import cv2
import numpy as np

from tasks.imaging.arrays import Image, Mask
from tasks.imaging.color_names import to_lab
from tasks.imaging.geometry import box_of, cropped

WORK_SIDE = 160
"""Longer side, pixels, at which tones are compared: folds are soft there, and prints small."""

LEAST_TONE = 0.2
"""Share of the mask from which a tone is a garment, not a print or a deep fold."""

VALLEY = 0.65
"""Frequency of the rarest tone between two peaks, over the lower peak, below which they are apart: light on folds
fills all tones between its brightest and its darkest."""

HARD_STEP = 6.0
"""Step of lightness (L) between neighboring pixels that no fold makes."""


def two_tone_edge(image: Image, mask: Mask) -> float:
    """Length of hard edges within the mask, in its longer sides, if its lightness has two separate peaks; else 0.

    ``image`` is (H, W, 3) RGB, ``mask`` (H, W).
    """
    if not mask.any():
        return 0.0
    box = box_of(mask)
    scale = WORK_SIDE / max(box.width, box.height)
    size = (max(3, round(box.width * scale)), max(3, round(box.height * scale)))
    small = np.asarray(cv2.resize(cropped(image, box), size, interpolation=cv2.INTER_AREA), np.uint8)
    inside = cv2.resize(cropped(mask, box).astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    cloth = cv2.erode(inside, np.ones((3, 3), np.uint8)) > 0
    light = cv2.bilateralFilter(np.ascontiguousarray(to_lab(small)[..., 0]), 7, 8, 5)
    if not cloth.any() or not _has_two_peaks(light[cloth]):
        return 0.0
    hard = (np.abs(np.diff(light, axis=1)) > HARD_STEP) & cloth[:, 1:] & cloth[:, :-1]
    return float(np.count_nonzero(hard) / max(size))


def _has_two_peaks(light: np.ndarray) -> bool:
    """Whether values of lightness (N,) fall into two groups, each a large one, with few between."""
    values = np.clip(np.rint(light), 0, 100).astype(np.uint8)
    between, _ = cv2.threshold(values[None], 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    share = float((values <= between).mean())
    if not LEAST_TONE <= share <= 1 - LEAST_TONE:
        return False
    counts = np.bincount(values, minlength=101).astype(np.float32)
    counts = cv2.GaussianBlur(counts[None], (0, 0), 2.4)[0]
    low = int(counts[: int(between) + 1].argmax())
    high = int(between) + 1 + int(counts[int(between) + 1 :].argmax())
    return bool(counts[low : high + 1].min() < VALLEY * min(counts[low], counts[high]))
