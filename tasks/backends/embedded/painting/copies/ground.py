"""The ground around a thing's foot: its color and texture, and the shadow on it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from tasks.imaging.arrays import Image, Mask
from tasks.imaging.color_names import to_lab
from tasks.imaging.geometry import box_of, cropped
from tasks.imaging.masks import dilate
from tasks.imaging.near_colors import Plane
from tasks.records.records import Box

FOOT_SHARE = 0.22
"""Height of the zone around a foot line, in heights of the thing."""

SHADE = 0.94
"""Brightness over that of the lit ground below which a pixel lies in shadow."""

FAINT = 0.985
"""The same down to which a shadow fades out."""

MAX_SHADE_CHROMA = 9.0
"""Lab a/b distance from the ground's color up to which a darker pixel is shadow and no thing."""

NOISY = 2.5
"""Deviations of the lit ground's own brightness from which a pixel is darker by shadow and not by texture."""

UP_SHARE = 0.4
"""Reach of a shadow above the foot line, in heights of the thing; what is dark further up is a wall."""

GAP_SHARE = 0.06
"""Gap between two pieces of one shadow, in the thing's longer side."""

MAX_SPREAD = (8.0, 8.0, 8.0)
"""Largest deviations of a ground's Lab color with which it is one surface, on which a shadow can be told."""

MAX_CUT = 0.01
"""Share of a shadow at the window's border or at another thing up to which it fades out there; with more it is cut."""

DEEPEST = 0.2
"""Brightness below which it is a dark thing."""

CONTACT_SHARE = 0.025
"""Distance from the thing, in its longer side, at which its shadow may be darker than that."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ground:
    """What is around a thing, in a window of the photograph.

    Attributes:
        window: in pixels of the photograph.
        shadow: (h, w) factor 0..1 by which the thing darkens the ground; 1 beyond its shadow and under the thing.
        cut: whether much of the shadow reaches the window's border or another thing, so that a copy of it would be cut.
        color: median Lab of the lit ground at the foot.
        spread: (3,) deviation of that color.
        rough: 90th percentile of the gradient (Lab per px) of the lit ground.
        even: share of the zone around the foot that is lit ground or shadow.
    """

    window: Box
    shadow: Plane
    cut: bool
    color: Plane
    spread: Plane
    rough: float
    even: float

    @property
    def one_surface(self) -> bool:
        """Whether the ground has one color, so that what is darker is shadow."""
        return bool((self.spread <= np.array(MAX_SPREAD)).all())


def ground_around(image: Image, mask: Mask, others: Mask, window: Box) -> Ground | None:
    """The ground in a window around the thing under ``mask``; None where hardly any can be seen.

    Args:
        image: the photograph.
        mask: the thing, (H, W).
        others: pixels of other things, (H, W), without what the thing stands on.
        window: part of the photograph around the thing.
    """
    here, inside, foreign = cropped(image, window), cropped(mask, window), cropped(others, window)
    box = box_of(inside)
    # The thing's own pixels must not mix into its contact shadow.
    bare = ~dilate(inside, 1)
    smooth = blurred(to_lab(here), bare, _sigma(box))
    zone = _foot_zone(box, inside.shape) & ~dilate(inside, 3) & ~dilate(foreign, 3)
    if np.count_nonzero(zone) < 60:
        return None
    # The lit ground: the brighter half of the zone, since a shadow is darker.
    light = smooth[..., 0]
    lit_l = float(np.percentile(light[zone], 65))
    lit = zone & (np.abs(light - lit_l) <= max(6.0, 0.12 * lit_l))
    if np.count_nonzero(lit) < 40:
        return None
    color = np.median(smooth[lit], axis=0).astype(np.float32)
    spread = (1.48 * np.median(np.abs(smooth[lit] - color), axis=0) + 1.0).astype(np.float32)
    rough = float(np.percentile(_gradient(smooth)[lit], 90))
    field = _lit_luminance(here, smooth, zone, color, spread)
    light_now = blurred(_linear(here), bare, _sigma(box))
    ratio = np.asarray(np.clip(light_now / np.maximum(field, 1e-3), 0, 1), np.float32)
    own = ratio[_alike(smooth, color, spread) & zone]
    noise = 1.48 * float(np.median(np.abs(own - np.median(own)))) if own.size else 0.0
    shadow, cut = _shadow(ratio, smooth, color, inside, foreign, box, noise)
    alike = _alike(smooth, color, spread) | (shadow < SHADE)
    return Ground(
        window=window,
        shadow=shadow,
        cut=cut,
        color=color,
        spread=spread,
        rough=rough,
        even=float(alike[zone].mean()),
    )


def _foot_zone(box: Box, shape: tuple[int, ...]) -> Mask:
    """Pixels beside and below the foot of a box."""
    zone = np.zeros(shape, bool)
    tall, wide = max(6, round(FOOT_SHARE * box.height)), max(8, round(0.6 * box.width))
    y0, y1 = max(0, box.y1 - tall), min(shape[0], box.y1 + tall)
    zone[y0:y1, max(0, box.x0 - wide) : min(shape[1], box.x1 + wide)] = True
    return zone


def blurred(plane: Plane, where: Mask, sigma: float) -> Plane:
    """Gaussian mean over the pixels ``where`` alone, of (H, W) or (H, W, C) values."""
    weight = where.astype(np.float32)
    count = np.maximum(cv2.GaussianBlur(weight, (0, 0), sigma), 1e-4)
    flat = weight if plane.ndim == 2 else weight[..., None]
    total = cv2.GaussianBlur(np.asarray(plane * flat, np.float32), (0, 0), sigma)
    return np.asarray(total / (count if plane.ndim == 2 else count[..., None]), np.float32)


def _gradient(lab: Plane) -> Plane:
    dx, dy = cv2.Sobel(lab, cv2.CV_32F, 1, 0, ksize=3) / 8, cv2.Sobel(lab, cv2.CV_32F, 0, 1, ksize=3) / 8
    return np.asarray(np.sqrt((dx * dx + dy * dy).sum(axis=2)), np.float32)


def _alike(lab: Plane, color: Plane, spread: Plane) -> Mask:
    """Pixels of the ground's color: within its own variation, and never more than plainly different."""
    limit = np.clip(3.5 * spread, (7.0, 5.0, 5.0), (16.0, 10.0, 12.0))
    return np.asarray((np.abs(lab - color) <= limit).all(axis=2), bool)


