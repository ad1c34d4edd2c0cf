"""Shadows on the ground around a thing: darker than the ground, of its hue, and connected with the thing."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.imaging.arrays import Image, Mask
from tasks.imaging.color_names import to_lab
from tasks.imaging.geometry import box_of, cropped, grow
from tasks.imaging.masks import dilate
from tasks.records.records import Box

Plane = NDArray[np.float32]

NEAR = 0.3
"""How far a shadow that was left behind is counted, in longer sides of the fill."""

WORK_SIDE = 384
"""Longer side, in pixels, at which shadows are searched: coarse enough that grain is not taken for them."""

SIGMA = 0.16
"""Scale of the ground's light, in longer sides of the window: coarser than a shadow, finer than a room."""

ROUNDS = 4
"""Rounds of estimating the ground, each without the pixels that the one before found dark."""

CORE, RIM = 6.0, 2.5
"""Loss of lightness (L) that makes a pixel dark, in deviations' floor units; and of the soft rim joined to it."""

UPPER = 0.4
"""Share of a thing's height, from the top, beside which no shadow of it is expected."""

RIM_REACH = 0.03
"""How far a shadow's soft rim reaches from its core, in longer sides of the window."""

MAX_TURN = 13.0
"""Largest Lab a/b distance between a shadow and its ground scaled to the shadow's lightness."""

