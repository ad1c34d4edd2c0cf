"""Alpha matting along an object's border, from the colors on both sides."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from tasks.imaging.arrays import Image, Mask
from tasks.imaging.color_names import to_lab
from tasks.imaging.near_colors import Colors, Plane, near_colors

GLOW = 2
"""Reach of an out-of-focus edge beyond the outline, in multiples of ``radius``."""

MAX_GLOW = 0.7
"""Largest alpha beyond ``radius``; pixels more like the object are something else."""

PLAIN_STEP = 15.0
"""Lab distance of object and background at which the discriminant begins to be trusted; fully at twice the distance."""

NOISE = 7.5
"""Least Lab deviation assumed of a surface; two plain sides `PLAIN_STEP` apart have trust 0.5."""

OFF_LINE = 1.6
"""Deviations off the line between the two sides' colors at which the trust in a pixel is halved."""


THICK = 4
"""Half width (px) from which the outline of a part of the mask is smoothed."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Edge:
    """A soft outline.

    Attributes:
        alpha: (H, W) share of the object in each pixel, 0..1.
        behind: (H, W, 3) Lab of the picture, in the band with the object's color removed as far as it is known.
    """

    alpha: Plane
    behind: Plane


def refine_edge(image: Image, mask: Mask, radius: int) -> Edge:
    """Alpha of the object, (H, W) 0..1: 1 deep inside, 0 beyond ``GLOW * radius`` px outside.

    Within the band, alpha comes from a linear discriminant between the local colors of object and background. Where
    the two hardly differ, or the pixel has neither color, the mask is used, feathered by the measured blur of the
    object's edge. Beyond ``radius`` only colors count: an out-of-focus object extends over its outline, and its old
    color would stay as a fringe.
    """
    reach = GLOW * radius
    depth, away = _distance(mask), _distance(~mask)
    lab = to_lab(image)
    band = (depth <= radius) & (away <= reach)
    front = near_colors(lab, depth > radius, 3 * radius + 1, band)
    back = near_colors(lab, away > reach, 3 * reach + 1, band)
    share, trust = _discriminate(lab[band], front, back)
    step = np.linalg.norm(front.mean - back.mean, axis=1)
    clear = (step > PLAIN_STEP) & (np.minimum(front.seen, back.seen) > 0.5) & (depth[band] == 1)
    width = _blur_width(
        lab, band, (front.mean - back.mean) / np.maximum(step, 1e-3)[:, None], step, clear, radius
    )
    outline = _smoothed(depth, away)[band]
    depth, away = depth[band], away[band]
    prior = np.clip(0.5 + outline / (width + 1), 0, 1)
    near = trust * np.clip(1.15 * share - 0.075, 0, 1) + (1 - trust) * prior
    # An out-of-focus edge fades with distance; things of its color further out do not belong to the object. A sharp
    # edge has none, and where the two sides are nearly alike, paint would make a halo on the background.
    glow = (
        trust * np.clip(1.15 * share - 0.15, 0, 1) * np.clip((reach + 1 - away) / (reach + 1 - radius), 0, 1)
    )
    glow = glow * np.clip(step / PLAIN_STEP - 1, 0, 1) * np.clip(2 * width / radius - 1, 0, 1)
    alpha = mask.astype(np.float32)
    alpha[band] = np.where(away > radius, np.minimum(glow, MAX_GLOW), near)
    soft = cv2.GaussianBlur(_falling(alpha, mask, reach), (0, 0), 0.7)
    outside = cv2.dilate((band | mask).astype(np.uint8), np.ones((3, 3), np.uint8)) == 0
    alpha = np.where(outside, 0, np.clip(soft, 0, 1)).astype(np.float32)
    # A half-covered pixel is a mix; the part that stays must have the background's color.
    mixed = (trust * np.clip(8 * alpha[band], 0, 1) * (alpha[band] < 1))[:, None]
    behind = lab.copy()
    behind[band, 1:] = (1 - mixed) * lab[band, 1:] + mixed * back.mean[:, 1:]
    return Edge(alpha=alpha, behind=behind)


def _discriminate(colors: Plane, front: Colors, back: Colors) -> tuple[Plane, Plane]:
    """Fisher's linear discriminant for each of N pixels: unclipped share of the front, and trust in it, 0..1."""
    line = front.mean - back.mean
    noise = front.covariance + back.covariance + NOISE**2 * np.eye(3, dtype=np.float32)
    inverse = np.linalg.inv(noise)
    toward = np.einsum("nij,nj->ni", inverse, line)
    distance = np.maximum((toward * line).sum(axis=1), 1e-6)
    share = (toward * (colors - back.mean)).sum(axis=1) / distance
    # A shadow or a third object lies off the line between the two colors, where the share means nothing.
    off = colors - back.mean - np.clip(share, 0, 1)[:, None] * line
    miss = np.einsum("ni,nij,nj->n", off, inverse, off)
    trust = distance / (distance + (PLAIN_STEP / NOISE) ** 2) / (1 + miss / OFF_LINE**2)
    return np.asarray(share, np.float32), np.asarray(trust * np.minimum(front.seen, back.seen), np.float32)


def _blur_width(lab: Plane, band: Mask, unit: Plane, step: Plane, clear: Mask, radius: int) -> float:
    """Blur width of the object's edge in pixels, 1..``radius``.

    The median, over the outline's pixels with a ``clear`` step between the two sides, of that step over the
    steepest gradient nearby; half of ``radius`` where no part of the outline has one.
    """
    if not clear.any():
        return radius / 2
    slopes = [(cv2.Sobel(lab, cv2.CV_32F, dx, 1 - dx, ksize=3)[band] / 8 * unit).sum(axis=1) for dx in (1, 0)]
    slope = np.zeros(band.shape, np.float32)
    slope[band] = np.hypot(slopes[0], slopes[1])
    size = 2 * radius + 1
    steepest = cv2.dilate(slope, np.ones((size, size), np.uint8))[band]
    widths = step[clear] / np.maximum(steepest[clear], 1e-3) - 1
    return float(np.clip(np.median(widths), 1, radius))


def _distance(mask: Mask) -> Plane:
    return np.asarray(cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5), np.float32)


def _smoothed(depth: Plane, away: Plane) -> Plane:
    """Signed distance (H, W) to the mask's outline in px, positive inside, without the outline's jitter.

    Parts and gaps thinner than ``2 * THICK`` px are kept, since smoothing would remove them.
    """
    signed = depth - away
    near = np.clip(signed, -2 * THICK, 2 * THICK)
    around = np.ones((2 * THICK + 1, 2 * THICK + 1), np.uint8)
    thick = (cv2.dilate(depth, around) >= THICK) & (cv2.dilate(away, around) >= THICK)
    return np.asarray(np.where(thick, cv2.GaussianBlur(near, (0, 0), THICK / 2), signed), np.float32)


def _falling(alpha: Plane, mask: Mask, reach: int) -> Plane:
    """``alpha`` (H, W) made monotonic outside the mask, so that things of the object's color behind a gap drop out."""
    found = np.where(mask, alpha, 0).astype(np.float32)
    for _ in range(reach + 1):
        found = np.minimum(cv2.dilate(found, np.ones((3, 3), np.uint8)), alpha)
    return np.asarray(np.where(mask, alpha, found), np.float32)