def _linear(image: Image) -> Plane:
    """Linear luminance (H, W), 0..1."""
    weights = np.array([0.2126, 0.7152, 0.0722], np.float32)
    return np.asarray((image.astype(np.float32) / np.float32(255)) ** np.float32(2.2) @ weights, np.float32)


def _sigma(box: Box) -> float:
    """Scale (px) at which brightness is compared, so that texture and noise of the ground stay where they are."""
    return float(np.clip(0.008 * max(box.width, box.height), 1.0, 3.0))


def _lit_luminance(image: Image, lab: Plane, zone: Mask, color: Plane, spread: Plane) -> Plane:
    """Luminance that the ground would have without shadow: a plane through the lit pixels of the window."""
    height, width = zone.shape
    lit = _alike(lab, color, spread)
    y, x = np.nonzero(lit)
    values = _linear(image)[lit]
    if len(values) > 20000:
        step = len(values) // 20000 + 1
        y, x, values = y[::step], x[::step], values[::step]
    basis = np.stack([np.ones_like(values), x / width - 0.5, y / height - 0.5], axis=1).astype(np.float32)
    weights = np.ones_like(values)
    plane = np.zeros(3, np.float32)
    # Shadow is darker and dirt lighter than the lit ground: weights of residuals tell them from it.
    for _ in range(4):
        plane = np.linalg.lstsq(basis * weights[:, None], values * weights, rcond=None)[0].astype(np.float32)
        off = values - basis @ plane
        scale = 1.48 * np.median(np.abs(off)) + 1e-4
        weights = np.asarray(1 / (1 + (off / scale) ** 2), np.float32)
    yy, xx = np.mgrid[0:height, 0:width].astype(np.float32)
    return np.asarray(
        np.maximum(plane[0] + plane[1] * (xx / width - 0.5) + plane[2] * (yy / height - 0.5), 1e-3),
        np.float32,
    )


