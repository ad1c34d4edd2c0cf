"""A thing cut out of its photograph with a soft edge, and the shadow that it casts on even ground."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from tasks.backends.embedded.painting.copies.ground import Ground
from tasks.backends.embedded.painting.matting import refine_edge
from tasks.imaging.arrays import Image, Mask
from tasks.imaging.geometry import box_of, cropped, grow
from tasks.imaging.near_colors import Plane
from tasks.records.records import Box

EDGE_SHARE, MIN_EDGE_PX, MAX_EDGE_PX = 0.012, 2, 5
"""Half width of the soft edge as a share of the square root of the area, and its bounds."""

SURE = 0.97
"""Alpha from which a pixel's color is the thing's own."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cutout:
    """Pixels of a thing in a window of its photograph.

    Attributes:
        window: the window, in pixels of the photograph.
        color: (h, w, 3) uint8, the thing's own color wherever ``alpha`` is above 0.
        alpha: (h, w) share of the thing in each pixel, 0..1.
        shadow: (h, w) factor 0..1 by which the ground is darkened; 1 where it is not.
        box: the thing's tight box in the window.
    """

    window: Box
    color: Image
    alpha: Plane
    shadow: Plane
    box: Box


def cut_out(image: Image, mask: Mask, ground: Ground) -> Cutout:
    """The thing under ``mask`` (H, W) of ``image``, with the shadow that ``ground`` was measured with."""
    height, width = mask.shape
    box = box_of(mask)
    window = ground.window
    here, inside = cropped(image, window), cropped(mask, window)
    radius = int(np.clip(round(EDGE_SHARE * float(np.sqrt(mask.sum()))), MIN_EDGE_PX, MAX_EDGE_PX))
    alpha = _cut_short(refine_edge(here, inside, radius).alpha, inside)
    del height, width
    return Cutout(
        window=window,
        color=_own_color(here, alpha),
        alpha=alpha,
        shadow=ground.shadow,
        box=Box(x0=box.x0 - window.x0, y0=box.y0 - window.y0, x1=box.x1 - window.x0, y1=box.y1 - window.y0),
    )


def window_around(box: Box, reach: float, width: int, height: int) -> Box:
    """A window with ``reach`` heights of the box on each side, inside the picture."""
    return grow(box, round(reach * max(box.width, box.height)), width, height)


def _cut_short(alpha: Plane, mask: Mask) -> Plane:
    """Without the faint glow beyond the outline, which would bring the old ground along."""
    away = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5)
    kept = np.where(away <= 1.5, alpha, 0)
    return np.asarray(np.clip((kept - 0.08) / 0.84, 0, 1), np.float32)


def _own_color(image: Image, alpha: Plane) -> Image:
    """The picture with each mixed pixel in the color of the nearest one that is the thing's alone."""
    sure = alpha >= SURE
    if not sure.any():
        return image
    _, labels = cv2.distanceTransformWithLabels(
        (~sure).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    colors = np.zeros((int(labels.max()) + 1, 3), np.uint8)
    smooth = _averaged(image, sure)
    colors[labels[sure]] = smooth[sure]
    filled = colors[labels]
    return np.where(sure[..., None], image, filled)


def _averaged(image: Image, where: Mask) -> Image:
    """Means over 3 x 3 px of the pixels ``where``, so that the noise of one pixel does not make streaks."""
    weight = where.astype(np.float32)
    total = cv2.boxFilter(image.astype(np.float32) * weight[..., None], -1, (3, 3), normalize=False)
    count = cv2.boxFilter(weight, -1, (3, 3), normalize=False)
    return np.clip(np.rint(total / np.maximum(count, 1e-3)[..., None]), 0, 255).astype(np.uint8)
