"""The ground around a hole: one even surface, or two with a straight border between them, and what departs from it.

A small inpainter is right where the ground is even, whatever its grain: grass, sand, paving, a plain wall, the sky. The
ground's color is a field, quadratic in x and y for each channel of Lab, fitted robustly to the ring around the hole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.imaging.arrays import Image, Mask
from tasks.imaging.color_names import to_lab
from tasks.imaging.geometry import box_of, cropped, grow
from tasks.imaging.masks import dilate
from tasks.records.records import Box

Plane = NDArray[np.float32]

WORK_SIDE = 96
"""Longer side of the hole, in pixels, at which everything here is measured: most grain is gone, folds are seen."""

REACH = 34
"""Width of the ring around the hole, in pixels at that size."""

STRIP = 10
"""Width of the strip around a filling in which something of the thing may be left, in pixels at that size."""

SIGMA = 2.0
"""Blur, in pixels at that size, that takes the rest of the grain away."""

PLAIN, MOST_GRAIN = 3.0, 3.0
"""Lab distance from the field up to which a pixel of ground without grain lies on it, and what grain adds at most."""

RIM = 3
"""Pixels at that size around other things that belong to them: their outlines are never exact."""

LEAST_RING = 50
"""Pixels of ring below which nothing is known about the ground."""

SIDE_SHARE = 0.15
"""Least share of the ring on either side of a border between two surfaces."""

BORDER_RIM = 4.0
"""Distance from such a border, in pixels at that size, within which a pixel belongs to neither surface."""

ONE_SURFACE, MUCH_BETTER = 0.05, 0.5
"""Share of the ring off one field up to which it is one surface; above, two are taken if this share of it stays off."""

ANGLES, OFFSETS, SPARSE = 12, 8, 3
"""Directions and places at which a border is tried, on every third pixel in x and y."""

FINER = (0.5, 0.25, 0.12)
"""Steps, in those between directions and places, by which the best border is then moved."""

TURNS = 6
"""Rounds of a robust fit."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ground:
    """The ground around a hole, on the window around it at the working size; arrays are (h, w) or (h, w, 3).

    Attributes:
        window: what of the picture it covers.
        scale: working pixels per pixel of the picture.
        hole: the pixels to fill.
        blocked: other things, with a rim.
        clear: pixels that are not at the border between two surfaces.
        field: color of the ground in Lab, in the hole as well.
        grain: how far single pixels of the ring depart from their neighbors, in Lab; it masks what else departs.
        even: share 0..1 of the ring that is seen and lies on the field; what other things cover does not.
    """

    window: Box
    scale: float
    hole: Mask
    blocked: Mask
    clear: Mask
    field: Plane
    grain: float
    even: float


def ground_around(image: Image, hole: Mask, others: Mask) -> Ground | None:
    """Measures the ring around the ``hole``, without ``others``; None if hardly anything of it is seen.

    Args:
        image: (H, W, 3) RGB.
        hole: (H, W), not empty.
        others: things that stay, (H, W).
    """
    box = box_of(hole)
    scale = WORK_SIDE / max(box.width, box.height)
    window = grow(box, round(REACH / scale) + 2, hole.shape[1], hole.shape[0])
    inside, blocked = _small_mask(hole, window, scale), dilate(_small_mask(others, window, scale), RIM)
    free = ~inside & ~blocked
    around = dilate(inside, REACH) & ~inside
    ring = around & free
    if ring.sum() < LEAST_RING:
        return None
    sharp = _small_lab(image, window, scale)
    lab = _smooth(sharp, free)
    grain = min(MOST_GRAIN, float(np.median(np.linalg.norm(sharp - lab, axis=2)[ring])))
    tolerance = PLAIN + grain
    terms = _terms(ring.shape)
    field, clear = terms @ _fit(terms[ring], lab[ring], tolerance), np.ones_like(ring)
    off = (np.linalg.norm(lab - field, axis=2) > tolerance)[ring].mean()
    two = _two_surfaces(lab, terms, ring, inside, tolerance) if off > ONE_SURFACE else None
    if two is not None:
        its_off = (np.linalg.norm(lab - two[0], axis=2) > tolerance)[ring & two[1]].mean()
        if its_off < MUCH_BETTER * off:
            (field, clear), off = two, its_off
    return Ground(
        window=window,
        scale=scale,
        hole=inside,
        blocked=blocked,
        clear=clear,
        field=field,
        grain=grain,
        even=float((1 - off) * ring.sum() / around.sum()),
    )


def departing_area(edited: Image, ground: Ground, step: float) -> float:
    """Area that departs from the ground by ``step`` (Lab) or more, in the filling and around it, in areas of the hole.

    A shadow or reflection that was left behind, or a smear.
    """
    lab = _smooth(_small_lab(edited, ground.window, ground.scale), ~ground.blocked)
    near = dilate(ground.hole, STRIP) & ~ground.blocked & ground.clear
    far = np.linalg.norm(lab - ground.field, axis=2) > step
    return float((far & near).sum() / ground.hole.sum())


