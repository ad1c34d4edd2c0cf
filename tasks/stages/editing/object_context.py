"""Finds things around an object to be removed that the detector did not name."""

from __future__ import annotations

import cv2
import numpy as np

from tasks.imaging.arrays import Image, Mask
from tasks.imaging.color_names import to_lab
from tasks.imaging.masks import dilate
from tasks.imaging.near_colors import Plane, near_colors

GROUND_NOISE = 3.0
"""Minimum Lab deviation assumed even for a plain ground."""

UNLIKE = 3.0
"""Deviations from the ground beyond which a pixel is something else."""

SHADOW_CHROMA = 20.0
"""Maximum Lab a/b distance between the ground and a shadow, or a reflection of the object's color, on it."""

SHADOW_DEPTH = 45.0
"""Maximum loss of lightness in a shadow; darker pixels are dark objects."""


OWN = 2.5
"""Deviations from the object's own colors up to which a pixel may be a part that its mask missed."""


def unnamed_things(source: Image, mask: Mask, hole: Mask, blocked: Mask, reach: int) -> Mask:
    """Pixels in the ``hole`` or within ``reach`` px of it that no scene object explains, (H, W).

    Neither ground, nor a shadow on it, nor of the object's own colors; judged by the ground beyond the reach, whose own
    variance is used: on a busy ground nothing stands out. ``mask`` is the object; ``blocked`` pixels are scene objects,
    which are excluded from things and ground.
    """
    away = cv2.distanceTransform((~hole).astype(np.uint8), cv2.DIST_L2, 5)
    band = (away <= reach) & ~dilate(mask, 3) & ~dilate(blocked, 2)
    thing = np.zeros_like(mask)
    if not band.any() or not mask.any():
        return thing
    # From the deepest pixel of the hole, the window of the local mean must still reach the ground.
    deep = cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, 5)[band].max()
    lab = np.asarray(cv2.GaussianBlur(to_lab(source), (0, 0), 1.0), np.float32)
    beyond = _usual(lab, (away > reach) & (away <= 3 * reach) & ~dilate(blocked, 3))
    ground = near_colors(lab, beyond, round(2 * reach + float(deep)), band)
    # All distances are in deviations of the ground around each pixel, so texture is not taken for a thing.
    off = lab[band] - ground.mean
    noise = GROUND_NOISE**2 * np.eye(3, dtype=np.float32)
    unlike = (_deviations(off, ground.covariance + noise) > UNLIKE) & (ground.seen > 0.5)
    darker = (off[:, 0] < GROUND_NOISE) & (off[:, 0] > -SHADOW_DEPTH)
    cast = darker & (np.hypot(off[:, 1], off[:, 2]) <= SHADOW_CHROMA)
    # What has the object's own colors is a part that the mask missed, not another thing.
    own = np.cov(lab[mask], rowvar=False).astype(np.float32) + noise
    foreign = _deviations(lab[band] - lab[mask].mean(axis=0), own) > OWN
    thing[band] = unlike & ~cast & foreign
    return _opened(thing)


def _usual(lab: Plane, where: Mask) -> Mask:
    """``where`` without the pixels whose colors are rare there, such as the corner of an undetected thing."""
    if not where.any():
        return where
    colors = lab[where]
    middle = np.median(colors, axis=0)
    # 1.48 x the median absolute deviation estimates a standard deviation, ignoring outliers.
    spread = 1.48 * np.median(np.abs(colors - middle), axis=0) + GROUND_NOISE
    usual = where.copy()
    usual[where] = (np.abs(colors - middle) <= 3 * spread).all(axis=1)
    return usual


def _opened(mask: Mask) -> Mask:
    """Removes lines under 3 px: the mixed pixels along an edge are not a thing."""
    return cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)) > 0


def _deviations(off: Plane, covariance: Plane) -> Plane:
    """Mahalanobis length of each of N offsets (N, 3); covariances are (N, 3, 3) or one (3, 3)."""
    inverse = np.broadcast_to(np.linalg.inv(covariance), (len(off), 3, 3))
    return np.asarray(np.sqrt(np.einsum("ni,nij,nj->n", off, inverse, off)), np.float32)
