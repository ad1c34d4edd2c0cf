"""What shows that a mask is one whole garment and nothing else: no skin, no head, one cloth, all of it."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.backends.embedded.perception.garment_prompts import Body
from tasks.backends.embedded.perception.imagenet_classifier import imagenet_classifier
from tasks.backends.embedded.perception.label_witness import lookalikes_of
from tasks.backends.embedded.perception.person_pose import Point
from tasks.imaging.arrays import Image, Mask
from tasks.imaging.color_names import to_lab
from tasks.imaging.geometry import box_of, grow
from tasks.imaging.masks import dilate

Lab = NDArray[np.float32]

SKIN_CHROMA, SKIN_DARKER, SKIN_LIGHTER = 9.0, 28.0, 20.0
"""Lab a/b distance from the face's color, and loss and gain of lightness, within which a pixel may be skin."""

SKIN_HUE, SKIN_STRENGTH, SKIN_LIGHT = (25.0, 75.0), (13.0, 45.0), (25.0, 92.0)
"""Range of hue in degrees, chroma and lightness of skin, where no face is seen to compare with."""

SPECK = 0.02
"""Half width of what is too thin to be skin, in trunk lengths."""

CLOTH_CHROMA = 14.0
"""Lab a/b distance from the main color up to which a pixel is of the same cloth."""

CLOTH_LIGHT = 30.0
"""The same for lightness, beyond folds and shade."""

SHADE = 0.4
"""Lightness of the deepest folds over that of the cloth."""

UPPER_ARM, FOREARM = (0.2, 1.0), (0.0, 0.75)
"""Parts of the lines from shoulder to elbow and from elbow to wrist that a long sleeve covers."""

SLEEVE = 0.7
"""Share of such a part that is neither skin nor hidden from which it is a sleeve."""

NARROW = 0.4
"""Width of legs seen from the side, in trunk lengths; a skirt is wider."""

GROUND = 235
"""Gray of the ground on which a garment is shown to the classifier."""

FAINT_STEP = 7.0
"""Lab step across the outline below which the cloth may go on beyond it."""


def face_color(image: Image, body: Body) -> tuple[float, float, float] | None:
    """Median Lab of the face around the nose, None where no face is seen."""
    if body.nose is None or body.eyes is None:
        return None
    radius = max(2, round(0.6 * float(np.hypot(*(body.eyes - body.nose)))))
    x, y = (round(float(v)) for v in body.nose)
    part = image[max(0, y - radius) : y + radius + 1, max(0, x - radius) : x + radius + 1]
    if not part.size:
        return None
    light, a, b = np.median(to_lab(part).reshape(-1, 3), axis=0)
    return float(light), float(a), float(b)


def skin_pixels(lab: Lab, face: tuple[float, float, float] | None) -> Mask:
    """Which pixels of Lab values (..., 3) may be skin: near the face's color, or of any skin's without a face."""
    light, a, b = lab[..., 0], lab[..., 1], lab[..., 2]
    if face is not None:
        near = np.hypot(a - face[1], b - face[2]) <= SKIN_CHROMA
        return np.asarray(near & (light >= face[0] - SKIN_DARKER) & (light <= face[0] + SKIN_LIGHTER), bool)
    hue, chroma = np.rad2deg(np.arctan2(b, a)), np.hypot(a, b)
    found = (hue >= SKIN_HUE[0]) & (hue <= SKIN_HUE[1])
    found &= (chroma >= SKIN_STRENGTH[0]) & (chroma <= SKIN_STRENGTH[1])
    return np.asarray(found & (light >= SKIN_LIGHT[0]) & (light <= SKIN_LIGHT[1]), bool)


def skin_share(image: Image, mask: Mask, body: Body) -> float:
    """Share 0..1 of the mask that may be skin; specks, as of folds in warm light, do not count."""
    area = int(np.count_nonzero(mask))
    if not area:
        return 1.0
    skin = skin_pixels(_smooth_lab(image, mask), face_color(image, body)) & mask
    side = 2 * max(1, round(SPECK * body.scale)) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return int(np.count_nonzero(cv2.morphologyEx(skin.astype(np.uint8), cv2.MORPH_OPEN, kernel))) / area


def head_share(mask: Mask, body: Body) -> float:
    """Share 0..1 of the mask in the head: a disc around nose, eyes and ears that ends above the shoulders."""
    if not body.head or not mask.any():
        return 0.0
    center = np.mean(body.head, axis=0)
    radius = 0.5 * float(np.hypot(*(body.neck - center)))
    rows, columns = np.ogrid[: mask.shape[0], : mask.shape[1]]
    head = (columns - center[0]) ** 2 + (rows - center[1]) ** 2 <= radius**2
    return int(np.count_nonzero(mask & head)) / int(np.count_nonzero(mask))


