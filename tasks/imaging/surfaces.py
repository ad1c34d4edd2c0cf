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

ALL_OF_IT = 0.93
"""Share of the mask from which its main surface is all of the thing: what differs is shine and deep shade."""

MOST_OF_IT, MAX_UNCLEAR = 0.7, 0.03
"""Share of the mask from which the main surface is what the thing is known by, and share of unclear pixels up to which
it ends clearly: the seat of a chair with wooden legs."""

STRIP, PATCH = 0.03, 0.05
"""Half width, in the square root of the mask's area, and share of its largest piece, below which a piece of the surface
is none of it."""

NEARLY, RIM = 16.0, 2
"""Median Lab distance beyond light and shade below which a piece of the rest is of the surface after all, if it lies
within so many of those half widths of it."""


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


def is_all(share: float) -> bool:
    """Whether a surface with that share of a mask is all of the thing."""
    return share >= ALL_OF_IT


def is_clear_part(share: float, unclear: float) -> bool:
    """Whether a surface is most of the thing, and ends clearly where the rest begins."""
    return MOST_OF_IT <= share < ALL_OF_IT and unclear <= MAX_UNCLEAR


def clear_part(rgb: Image, mask: Mask) -> NDArray[np.float32] | None:
    """Weight 0..1, (H, W), of the main surface where it is a clear part of what a mask shows; None where it is not.

    Patches of its color on the rest are left out (shade on a leg), and patches of nearly its color are taken in (light
    from a window on a rim).

    Args:
        rgb: (H, W, 3) uint8.
        mask: (H, W) bool in the same pixels.

    Raises:
        ValueError: the mask is empty.
    """
    surface = main_surface(rgb, mask)
    if not is_clear_part(surface.share, surface.unclear):
        return None
    excess = _excess(to_lab(rgb), np.asarray(surface.lab, np.float32))
    weight = _weight(excess)
    reach = max(2, round(STRIP * float(np.sqrt(mask.sum()))))
    core = cv2.morphologyEx((mask & (weight > 0.5)).astype(np.uint8), cv2.MORPH_OPEN, _disc(reach))
    _, pieces, stats, _ = cv2.connectedComponentsWithStats(core)
    areas = stats[1:, cv2.CC_STAT_AREA]
    kept = np.isin(pieces, 1 + np.flatnonzero(areas >= PATCH * areas.max(initial=1)))
    near = cv2.dilate(kept.astype(np.uint8), _disc(reach)) > 0
    around = cv2.dilate(kept.astype(np.uint8), _disc(RIM * reach)) > 0
    weight = np.where(mask & ~near, 0, weight)
    others = np.asarray(cv2.connectedComponents((mask & (weight < 0.5)).astype(np.uint8))[1], np.int32)
    inside = others > 0
    numbers = others[inside]
    close = np.bincount(numbers, around[inside]) > 0.9 * np.bincount(numbers)
    alike = close & (_medians(numbers, excess[inside], len(close)) < NEARLY)
    return np.where(alike[others] & inside, 1, weight).astype(np.float32)


def _medians(groups: NDArray[np.int32], values: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """The median of the values (N,) of each group 0..count - 1; 0 for an empty one. Grain makes thousands of groups."""
    order = np.lexsort((values, groups))
    sizes = np.bincount(groups, minlength=count)
    first = np.cumsum(sizes) - sizes
    found = np.zeros(count, np.float32)
    some = sizes > 0
    ranked = values[order]
    found[some] = (ranked[(first + (sizes - 1) // 2)[some]] + ranked[(first + sizes // 2)[some]]) / 2
    return found


def _weight(excess: NDArray[np.float32]) -> NDArray[np.float32]:
    weight = np.clip(1 - excess / SOFT, 0, 1).astype(np.float32)
    # Single pixels off the color are grain.
    return np.asarray(cv2.medianBlur((weight * 255).astype(np.uint8), 5), np.float32) / np.float32(255)


def _disc(radius: int) -> NDArray[np.uint8]:
    size = 2 * radius + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)), np.uint8)


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
