"""Adds texture to a blurred filling: detail copied by a few shifts, tones fitted to the surrounding surfaces."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.imaging.arrays import Image, Mask
from tasks.imaging.masks import dilate
from tasks.imaging.patches import MAX_POINTS, MAX_SOURCES, TAP, describe, grid, nearest

SHIFTS = 40
"""Largest number of shifts; fewer give larger coherent pieces of texture."""

SHIFT_BIN = 4
"""Shifts are rounded to multiples of this, pixels."""

RING, SURFACES, TONE_SIGMA = 14, 5, 6.0
"""Tone fitting: width of the ring around the hole (px), largest number of surfaces in it, scale of a tone (px)."""

SURFACE_REACH = 26.0
"""RGB distance (levels) within which colors belong to one surface."""

Planes = NDArray[np.float32]
"""A picture or a map as float32, (H, W, C) or (H, W)."""


def shift_labels(filled: Image, hole: Mask, forbidden: Mask) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each pixel of the hole, the shift that brings the best matching real texture.

    Args:
        filled: the picture with its hole filled, perhaps blurred (H, W, 3).
        hole: filled pixels.
        forbidden: pixels that may not be copied.

    Returns:
        shifts (K, 2) as (dx, dy), and labels (H, W) into them, -1 where there is none.
    """
    height, width = hole.shape
    described = describe(filled)
    usable = ~dilate(hole | forbidden, 2 * TAP)
    points, sources = grid(hole, MAX_POINTS), grid(usable, MAX_SOURCES)
    labels = np.full((height, width), -1, np.int64)
    if not len(points) or not len(sources):
        return np.zeros((0, 2), np.int64), labels
    matches = nearest(described[points[:, 0], points[:, 1]], described[sources[:, 0], sources[:, 1]])
    offsets = (sources[matches] - points)[:, ::-1]
    bins, counts = np.unique(np.rint(offsets / SHIFT_BIN).astype(np.int64), axis=0, return_counts=True)
    # A stable sort makes ties independent of the library's version.
    shifts = bins[np.argsort(-counts, kind="stable")[:SHIFTS]] * SHIFT_BIN
    best = np.full((height, width), np.inf, np.float32)
    smooth = cv2.GaussianBlur(filled, (0, 0), 1.5).astype(np.float32)
    for number, (dx, dy) in enumerate(shifts):
        moved, valid = shifted(smooth, usable, int(dx), int(dy))
        cost = cv2.boxFilter(((moved - smooth) ** 2).sum(axis=2), -1, (11, 11))
        better = hole & valid & (cost < best)
        best[better], labels[better] = cost[better], number
    return shifts, labels


def shifted(picture: Planes, usable: Mask, dx: int, dy: int) -> tuple[Planes, Mask]:
    """``picture`` shifted so that pixel (x, y) shows (x + dx, y + dy), and where that pixel is usable."""
    height, width = usable.shape
    matrix = np.array([[1, 0, -dx], [0, 1, -dy]], np.float32)
    moved = cv2.warpAffine(
        picture, matrix, (width, height), flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REFLECT
    )
    valid = cv2.warpAffine(usable.astype(np.uint8), matrix, (width, height), flags=cv2.INTER_NEAREST)
    return np.asarray(moved, np.float32), valid > 0


def copied_detail(
    image: Image, usable: Mask, shifts: NDArray[np.int64], labels: NDArray[np.int64], sigma: float
) -> Planes:
    """Detail finer than ``sigma`` px, (H, W, 3), copied into the labeled pixels by their shifts.

    ``usable`` pixels of ``image`` may be copied; ``shifts`` and ``labels`` are those of `shift_labels`, in this
    picture's pixels.
    """
    plain = image.astype(np.float32)
    weight = cv2.GaussianBlur(usable.astype(np.float32), (0, 0), sigma)
    # Normalized by the usable pixels, so that the removed object leaves no halo in the detail around it.
    base = cv2.GaussianBlur(plain * usable[..., None], (0, 0), sigma) / np.maximum(weight, 1e-3)[..., None]
    fine = np.where(usable[..., None], plain - base, 0).astype(np.float32)
    detail = np.zeros_like(fine)
    for number in np.unique(labels[labels >= 0]):
        dx, dy = shifts[number]
        moved, valid = shifted(fine, usable, int(dx), int(dy))
        here = (labels == number) & valid
        detail[here] = moved[here]
    return detail


def fit_tone(filled: Planes, image: Image, hole: Mask, avoid: Mask, limit: float) -> Planes:
    """``filled`` with its low frequencies replaced by those of the same surfaces around the hole.

    The colors of the ring are clustered into a few surfaces; the tone of each is interpolated across the hole by a
    pyramid of means. A filled pixel takes the tone of the surface it resembles, and keeps its own where it resembles
    none (distance above ``limit`` levels).
    """
    ring = dilate(hole, RING) & ~dilate(hole, 2) & ~avoid
    if ring.sum() < SURFACES:
        return filled
    plain = image.astype(np.float32)
    calm = cv2.GaussianBlur(plain, (0, 0), 2.0)
    centers = _surfaces(np.asarray(calm, np.float32)[ring])
    owner = ((calm[..., None, :] - centers) ** 2).sum(axis=3).argmin(axis=2)
    broad = cv2.GaussianBlur(filled, (0, 0), TONE_SIGMA)
    total, trust = np.zeros_like(filled), np.full(hole.shape, 1e-6, np.float32)
    for number in range(len(centers)):
        tone = _spread(plain, ring & (owner == number))
        distance = np.linalg.norm(broad - tone, axis=2)
        weight = np.exp(-0.5 * (distance / (limit / 2)) ** 2) * (distance < 2 * limit)
        total += weight[..., None] * (tone - broad)
        trust += weight
    # Weights are small between surfaces, so that edges inside the hole stay.
    share = np.clip(trust, 0, 1) / np.maximum(trust, 1e-6)
    correction = cv2.GaussianBlur(total * share[..., None], (0, 0), TONE_SIGMA / 2)
    return filled + correction * hole[..., None]


def _surfaces(colors: Planes) -> Planes:
    """Mean colors (K, 3) of the main surfaces among ``colors`` (N, 3): greedy, largest first, no seed needed."""
    sampled = colors[:: max(1, len(colors) // 4000)]
    left = sampled
    centers: list[Planes] = []
    while len(left) > 0.02 * len(sampled) and len(centers) < SURFACES:
        bins = np.rint(left / 24).astype(np.int64)
        _, inverse, counts = np.unique(bins, axis=0, return_inverse=True, return_counts=True)
        center = left[inverse.ravel() == int(counts.argmax())].mean(axis=0)
        centers.append(center)
        left = left[np.linalg.norm(left - center, axis=1) > SURFACE_REACH]
    return np.array(centers, np.float32)


def _spread(values: Planes, known: Mask) -> Planes:
    """Values (H, W, C) known at some pixels, interpolated to all by a pyramid of weighted means."""
    weight = known.astype(np.float32)
    levels = [(values * weight[..., None], weight)]
    while min(levels[-1][1].shape) > 2:
        total, count = (np.asarray(cv2.pyrDown(plane), np.float32) for plane in levels[-1])
        levels.append((total, count))
    total, count = levels[-1]
    result = total / np.maximum(count, 1e-6)[..., None]
    for total, count in reversed(levels[:-1]):
        up = cv2.pyrUp(result, dstsize=(count.shape[1], count.shape[0]))
        trust = np.clip(count * 4, 0, 1)[..., None]
        result = trust * total / np.maximum(count, 1e-6)[..., None] + (1 - trust) * up
    return np.asarray(result, np.float32)
