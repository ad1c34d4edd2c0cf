"""The surface that most of a thing shows: what is of one paint or cloth, in light and in shade."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.imaging.arrays import Image, Mask
from tasks.imaging.color_names import to_lab

SURFACE_SHARE, UNCLEAR_SHARE = "surface_share", "surface_unclear_share"
"""Names under which `Surface.share` and `Surface.unclear` are recorded with a mask."""

SAMPLES = 4000
"""Pixels of a mask that are looked at to find its main surface."""

CLUSTERS = 6
"""Candidates for the color of the main surface."""

SHADE, LIT, SHINE = 0.35, 1.15, 2.2
"""L + 16 in that of the surface's middle: below the first, not even shade explains it (black print on white); above the
second, it may shine; above the third, not even shine explains it (white print on black)."""

NEUTRAL_REACH, COLORED_REACH = 6.0, 0.25
"""Lab distance of chroma within which a pixel is of the surface, and what is added per chroma of the surface there."""

SOFT = 6.0
"""Lab distance over which the weight falls from 1 to 0."""

UNCLEAR = (0.15, 0.85)
"""Weights between which a pixel is neither of the surface nor clearly of another one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """The main surface of a mask.

    Attributes:
        lab: its Lab in middle light (L 0..100).
        share: share of the mask's pixels that are of it, 0..1.
        unclear: share of pixels that may be of it or not, 0..1; many where the mask has no second surface but shine, a
            print, or one that hardly differs.
    """

    lab: tuple[float, float, float]
    share: float
    unclear: float


def main_surface(rgb: Image, mask: Mask) -> Surface:
    """The surface of which most of a mask's pixels are.

    Less light on one surface scales L + 16, a and b alike (CIE 15, the cube root of Lab), so names of colors say
    little of it: white in shade is gray, orange in shade is brown.

    Args:
        rgb: (H, W, 3) uint8.
        mask: (H, W) bool in the same pixels.

    Raises:
        ValueError: the mask is empty.
    """
    pixels = rgb[mask]
    if not len(pixels):
        msg = "no surface to find: the mask is empty"
        raise ValueError(msg)
    lab = to_lab(pixels[None, :: -(-len(pixels) // SAMPLES)])[0]
    best = max(_candidates(lab), key=lambda middle: float(_is_of(lab, middle).mean()))
    for _ in range(2):  # the middle of a cluster is not yet that of the surface
        best = np.median(lab[_is_of(lab, best)], axis=0)
    weight = np.clip(1 - _excess(lab, best) / SOFT, 0, 1)
    return Surface(
        lab=(float(best[0]), float(best[1]), float(best[2])),
        share=float((weight == 1).mean()),
        unclear=float(((weight > UNCLEAR[0]) & (weight < UNCLEAR[1])).mean()),
    )


def surface_weight(lab: NDArray[np.float32], middle: tuple[float, float, float]) -> NDArray[np.float32]:
    """Weight 0..1, (H, W), of that surface in each pixel of a picture in Lab (H, W, 3)."""
    excess = _excess(lab, np.asarray(middle, np.float32))
    weight = np.clip(1 - excess / SOFT, 0, 1).astype(np.float32)
    # Single pixels off the color are grain.
    return np.asarray(cv2.medianBlur((weight * 255).astype(np.uint8), 5), np.float32) / np.float32(255)


def _candidates(lab: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    if len(lab) <= CLUSTERS:
        return list(lab)
    order = np.argsort(lab @ np.array([1.0, 0.3, 0.1], np.float32), kind="stable")
    start = np.zeros((len(lab), 1), np.int32)
    start[order, 0] = np.arange(len(lab)) * CLUSTERS // len(lab)
    criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 20, 0.5)
    weighted = lab * np.array([0.5, 1, 1], np.float32)
    _, _, centers = cv2.kmeans(weighted, CLUSTERS, start, criteria, 1, cv2.KMEANS_USE_INITIAL_LABELS)
    return [np.asarray(center / np.array([0.5, 1, 1], np.float32), np.float32) for center in centers]


def _is_of(lab: NDArray[np.float32], middle: NDArray[np.float32]) -> Mask:
    return np.asarray(_excess(lab, middle) <= 0)


def _excess(lab: NDArray[np.float32], middle: NDArray[np.float32]) -> NDArray[np.float32]:
    """Lab distance beyond what light and shade explain, at most 0 on the surface."""
    gain = (lab[..., 0] + 16) / (middle[0] + 16)
    scale = np.clip(gain, 0.05, LIT)[..., None]
    away = np.linalg.norm(lab[..., 1:] - middle[1:] * scale, axis=-1)
    chroma = float(np.hypot(middle[1], middle[2]))
    reach = NEUTRAL_REACH + COLORED_REACH * chroma * scale[..., 0]
    beyond = np.maximum(SHADE - gain, gain - SHINE) * (middle[0] + 16)
    # A shine is of the lamp's color, so what is lighter than the surface may be less colored.
    shining = (gain > LIT) & (np.hypot(lab[..., 1], lab[..., 2]) < chroma + NEUTRAL_REACH)
    away = np.where(shining, np.minimum(away, reach), away)
    return np.asarray(np.maximum(away - reach, beyond), np.float32)
