"""Whether a place is even ground like that on which a thing stands now."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from tasks.backends.embedded.painting.copies.ground import Ground
from tasks.backends.embedded.painting.copies.paste import Layers
from tasks.imaging.arrays import Image, Mask
from tasks.imaging.color_names import to_lab
from tasks.imaging.geometry import clip, cropped, grow
from tasks.imaging.near_colors import Plane
from tasks.records.records import Box

BESIDE, ABOVE, BELOW = 0.15, 0.1, 0.12
"""Extent of the place around a copy's foot, in its width and height."""

WAY_SHARE = 0.05
"""Half height of the strip between target and copy, in the copy's height."""

BARRED = 0.25
"""Share of known ground in a column of the way below which it is barred."""

MAX_STEP = 2.2
"""Gradient (Lab per px) from which a pixel of smooth ground is an edge; rough ground has its own."""

SHADED = 0.93
"""Factor below which a pixel lies in the copy's shadow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evenness:
    """How far a place is ground like that under the thing.

    Attributes:
        alike: share of the place in its usual color, 0..1.
        distance: Lab distance between the two grounds' medians.
        edges: share of the place with edges that the ground does not have.
        way: share of the way from the target to the place in the ground's color.
    """

    alike: float
    distance: float
    edges: float
    way: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Beside:
    """The thing beside which a copy is put.

    Attributes:
        box: the thing's.
        hidden: pixels (H, W) that show no lit ground: things and their shadow.
        color: Lab of the ground around it, None where it is not known.
    """

    box: Box
    hidden: Mask
    color: Plane | None


def evenness(image: Image, place: Box, layers: Layers, ground: Ground, beside: Beside | None) -> Evenness:
    """Measures the place of a copy, its foot and its shadow; and the way to it, where an edge parts two surfaces.

    Args:
        image: the photograph.
        place: the copy's box.
        layers: the copy.
        ground: around the thing that is copied.
        beside: what the copy is put beside; None: it takes another thing's place.
    """
    height, width = image.shape[:2]
    foot = _foot(place)
    strip = _way(place, beside.box) if beside is not None else foot
    cast = layers.inside(width, height)
    window = clip(grow(_around(foot, strip, cast), 8, width, height), width, height)
    inside = _filled(foot, window)
    shadow = layers.shadow[
        cast.y0 - layers.y0 : cast.y1 - layers.y0, cast.x0 - layers.x0 : cast.x1 - layers.x0
    ]
    inside[cast.y0 - window.y0 : cast.y1 - window.y0, cast.x0 - window.x0 : cast.x1 - window.x0] |= (
        shadow < SHADED
    )
    lab = _smooth(cropped(image, window), place)
    here = np.median(lab[inside], axis=0)
    limit = np.clip(3.5 * ground.spread, (7.0, 5.0, 5.0), (16.0, 10.0, 12.0))
    alike = (np.abs(lab - here) <= limit).all(axis=2)
    way = 1.0
    if beside is not None:
        seen = _filled(strip, window) & ~inside & ~cropped(beside.hidden, window)
        # The way may lead from the target's ground to that of the place: light falls off, grass fades.
        known = alike if beside.color is None else alike | (np.abs(lab - beside.color) <= limit).all(axis=2)
        way = _passable(known, seen)
    steps = _gradient(lab) > max(MAX_STEP, 2.5 * ground.rough)
    return Evenness(
        alike=float(alike[inside].mean()),
        distance=float(np.linalg.norm(here - ground.color)),
        edges=float(steps[inside].mean()),
        way=way,
    )


def _passable(known: Mask, seen: Mask) -> float:
    """Share of the pixels ``seen`` of a way that are known ground; 0 where a line across it parts two surfaces."""
    columns = np.count_nonzero(seen, axis=0)
    if columns.sum() <= 20:
        return 1.0
    ground = np.count_nonzero(known & seen, axis=0)
    barred = (columns >= 3) & (ground < BARRED * columns)
    return 0.0 if barred.any() else float(ground.sum() / columns.sum())


def _foot(place: Box) -> Box:
    side = round(BESIDE * place.width)
    up, down = max(4, round(ABOVE * place.height)), max(4, round(BELOW * place.height))
    return Box(x0=place.x0 - side, y0=place.y1 - up, x1=place.x1 + side, y1=place.y1 + down)


def _way(place: Box, own: Box) -> Box:
    tall = max(3, round(WAY_SHARE * place.height))
    low, high = min(place.y1, own.y1), max(place.y1, own.y1)
    x0, x1 = (own.x1, place.x0) if own.x0 < place.x0 else (place.x1, own.x0)
    return Box(x0=x0, y0=low - tall, x1=max(x0, x1), y1=high + tall)


def _around(*boxes: Box) -> Box:
    return Box(
        x0=min(b.x0 for b in boxes),
        y0=min(b.y0 for b in boxes),
        x1=max(b.x1 for b in boxes),
        y1=max(b.y1 for b in boxes),
    )


def _filled(box: Box, window: Box) -> Mask:
    """The box as a mask over the window."""
    mask = np.zeros((window.height, window.width), bool)
    mask[
        max(0, box.y0 - window.y0) : max(0, box.y1 - window.y0),
        max(0, box.x0 - window.x0) : max(0, box.x1 - window.x0),
    ] = True
    return mask


def _smooth(image: Image, place: Box) -> Plane:
    sigma = float(np.clip(0.012 * max(place.width, place.height), 1.0, 4.0))
    return np.asarray(cv2.GaussianBlur(to_lab(image), (0, 0), sigma), np.float32)


def _gradient(lab: Plane) -> Plane:
    dx, dy = cv2.Sobel(lab, cv2.CV_32F, 1, 0, ksize=3) / 8, cv2.Sobel(lab, cv2.CV_32F, 0, 1, ksize=3) / 8
    return np.asarray(np.sqrt((dx * dx + dy * dy).sum(axis=2)), np.float32)