def _shadow(
    ratio: Plane, lab: Plane, color: Plane, inside: Mask, foreign: Mask, box: Box, noise: float
) -> tuple[Plane, bool]:
    """The shadow joined to the thing's lower part, and whether it is cut off; ``noise`` is that of ``ratio``."""
    # In Lab less light on one surface scales a and b as it scales L + 16.
    dimmed = np.clip((lab[..., 0] + 16) / (color[0] + 16), 0.2, 1.2)
    hue = np.hypot(lab[..., 1] - dimmed * color[1], lab[..., 2] - dimmed * color[2])
    shade, faint = min(SHADE, 1 - NOISY * noise), min(FAINT, 1 - 0.4 * NOISY * noise)
    # Right at the foot hardly any light comes in.
    contact = dilate(inside, max(2, round(CONTACT_SHARE * max(box.width, box.height))))
    dark = (ratio < shade) & ((ratio > DEEPEST) | contact) & (hue <= MAX_SHADE_CHROMA) & ~inside & ~foreign
    dark[: max(0, box.y1 - round(UP_SHARE * box.height))] = False
    # Along the edge of another surface, smoothing mixes both into something that looks like shadow.
    mixed = round(2 * _sigma(box)) + 2
    other = (hue > MAX_SHADE_CHROMA) & ~dilate(inside, mixed)
    other = cv2.morphologyEx(other.astype(np.uint8), cv2.MORPH_OPEN, np.ones((5, 5), np.uint8)) > 0
    dark &= ~dilate(other, mixed)
    dark = cv2.morphologyEx(dark.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)) > 0
    count, labels = cv2.connectedComponents(dark.astype(np.uint8))
    low = np.zeros_like(inside)
    low[box.y1 - max(3, round(0.3 * box.height)) :] = True
    touched = np.unique(labels[dilate(inside, 4) & low & dark])
    joined = np.isin(labels, touched[touched > 0]) if count > 1 else np.zeros_like(dark)
    # A blade of grass or a line parts a shadow; its pieces belong together.
    gap = max(5, round(GAP_SHARE * max(box.width, box.height)))
    pieces = np.unique(labels[dilate(joined, gap) & dark]) if joined.any() else touched
    joined = np.isin(labels, pieces[pieces > 0])
    ends = dilate(foreign, mixed + 2)
    ends[:2], ends[-2:], ends[:, :2], ends[:, -2:] = True, True, True, True
    cut = bool(np.count_nonzero(joined & ends) > MAX_CUT * np.count_nonzero(joined))
    # It fades out over a few pixels beyond the last that is surely in it.
    reach = max(3, round(0.03 * max(box.width, box.height)))
    near = dilate(joined, reach) & ~inside & ~foreign
    weight = cv2.GaussianBlur(near.astype(np.float32), (0, 0), reach / 2)
    weight = np.where(joined, 1, np.clip(2 * weight - 0.5, 0, 1))
    factor = np.clip((faint - ratio) / max(faint - shade, 1e-3), 0, 1) * (1 - ratio)
    # Under the thing the shadow of its rim goes on, so that a soft edge never shows lit ground.
    shadow = np.where(inside, 1.0, 1 - weight * factor * _fading(joined & ends, gap)).astype(np.float32)
    return _continued(shadow, inside), cut


def _fading(cut: Mask, reach: int) -> Plane | float:
    """Weights (h, w) that fall to 0 towards the pixels at which a shadow is ``cut``, over ``reach`` px."""
    if not cut.any():
        return 1.0
    away = cv2.distanceTransform((~cut).astype(np.uint8), cv2.DIST_L2, 5)
    return np.asarray(np.clip(away / reach, 0, 1), np.float32)


def _continued(shadow: Plane, inside: Mask) -> Plane:
    """``shadow`` with the values around the thing's outline carried some pixels inwards."""
    band = inside & ~_eroded(inside, 6)
    if not band.any() or inside.all():
        return shadow
    _, labels = cv2.distanceTransformWithLabels(
        inside.astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    values = np.ones(int(labels.max()) + 1, np.float32)
    values[labels[~inside]] = shadow[~inside]
    carried = values[labels]
    return np.asarray(np.where(band, carried, shadow), np.float32)


def _eroded(mask: Mask, radius: int) -> Mask:
    return cv2.erode(mask.astype(np.uint8), np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)) > 0