def neck_share(image: Image, mask: Mask, body: Body) -> float:
    """Share 0..1 of the throat that is skin and in the mask: between head and shoulders, a fifth of their width."""
    if not body.head:
        return 0.0
    center = np.mean(body.head, axis=0)
    top, foot = (center * (1 - t) + body.neck * t for t in (0.6, 0.95))
    throat = np.zeros(mask.shape, np.uint8)
    cv2.line(throat, _pixel(top), _pixel(foot), 1, max(1, round(0.2 * body.shoulders)))
    region = throat > 0
    skin = skin_pixels(_smooth_lab(image, region), face_color(image, body))
    return int(np.count_nonzero(region & mask & skin)) / max(1, int(np.count_nonzero(region)))


def one_cloth_share(image: Image, mask: Mask) -> float:
    """Share 0..1 of the mask in the main color, folds and shade included."""
    inside = _smooth_lab(image, mask)[mask]
    if not len(inside):
        return 0.0
    main = np.median(inside, axis=0)
    light = inside[:, 0]
    # Less light on one cloth makes L + 16, a and b smaller by the same factor (CIE 15, the cube root of Lab).
    in_its_light = inside[:, 1:] * ((main[0] + 16) / (light + 16))[:, None]
    off = np.minimum(
        np.linalg.norm(inside[:, 1:] - main[1:], axis=1), np.linalg.norm(in_its_light - main[1:], axis=1)
    )
    darkest = min(SHADE * main[0], main[0] - CLOTH_LIGHT)
    lit = (light >= darkest) & (light <= main[0] + CLOTH_LIGHT)
    return float(((off <= CLOTH_CHROMA) & lit).mean())


def faint_outline_share(image: Image, mask: Mask, wearer: Mask, reach: int) -> float:
    """Share 0..1 of the outline within the wearer at which the colors hardly change: the cloth may go on there.

    ``mask`` and ``wearer`` are those of the garment and of the person, (H, W); ``reach`` px on both sides are compared.
    """
    if not mask.any():
        return 1.0
    height, width = mask.shape
    part = grow(box_of(mask), 4 * reach + 4, width, height)
    here = np.s_[part.y0 : part.y1, part.x0 : part.x1]
    inside, body = mask[here], wearer[here]
    lab = to_lab(np.ascontiguousarray(image[here]))
    deep = cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, 3)
    away = cv2.distanceTransform((~inside).astype(np.uint8), cv2.DIST_L2, 3)
    inner = (deep > 1) & (deep <= 1 + reach)
    outer = (away > 1) & (away <= 1 + reach) & body
    window = (4 * reach + 1, 4 * reach + 1)
    means = []
    for band in (inner, outer):
        weight = band.astype(np.float32)
        count = cv2.blur(weight, window)
        means.append(cv2.blur(lab * weight[..., None], window) / np.maximum(count, 1e-6)[..., None])
    enough = cv2.blur(outer.astype(np.float32), window) > 0.1
    line = inside & (deep <= 1.5) & enough
    if not line.any():
        return 0.0
    step = np.linalg.norm(means[0] - means[1], axis=2)
    outline = int(np.count_nonzero(inside & (deep <= 1.5)))
    return int(np.count_nonzero(step[line] < FAINT_STEP)) / outline


def other_name(image: Image, mask: Mask, label: str) -> float:
    """The classifier's probability 0..1 of garments with another name, for the garment cut out on a light ground."""
    if not mask.any():
        return 1.0
    box = box_of(mask)
    part = np.s_[box.y0 : box.y1, box.x0 : box.x1]
    alone = np.where(mask[part][..., None], image[part], np.uint8(GROUND))
    classifier = imagenet_classifier()
    others = np.array([name in lookalikes_of(label) for name in classifier.names])
    return float(classifier.scores(np.ascontiguousarray(alone))[others].sum())


def covered_share(mask: Mask, wearer: Mask, region: Mask) -> float:
    """Share 0..1 of a region of the wearer's visible body that the mask covers."""
    visible = region & wearer
    area = int(np.count_nonzero(visible))
    return int(np.count_nonzero(visible & mask)) / area if area else 0.0


def trunk_region(shape: tuple[int, ...], body: Body) -> Mask:
    """The trunk (H, W) from below the shoulders to above the waist, without the sides where arms hang."""
    down = body.waist - body.neck
    corners = [
        0.8 * body.left + 0.2 * body.right + 0.15 * down,
        0.2 * body.left + 0.8 * body.right + 0.15 * down,
    ]
    side = (body.right - body.left) * 0.28
    foot = body.neck + 0.85 * down
    return _polygon(shape, [corners[0], corners[1], foot + side, foot - side])


def without_skin(image: Image, region: Mask, body: Body) -> Mask:
    """The region without what may be skin: an arm before the trunk leaves no cloth to be covered there."""
    return region & ~skin_pixels(_smooth_lab(image, region), face_color(image, body))


