"""Soft edges: how much of each border pixel belongs to the object, from the colours on both sides."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.color_names import to_lab
from tasks.roles.protocols import Image, Mask

GLOW = 2
"""How many times ``radius`` an object out of focus may shine over its outline."""

MAX_GLOW = 0.7
"""Largest share beyond ``radius``: a pixel more like the object than this is a thing of its own."""

PLAIN_STEP = 15.0
"""Lab distance of object and surroundings from which a glow may be told from the surroundings; at twice it, surely."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Edge:
    """A soft outline.

    Attributes:
        alpha: (H, W) share of the object in each pixel, 0..1.
        behind: (H, W, 3) Lab of the picture, in the band with the object's colour taken off as far as it is known.
    """

    alpha: NDArray[np.float32]
    behind: NDArray[np.float32]


def refine_edge(image: Image, mask: Mask, radius: int) -> Edge:
    """Share of the object in each pixel (H, W), 0..1: 1 deep inside, 0 beyond ``GLOW * radius`` px outside.

    Within the band, a pixel is projected on the line between the mean colours of the object and of its
    surroundings nearby; where the two hardly differ, the feathered mask decides. Beyond ``radius`` only the
    colours count: an object out of focus shines over its outline, and its old colour would stay as a fringe.
    """
    reach = GLOW * radius
    inside, outside = mask.astype(np.uint8), (~mask).astype(np.uint8)
    depth = cv2.distanceTransform(inside, cv2.DIST_L2, 5)
    away = cv2.distanceTransform(outside, cv2.DIST_L2, 5)
    prior = np.clip(0.5 + (depth - away) / (radius + 1), 0, 1)
    lab = to_lab(image)
    front = _local_mean(lab, depth > radius, 3 * radius + 1)
    back = _local_mean(lab, away > reach, 3 * reach + 1)
    line = front[0] - back[0]
    length = (line**2).sum(axis=2)
    share = ((lab - back[0]) * line).sum(axis=2) / np.maximum(length, 1e-3)
    trust = length / (length + 15.0**2) * np.minimum(front[1], back[1])
    alpha = trust * np.clip(1.15 * share - 0.075, 0, 1) + (1 - trust) * prior
    # What glows fades away from the object; things of its colour further out do not belong to it.
    glow = (
        trust * np.clip(1.15 * share - 0.15, 0, 1) * np.clip((reach + 1 - away) / (reach + 1 - radius), 0, 1)
    )
    # Where the two sides are nearly alike, a share says nothing: paint there would be a halo on the background.
    glow = glow * np.clip(np.sqrt(length) / PLAIN_STEP - 1, 0, 1)
    alpha = np.where(away > radius, np.minimum(glow, MAX_GLOW), alpha)
    alpha = np.where(depth > radius, 1, np.where(away > reach, 0, alpha))
    alpha = cv2.GaussianBlur(alpha.astype(np.float32), (0, 0), 0.7)
    alpha = np.where(away > reach + 1, 0, np.clip(alpha, 0, 1)).astype(np.float32)
    # A half-covered pixel is half of the object's colour; the part of it that stays must be the background's.
    band = (trust * ((alpha > 0) & (alpha < 1)))[..., None]
    behind = lab.copy()
    behind[..., 1:] = (1 - band) * lab[..., 1:] + band * back[0][..., 1:]
    return Edge(alpha=alpha, behind=behind)


def _local_mean(
    lab: NDArray[np.float32], where: Mask, reach: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean Lab of the pixels ``where`` within ``reach``, and 1 where there are some, else 0."""
    weight = where.astype(np.float32)
    size = (2 * reach + 1, 2 * reach + 1)
    total = cv2.boxFilter(lab * weight[..., None], -1, size, normalize=False, borderType=cv2.BORDER_CONSTANT)
    count = cv2.boxFilter(weight, -1, size, normalize=False, borderType=cv2.BORDER_CONSTANT)
    mean = total / np.maximum(count, 1e-3)[..., None]
    return np.asarray(mean, np.float32), np.asarray(np.clip(count / 4, 0, 1), np.float32)
