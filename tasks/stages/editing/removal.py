"""Removal geometry: the hole around a target, the window given to an inpainter, and compositing of the fill."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.imaging.arrays import Mask
from tasks.imaging.geometry import grow
from tasks.imaging.masks import dilate
from tasks.records.records import Box
from tasks.stages.editing.compositing import Alpha
from tasks.stages.editing.settings import RemovalSettings

MIN_RIM_PX, RIM_SHARE = 1, 0.1
"""How far the hole reaches into a neighbor that touches the object: pixels at least, and share of its margin."""


def dilation_px(box: Box, shape: tuple[int, ...], settings: RemovalSettings) -> int:
    """How far the hole extends beyond the object with this ``box``, in pixels of a picture of ``shape``."""
    side = min(shape[:2]) if settings.dilation_of == "picture" else max(box.width, box.height)
    radius = round(settings.dilation * side)
    return min(max(radius, settings.min_dilation_px), settings.max_dilation_px)


def removal_hole(mask: Mask, boxes: list[Box], others: Mask, settings: RemovalSettings) -> Mask:
    """The pixels to fill: the mask or its hull (and the box's corners by setting), dilated, more so downwards.

    ``mask`` is the target (H, W) and ``boxes`` those of its objects, which often include what the mask missed (a head,
    a shoe). ``others`` are the scene's other objects; they are kept unless they are part of the target's mask.
    """
    hole = _hulls(mask, boxes) if settings.outline == "hull" else _without_gaps(mask)
    for box in boxes:
        # The box's corners are rarely the object's, so shrink toward an ellipse.
        corner = np.zeros_like(hole)
        _rounded(corner, box, settings.box_share)
        hole |= corner
    radius = dilation_px(max(boxes, key=lambda b: b.area), mask.shape, settings)
    grown = dilate(hole > 0, radius)
    extra = round(settings.shadow * radius)
    if extra:
        kernel = np.zeros((2 * extra + 1, 1), np.uint8)
        kernel[: extra + 1] = 1
        grown = cv2.dilate(grown.astype(np.uint8), kernel) > 0
    # The outline between two things belongs to both: the object's own color is mixed into the neighbor's rim.
    rim = dilate(mask, max(MIN_RIM_PX, round(RIM_SHARE * radius)))
    return grown & (~others | rim)


def with_shadow(hole: Mask, shadow: Mask, radius: int) -> Mask:
    """``hole`` (H, W) with the object's ``shadow``; ``radius`` is the hole's margin."""
    # The fill fades in over half the margin, so the hole must end that much beyond the shadow.
    return hole | dilate(shadow & ~hole, radius // 2 + 1) if shadow.any() else hole


def removal_window(hole_box: Box, width: int, height: int, settings: RemovalSettings) -> Box:
    """The hole's box with context on every side, inside the picture."""
    side = max(hole_box.width, hole_box.height)
    margin = max(settings.min_window_margin_px, round(settings.window_margin * side))
    return grow(hole_box, margin, width, height)


def removal_alpha(hole: Mask, radius: int, taken: Mask) -> Alpha:
    """Weights of the fill (H, W): 1 over what is ``taken`` out, a ramp in the outer half of the dilation, 0 outside.

    Where a neighbor ends the hole right at the object, there is no room for a ramp: through it the object would show.
    """
    feather = max(1.0, radius / 2)
    # Padding prevents a hole at the window's border from fading there.
    padded = np.pad(hole.astype(np.uint8), 1, mode="edge")
    distance = cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1]
    ramp = np.clip(distance / feather, 0, 1)
    return np.where(hole, np.where(taken, 1, ramp), 0).astype(np.float32)


def _hulls(mask: Mask, boxes: list[Box]) -> NDArray[np.uint8]:
    """The convex hull of the pieces of ``mask`` that belong to each box, (H, W) of 0 and 1."""
    hole = np.zeros(mask.shape, np.uint8)
    count, labels = cv2.connectedComponents(mask.astype(np.uint8))
    points = [_points(labels == n) for n in range(1, count)]
    for box in boxes:
        inside = [p for p in points if _center_in(p, box)]
        if inside:
            cv2.fillConvexPoly(hole, cv2.convexHull(np.vstack(inside)), 1)
    return hole


def _without_gaps(mask: Mask) -> NDArray[np.uint8]:
    """``mask`` with what it encloses, (H, W) of 0 and 1: through a gap an inpainter would see the object again."""
    hole = mask.astype(np.uint8)
    contours, _ = cv2.findContours(hole, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return np.asarray(cv2.drawContours(hole.copy(), contours, -1, 1, cv2.FILLED), np.uint8)


def _points(component: Mask) -> NDArray[np.int32]:
    contours, _ = cv2.findContours(component.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return np.vstack(contours)


def _center_in(points: NDArray[np.int32], box: Box) -> bool:
    x, y = points[:, 0, 0].mean(), points[:, 0, 1].mean()
    return bool(box.x0 <= x < box.x1 and box.y0 <= y < box.y1)


def _rounded(canvas: NDArray[np.uint8], box: Box, share: float) -> None:
    """Draws the box with rounded corners: share 1 is the whole box, smaller ones a superellipse."""
    if share <= 0:
        return
    y, x = np.mgrid[0 : box.height, 0 : box.width].astype(np.float32)
    u = np.abs((x + 0.5) / box.width * 2 - 1)
    v = np.abs((y + 0.5) / box.height * 2 - 1)
    # Exponent 2 is an ellipse; large exponents approach the box.
    power = 2.0 / max(1e-3, 1 - share) if share < 1 else np.inf
    inside = np.ones(u.shape, bool) if np.isinf(power) else u**power + v**power <= 1
    canvas[box.y0 : box.y1, box.x0 : box.x1] |= inside.astype(np.uint8)