def arms_covered(image: Image, mask: Mask, wearer: Mask, body: Body) -> float:
    """Least share 0..1 of a sleeve that the mask covers; 1 where no sleeve is seen.

    Upper arms and forearms count each by itself, where both ends are seen and nearly all of it is the wearer's and no
    skin.
    """
    least = 1.0
    for shoulder, elbow, wrist in zip((body.left, body.right), body.elbows, body.wrists, strict=True):
        for pair, start, end in (((shoulder, elbow), *UPPER_ARM), ((elbow, wrist), *FOREARM)):
            arm = _lines(mask.shape, body, (pair,), start, end)
            sleeve = without_skin(image, arm, body) & wearer
            if arm.any() and np.count_nonzero(sleeve) >= SLEEVE * np.count_nonzero(arm):
                least = min(least, float(mask[sleeve].mean()))
    return least


def length(mask: Mask, body: Body) -> float:
    """How far the mask reaches down, in trunk lengths from the shoulders; 1 is the waist."""
    down = body.waist - body.neck
    rows, columns = np.nonzero(mask)
    along = ((columns - body.neck[0]) * down[0] + (rows - body.neck[1]) * down[1]) / float(down @ down)
    return float(np.percentile(along, 98)) if along.size else 0.0


def thigh_region(shape: tuple[int, ...], body: Body) -> Mask:
    """Lines (H, W) along both thighs, some pixels wide, where hips and knees are seen."""
    return _lines(shape, body, zip(body.hips, body.knees, strict=False), 0.25, 0.8)


def shank_region(shape: tuple[int, ...], body: Body) -> Mask:
    """The same along both shanks, where knees and ankles are seen."""
    return _lines(shape, body, zip(body.knees, body.ankles, strict=True), 0.25, 0.75)


def above_waist(mask: Mask, body: Body) -> float:
    """How far the mask reaches above the hips, in trunk lengths."""
    down = body.waist - body.neck
    rows, columns = np.nonzero(mask)
    along = ((columns - body.waist[0]) * down[0] + (rows - body.waist[1]) * down[1]) / float(down @ down)
    return float(-np.percentile(along, 2)) if along.size else 0.0


def bare_share(image: Image, region: Mask, body: Body) -> float:
    """Share 0..1 of a region that may be skin; 0 for an empty one."""
    if not region.any():
        return 0.0
    return float(skin_pixels(_smooth_lab(image, region)[region], face_color(image, body)).mean())


def between_legs(mask: Mask, body: Body, *, long: bool) -> float:
    """Share 0..1 of the line between the two shanks (``long``) or knees that the mask covers; 1 where not seen."""
    ends = [
        (knee + ankle) / 2 if long and knee is not None and ankle is not None else knee
        for knee, ankle in zip(body.knees, body.ankles, strict=True)
    ]
    left, right = ends
    if left is None or right is None:
        return 1.0
    row = round(float(left[1] + right[1]) / 2)
    if 0 <= row < mask.shape[0] and np.count_nonzero(mask[row]) <= NARROW * body.scale:
        return 0.0  # one leg before the other
    steps = [left * (1 - t) + right * t for t in np.linspace(0.42, 0.58, 9)]
    return float(np.mean([_inside(mask, point) for point in steps]))


def _inside(mask: Mask, point: Point) -> bool:
    x, y = _pixel(point)
    return 0 <= y < mask.shape[0] and 0 <= x < mask.shape[1] and bool(mask[y, x])


def _lines(
    shape: tuple[int, ...],
    body: Body,
    pairs: Iterable[tuple[Point | None, Point | None]],
    start: float,
    end: float,
) -> Mask:
    region = np.zeros(shape[:2], np.uint8)
    for a, b in pairs:
        if a is not None and b is not None:
            first, last = (a * (1 - t) + b * t for t in (start, end))
            cv2.line(region, _pixel(first), _pixel(last), 1, max(1, round(0.08 * body.scale)))
    return region > 0


def _pixel(point: Point) -> tuple[int, int]:
    return round(float(point[0])), round(float(point[1]))


def _polygon(shape: tuple[int, ...], corners: list[NDArray[np.float64]]) -> Mask:
    region = np.zeros(shape[:2], np.uint8)
    cv2.fillConvexPoly(region, cv2.convexHull(np.array(corners).round().astype(np.int32)), 1)
    return region > 0


def _smooth_lab(image: Image, mask: Mask) -> Lab:
    """Lab (H, W, 3) with a pixel's noise taken off, only right around the mask."""
    lab = np.zeros((*mask.shape, 3), np.float32)
    if mask.any():
        part = grow(box_of(dilate(mask, 2)), 4, mask.shape[1], mask.shape[0])
        here = np.s_[part.y0 : part.y1, part.x0 : part.x1]
        lab[here] = cv2.GaussianBlur(to_lab(np.ascontiguousarray(image[here])), (0, 0), 1.0)
    return lab