MIN_LIGHT = 0.12
"""Least share of the ground's lightness in a shadow; darker pixels are dark things."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shade:
    """What is darker than the ground and of its hue, (H, W) each.

    Attributes:
        core: plainly so.
        soft: plainly or a little, as at a shadow's rim.
    """

    core: Mask
    soft: Mask


def shade_of(image: Image, ground: Mask, where: Mask) -> Shade:
    """Classifies the pixels ``where`` by the light of the ``ground`` around them, all (H, W).

    The ground's light is interpolated from its brighter pixels, so a shadow may itself be part of ``ground``.
    """
    lab = np.asarray(cv2.GaussianBlur(to_lab(image), (0, 0), 1.2), np.float32)
    sigma = SIGMA * max(image.shape[:2])
    weight = ground.astype(np.float32)
    light, noise = _smooth(lab, weight, sigma)
    for _ in range(ROUNDS):
        drop = light[..., 0] - lab[..., 0]
        usual = (np.abs(drop) < np.maximum(1.3 * noise, CORE / 2)).astype(np.float32)
        light, noise = _smooth(lab, weight * np.maximum(usual, 0.02), sigma)
    drop = light[..., 0] - lab[..., 0]
    share = lab[..., 0] / np.maximum(light[..., 0], 1.0)
    # In a shadow the color of the ground fades with its light.
    turned = np.linalg.norm(lab[..., 1:] - light[..., 1:] * np.clip(share, 0, 1)[..., None], axis=2)
    of_ground = (turned < MAX_TURN) & (share > MIN_LIGHT) & where
    known = drop[ground]
    # 1.48 x the median absolute deviation estimates a standard deviation, ignoring shadows.
    spread = 1.48 * float(np.median(np.abs(known - np.median(known)))) if known.size else 0.0
    core = of_ground & (drop > max(CORE, 2.0 * spread))
    soft = of_ground & (drop > max(RIM, spread))
    return Shade(core=core, soft=soft | core)


def attached_shadow(image: Image, mask: Mask, blocked: Mask, *, reach: float, touch_px: int) -> Mask:
    """The shadow connected with a thing, (H, W), without the thing itself.

    Args:
        image: (H, W, 3) RGB.
        mask: the thing.
        blocked: other things; no shadow is searched in them, nor the ground's light taken from them.
        reach: how far from the thing shadows are searched, in longer sides of its box.
        touch_px: gap between thing and shadow that still connects them.
    """
    height, width = mask.shape
    box = box_of(mask)
    found = np.zeros_like(mask)
    if not box.area:
        return found
    window = grow(box, max(24, round(reach * max(box.width, box.height))), width, height)
    scale = work_scale(window.width, window.height)
    small = _resized(cropped(image, window), scale)
    thing, taken = (_touched(cropped(m, window), scale) for m in (mask, blocked))
    ground = ~dilate(thing, 1) & ~dilate(taken, 2)
    # A shadow lies where the thing stands; what is dark behind its upper part is something else.
    low = ground.copy()
    low[: round((box.y0 + UPPER * box.height - window.y0) * scale)] = False
    shade = shade_of(small, ground, low)
    touch = dilate(thing, max(2, round(touch_px * scale)) + 1)
    joined = _without_end(_connected(_opened(shade.core), touch), window, width, height)
    # The soft rim belongs to a shadow as far as the shadow's core is near.
    near = dilate(joined, max(2, round(RIM_REACH * WORK_SIDE)))
    soft = _connected((shade.soft & near) | joined, joined)
    large = cv2.resize(soft.astype(np.uint8), (window.width, window.height), interpolation=cv2.INTER_LINEAR)
    found[window.y0 : window.y1, window.x0 : window.x1] = large > 0
    return found & ~mask & ~blocked


def shadow_area(image: Image, fill: Mask, blocked: Mask, most: float) -> float:
    """Area, in pixels of the picture, by which a filled hole and its close surroundings are shadier than the rest.

    Args:
        image: (H, W, 3) RGB with the hole filled.
        fill: the filled pixels, from which the ground's light is not taken.
        blocked: other things.
        most: area (px) above which a dark piece is part of the ground.
    """
    scale = work_scale(fill.shape[1], fill.shape[0])
    small, inside, taken = _resized(image, scale), _touched(fill, scale), _touched(blocked, scale)
    free = ~dilate(taken, 2)
    core = _opened(shade_of(small, free & ~inside, free).core)
    box = box_of(inside)
    near = dilate(inside, round(NEAR * max(box.width, box.height)))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(core.astype(np.uint8))
    touching = np.unique(labels[dilate(inside, 2) & core])
    small_enough = touching[stats[touching, cv2.CC_STAT_AREA] <= most * scale**2]
    dark = np.isin(labels, small_enough) & near & core
    far = free & ~near
    usual = float(core[far].mean()) if far.any() else 0.0
    # On a ground with shade all over, some lies in the fill, too.
    return max(0.0, float(dark.sum()) - usual * float((near & free).sum())) / scale**2


def work_scale(width: int, height: int) -> float:
    """Factor to the size at which shadows are searched."""
    return min(1.0, WORK_SIDE / max(width, height))


def _smooth(lab: Plane, weight: Plane, sigma: float) -> tuple[Plane, Plane]:
    """Weighted local mean of each channel, and deviation of lightness."""
    count = np.maximum(_blurred(weight, sigma), 1e-5)
    mean = _blurred(lab * weight[..., None], sigma) / count[..., None]
    square = _blurred((lab[..., 0] ** 2) * weight, sigma) / count
    deviation = np.sqrt(np.maximum(square - mean[..., 0] ** 2, 0))
    return np.asarray(mean, np.float32), np.asarray(deviation, np.float32)


def _blurred(plane: Plane, sigma: float) -> Plane:
    # Three boxes approximate a wide Gaussian, whose own kernel takes far longer.
    side = max(1, round(sigma)) * 2 + 1
    for _ in range(3):
        plane = np.asarray(cv2.blur(plane, (side, side), borderType=cv2.BORDER_REFLECT), np.float32)
    return plane


def _connected(mask: Mask, seed: Mask) -> Mask:
    """The pieces of ``mask`` that touch ``seed``."""
    _, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    kept = np.unique(labels[mask & seed])
    return mask & np.isin(labels, kept)


def _without_end(mask: Mask, window: Box, width: int, height: int) -> Mask:
    """``mask`` without the pieces that reach a side of the window inside the picture: too long for a shadow of it."""
    sides = np.zeros_like(mask)
    sides[:, 0], sides[:, -1] = window.x0 > 0, window.x1 < width
    sides[0, :] |= window.y0 > 0
    sides[-1, :] |= window.y1 < height
    return mask & ~_connected(mask, sides)


def _opened(mask: Mask) -> Mask:
    return cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)) > 0


def _resized(image: Image, scale: float) -> Image:
    if scale >= 1:
        return image
    return np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)


def _touched(mask: Mask, scale: float) -> Mask:
    if scale >= 1:
        return mask
    covered = cv2.resize(mask.astype(np.uint8) * 255, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return covered > 64
