"""Gates on a removal's fill: texture, similarity to its environment, and structures crossing the border."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.imaging.arrays import Image, Mask
from tasks.imaging.borders import cut_share, ragged_share
from tasks.imaging.color_names import to_lab
from tasks.imaging.even_ground import departing_area, ground_around
from tasks.imaging.geometry import box_of
from tasks.imaging.masks import clear_of_frame, dilate, erode
from tasks.imaging.patches import novel_share
from tasks.imaging.shadows import shadow_area
from tasks.records.errors import Reason
from tasks.stages.editing.gates import Gate, gate, local_deviation
from tasks.stages.editing.settings import GateSettings

MAX_SHADOW_SHARE = 1.2
"""Area of a dark piece, in areas of the thing that was taken out, up to which it may be that thing's shadow."""


BUSY_SIDE = 640
"""Longer side, in pixels, at which contrasts are compared: coarse enough that grain is none."""


def flat_gate(edited: Image, hole: Mask, settings: GateSettings) -> Gate:
    """Fine contrast of the fill relative to its environment; a flat environment requires none."""
    inside, around = fine_contrast(edited, hole)
    value = inside / around if around >= settings.textured else 1.0
    return gate("fill_contrast_ratio", value, Reason.FLAT_FILL, low=settings.flat_ratio)


def fine_contrast(edited: Image, hole: Mask) -> tuple[float, float]:
    """Median local deviation of lightness (L units, 7 px window) deep in the hole and in the ring around it."""
    deviation = local_deviation(edited)
    # The blended rim belongs to neither side, so 4 px on both sides of the border are excluded.
    deep = erode(hole, 4)
    ring = dilate(hole, _ring_width(hole)) & ~dilate(hole, 4)
    if not deep.any() or not ring.any():
        return 1.0, 1.0
    return float(np.median(deviation[deep])), float(np.median(deviation[ring]))


def novel_gate(edited: Image, hole: Mask, settings: GateSettings) -> Gate:
    """Share of the fill that resembles nothing around the hole: an object made up by the inpainter."""
    nothing = np.zeros_like(hole)
    value = novel_share(edited, hole, nothing, settings.novel_distance)
    return gate("novel_fill_share", value, Reason.FOREIGN_FILL, high=settings.max_novel)


def busy_gate(edited: Image, hole: Mask, settings: GateSettings) -> Gate:
    """Share of the fill with more contrast than anywhere around the hole: a small network's inventions."""
    scale = min(1.0, BUSY_SIDE / max(hole.shape))
    size = (max(1, round(hole.shape[1] * scale)), max(1, round(hole.shape[0] * scale)))
    small = np.asarray(cv2.resize(edited, size, interpolation=cv2.INTER_AREA), np.uint8)
    inside = cv2.resize(hole.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    deviation = local_deviation(small)
    deep, ring = erode(inside, 3), dilate(inside, _ring_width(inside)) & ~dilate(inside, 3)
    value = 0.0
    if deep.any() and ring.any():
        usual = float(np.percentile(deviation[ring], 99)) + settings.busy_margin
        value = float((deviation[deep] > usual).mean())
    return gate("busy_fill_share", value, Reason.FOREIGN_FILL, high=settings.max_busy)


def ragged_gate(edited: Image, hole: Mask, settings: GateSettings) -> Gate:
    """Share of the hole's border where structures end at it, see `ragged_share`."""
    value = ragged_share(edited, hole, settings.structure_step)
    return gate("ragged_border_share", value, Reason.ENTANGLED, high=settings.max_ragged)


def cut_gate(edited: Image, hole: Mask, depth: int, settings: GateSettings) -> Gate:
    """Share of the hole's border where something ends in front of the fill, see `cut_share`.

    ``depth`` is how far the blend reaches into the hole, in pixels.
    """
    value = cut_share(edited, hole, depth, settings.structure_step)
    return gate("cut_structures_share", value, Reason.ENTANGLED, high=settings.max_cut)


def strange_border_gate(edited: Image, hole: Mask, settings: GateSettings) -> Gate:
    """Share of the hole's border in colors that are rare in the wider environment.

    This is usually a part of the object that its box missed (a handle, a saucer) and that was left behind.
    """
    line = dilate(hole, 3) & ~dilate(hole, 1) & clear_of_frame(hole.shape, 4)
    ring = dilate(hole, _ring_width(hole)) & ~dilate(hole, 6)
    if not line.any() or not ring.any():
        return gate("strange_border_share", 0.0, Reason.ENTANGLED, high=settings.max_strange)
    lab = cv2.GaussianBlur(to_lab(edited), (0, 0), max(1.5, 0.006 * max(hole.shape)))
    # A color (in steps of 5 Lab units) is common if it covers at least 1 % of the ring.
    bins, counts = np.unique(np.rint(lab[ring] / 5).astype(np.int16), axis=0, return_counts=True)
    usual = bins[counts >= 0.01 * counts.sum()].astype(np.float32) * 5
    asked, weights = np.unique(np.rint(lab[line]).astype(np.int16), axis=0, return_counts=True)
    if not len(usual):
        return gate("strange_border_share", 1.0, Reason.ENTANGLED, high=settings.max_strange)
    far = _nearest(asked.astype(np.float32), usual) > settings.strange_distance
    value = float(weights[far].sum() / weights.sum())
    return gate("strange_border_share", value, Reason.ENTANGLED, high=settings.max_strange)


def shadow_gate(edited: Image, hole: Mask, thing: Mask, others: Mask, settings: GateSettings) -> Gate:
    """Area of shadow in the fill and connected with it, in areas of the ``thing`` that cast it.

    The ground's light is taken from outside the fill. A dark area larger than the thing is part of the ground.
    """
    area = max(1, int(thing.sum()))
    value = shadow_area(edited, hole, others, MAX_SHADOW_SHARE * area) / area
    return gate("shadow_left_share", value, Reason.SHADOW_LEFT, high=settings.max_shadow_left)


def even_gate(source: Image, hole: Mask, others: Mask, settings: GateSettings) -> Gate:
    """Share of the ground around the hole that is seen and even; known before the hole is filled."""
    ground = ground_around(source, hole, others)
    value = 0.0 if ground is None else ground.even
    return gate("even_ground_share", value, Reason.UNEVEN_GROUND, low=settings.min_even)


def remains_gate(source: Image, edited: Image, hole: Mask, others: Mask, settings: GateSettings) -> Gate:
    """Area in the fill and close around it that departs from the ground, in areas of the hole.

    A shadow or reflection that was left behind, or a smear. The ground is that around the hole in the ``source``.
    """
    ground, value = ground_around(source, hole, others), 1.0
    if ground is not None:
        step = settings.remains_step + settings.remains_masking * ground.grain
        value = departing_area(edited, ground, step)
    return gate("remains_share", value, Reason.SHADOW_LEFT, high=settings.max_remains)


def _ring_width(hole: Mask) -> int:
    box = box_of(hole)
    return int(np.clip(round(0.35 * max(box.width, box.height)), 8, 80))


def _nearest(points: NDArray[np.float32], known: NDArray[np.float32]) -> NDArray[np.float32]:
    """Distance of each point (N, 3) to the nearest of ``known`` (M, 3)."""
    # |p - k|^2 = |p|^2 - 2 p k + |k|^2 needs a matrix of N x M numbers only.
    squares = (points**2).sum(axis=1)[:, None] - 2 * points @ known.T + (known**2).sum(axis=1)[None]
    return np.asarray(np.sqrt(np.maximum(squares.min(axis=1), 0)), np.float32)
