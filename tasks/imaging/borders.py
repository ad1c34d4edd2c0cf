"""Structures that cross the border of a hole."""

from __future__ import annotations

import cv2
import numpy as np

from tasks.imaging.arrays import Image, Mask
from tasks.imaging.color_names import to_lab
from tasks.imaging.masks import clear_of_frame, dilate


def ragged_share(image: Image, hole: Mask, least_step: float) -> float:
    """Share of the hole's border where neighbors along it, just outside, differ by ``least_step`` (Lab) or more.

    At each such place something ran into the hole and must continue or end inside. Few are a horizon or a table's edge;
    many mean that the object stood among others, where no filling is right.
    """
    line = dilate(hole, 3) & ~dilate(hole, 2)
    line &= clear_of_frame(hole.shape, 4)
    if not line.any():
        return 0.0
    lab = cv2.GaussianBlur(to_lab(image), (0, 0), max(1.5, 0.008 * max(hole.shape)))
    gradient = [cv2.Sobel(lab, cv2.CV_32F, dx, 1 - dx, ksize=3) / 8 for dx in (1, 0)]
    distance = cv2.distanceTransform((~hole).astype(np.uint8), cv2.DIST_L2, 5)
    normal = [cv2.Sobel(distance, cv2.CV_32F, dx, 1 - dx, ksize=5) for dx in (1, 0)]
    length = np.maximum(np.hypot(normal[0], normal[1]), 1e-3)
    along = -gradient[0] * (normal[1] / length)[..., None] + gradient[1] * (normal[0] / length)[..., None]
    step = np.linalg.norm(along, axis=2) * max(4.0, 0.02 * max(hole.shape))
    return float((step[line] > least_step).mean())


def cut_share(image: Image, hole: Mask, depth: int, least_step: float) -> float:
    """Share of the hole's border where something outside ends instead of continuing in the filling.

    Just outside, neighbors along the border differ by ``least_step`` (Lab) or more; ``depth`` px and more inside, where
    the filling is no longer blended, nothing near differs by half as much. A horizon or a table's edge behind the
    removed thing continues; the leg of a person who held it does not.
    """
    clear = clear_of_frame(hole.shape, 4)
    inward = cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, 5)
    outward = cv2.distanceTransform((~hole).astype(np.uint8), cv2.DIST_L2, 5)
    depth = min(depth, round(float(inward.max()) / 3))
    line = (outward > 2) & (outward <= 4) & clear
    inside = (inward > depth) & (inward <= depth + 6)
    if not line.any() or not inside.any():
        return 0.0
    sigma, reach = max(1.5, 0.006 * max(hole.shape)), max(4.0, 0.015 * max(hole.shape))
    lab = cv2.GaussianBlur(to_lab(image), (0, 0), sigma)
    gradient = [cv2.Sobel(lab, cv2.CV_32F, dx, 1 - dx, ksize=3) / 8 for dx in (1, 0)]
    signed = cv2.GaussianBlur(outward - inward, (0, 0), 2.0)
    normal = [cv2.Sobel(signed, cv2.CV_32F, dx, 1 - dx, ksize=3) for dx in (1, 0)]
    length = np.maximum(np.hypot(normal[0], normal[1]), 1e-3)
    along = -gradient[0] * (normal[1] / length)[..., None] + gradient[1] * (normal[0] / length)[..., None]
    step = np.linalg.norm(along, axis=2) * reach
    any_step = np.linalg.norm(np.hypot(gradient[0], gradient[1]), axis=2) * reach
    near = 2 * (depth + 8) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (near, near))
    goes_on = cv2.dilate(np.where(inside, any_step, 0).astype(np.float32), kernel)
    return float(((step > least_step) & (goes_on < 0.5 * step))[line].mean())