def _two_surfaces(
    lab: Plane, terms: Plane, ring: Mask, hole: Mask, tolerance: float
) -> tuple[Plane, Mask] | None:
    """The field of two surfaces that a straight border through the hole parts, and the pixels clear of that border."""
    beyond = _border(lab, terms, ring, hole, tolerance)
    if beyond is None:
        return None
    field = np.empty_like(lab)
    for side, surely in ((beyond > 0, beyond > BORDER_RIM), (beyond <= 0, beyond < -BORDER_RIM)):
        known = ring & surely
        field[side] = terms[side] @ _fit(terms[known], lab[known], tolerance)
    return field, np.abs(beyond) > BORDER_RIM


def _border(lab: Plane, terms: Plane, ring: Mask, hole: Mask, tolerance: float) -> Plane | None:
    """Signed distance from the straight border, in pixels, with which most of the ring lies on one of two fields."""
    y, x = np.mgrid[0 : ring.shape[0], 0 : ring.shape[1]].astype(np.float32)
    sparse = np.zeros_like(ring)
    sparse[::SPARSE, ::SPARSE] = ring[::SPARSE, ::SPARSE]
    row, column = (float(np.median(part)) for part in np.nonzero(hole))

    def beyond(angle: float, place: float) -> Plane:
        across = (x - column) * np.cos(angle) + (y - row) * np.sin(angle)
        return np.asarray(across - place, np.float32)

    def off(angle: float, place: float) -> float:
        distance = beyond(angle, place)
        sides = (sparse & (distance > BORDER_RIM), sparse & (distance < -BORDER_RIM))
        if min(side.sum() for side in sides) < SIDE_SHARE * sparse.sum():
            return float("inf")
        # Pixels at the border belong to no side: a share, so that a border with many of them gains nothing.
        missed = sum(_off(terms[side], lab[side], tolerance) for side in sides)
        return float(missed / sum(side.sum() for side in sides))

    turn = np.pi / ANGLES
    found: list[tuple[float, float, float]] = []
    for angle in np.arange(ANGLES) * turn:
        across = beyond(angle, 0.0)[hole]
        for place in np.linspace(across.min(), across.max(), OFFSETS + 2)[1:-1]:
            found.append((off(angle, place), angle, place))
    for part in FINER:
        share, angle, place = min(found)
        if share == float("inf"):
            return None
        step = part * WORK_SIDE / OFFSETS
        found += [
            (off(a, p), a, p)
            for a in (angle - part * turn, angle, angle + part * turn)
            for p in (place - step, place, place + step)
        ]
    _, angle, place = min(found)
    return beyond(angle, place)


def _off(terms: Plane, lab: Plane, tolerance: float) -> int:
    """How many of the pixels lie off a field fitted to them."""
    found = terms @ _fit(terms, lab, tolerance, turns=3)
    return int((np.linalg.norm(lab - found, axis=1) > tolerance).sum())


def _fit(terms: Plane, lab: Plane, tolerance: float, turns: int = TURNS) -> Plane:
    """Coefficients (6, 3) by least squares, reweighted so that pixels far off the field count for little."""
    weight = np.ones(len(terms), np.float32)
    ridge = 1e-3 * np.eye(terms.shape[1], dtype=np.float32)
    found = np.zeros((terms.shape[1], 3), np.float32)
    for _ in range(turns):
        weighted = terms * weight[:, None]
        found = np.linalg.solve(weighted.T @ terms + ridge, weighted.T @ lab)
        distance = np.linalg.norm(lab - terms @ found, axis=1)
        weight = (1 / (1 + (distance / tolerance) ** 2) ** 2).astype(np.float32)
    return found


def _terms(shape: tuple[int, ...]) -> Plane:
    """1, x, y, x^2, xy, y^2 of each pixel, (h, w, 6), with x and y in longer sides of the hole."""
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32) / WORK_SIDE - 0.5
    return np.stack((np.ones_like(x), x, y, x * x, x * y, y * y), axis=-1)


def _smooth(lab: Plane, where: Mask) -> Plane:
    """Local mean of the pixels ``where`` alone."""
    weight = where.astype(np.float32)
    count = np.maximum(cv2.GaussianBlur(weight, (0, 0), SIGMA), 1e-3)
    total = cv2.GaussianBlur(lab * weight[..., None], (0, 0), SIGMA)
    return np.asarray(total / count[..., None], np.float32)


def _small_lab(image: Image, window: Box, scale: float) -> Plane:
    return to_lab(np.asarray(_resized(cropped(image, window), window, scale), np.uint8))


def _small_mask(mask: Mask, window: Box, scale: float) -> Mask:
    # A pixel counts if a twentieth of it is covered, so that nothing of a thing is taken for ground.
    return np.asarray(_resized(cropped(mask, window).astype(np.float32), window, scale) > 0.05, bool)


def _resized(plane: Image | Plane, window: Box, scale: float) -> NDArray[Any]:
    size = (max(1, round(window.width * scale)), max(1, round(window.height * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(plane, size, interpolation=how))
