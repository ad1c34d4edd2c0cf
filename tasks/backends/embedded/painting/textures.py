"""Textures of materials, drawn from seeded noise: the pictures whose style a thing takes on.

Each is (256, 256, 3) RGB uint8, the size that the style network reads. Nothing in them is photographed.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.imaging.arrays import Image

SIDE = 256

Plane = NDArray[np.float32]
Tones = Sequence[tuple[float, tuple[int, int, int]]]
"""Stops of a color ramp: a level 0..1 and the sRGB color there."""

OAK: Tones = ((0, (120, 76, 36)), (0.45, (174, 122, 66)), (0.8, (208, 160, 98)), (1, (224, 182, 124)))
WALNUT: Tones = ((0, (50, 28, 16)), (0.45, (92, 56, 34)), (0.8, (128, 84, 54)), (1, (150, 104, 70)))
SANDSTONE: Tones = ((0, (84, 76, 62)), (0.35, (142, 130, 108)), (0.6, (182, 168, 142)), (1, (220, 208, 182)))
LEATHER: Tones = ((0, (44, 22, 12)), (0.5, (110, 62, 34)), (1, (168, 104, 62)))

GRAINS = (
    ((70, 68, 70), 3, 1500),
    ((205, 200, 196), 4, 1600),
    ((150, 128, 118), 4, 900),
    ((30, 30, 32), 2, 1500),
    ((235, 232, 228), 2, 1200),
)
"""Minerals of granite: color, largest radius in pixels, number."""


def wood(seed: int, tones: Tones) -> Image:
    """Boards: bent year rings and fine fibers along x."""
    y = np.mgrid[0:SIDE, 0:SIDE][0] / SIDE
    bend = 0.9 * _noise(2, 1, seed, octaves=4) + 0.25 * _noise(24, 2, seed + 1, octaves=3)
    rings = 0.5 + 0.5 * np.sin(2 * np.pi * (7 * y + 6.6 * bend))
    fibers = _noise(90, 3, seed + 2, octaves=2)
    return _toned(0.55 * rings + 0.45 * fibers, tones)


def granite(seed: int) -> Image:
    """Grains of several minerals on gray, their contrast softened."""
    draws = np.random.default_rng(seed)
    picture = np.full((SIDE, SIDE, 3), 150, np.float32)
    for color, radius, count in GRAINS:
        for _ in range(count):
            center = tuple(int(v) for v in draws.integers(0, SIDE, 2))
            axes = tuple(int(v) for v in draws.integers(1, radius + 1, 2))
            turn = float(draws.uniform(0, 180))
            cv2.ellipse(picture, center, axes, turn, 0, 360, [float(c) for c in color], -1)
    return _bytes(140 + 0.62 * (cv2.GaussianBlur(picture, (0, 0), 1.0) - 140))


def stone(seed: int, tones: Tones) -> Image:
    """A mottled, rough face with small pits."""
    pits = np.clip(6 * (_noise(26, 26, seed + 2, octaves=3) - 0.56), 0, 1)
    mottled = 0.6 * _noise(4, 4, seed, octaves=6, falloff=0.6)
    rough = 0.4 * _noise(40, 40, seed + 1, octaves=3, falloff=0.7)
    return _toned(mottled + rough - 0.5 * pits, tones)


def leather(seed: int, tones: Tones) -> Image:
    """A pebbled grain: cells around random points with darker creases between them."""
    points = np.random.default_rng(seed).uniform(0, SIDE, (2600, 2)).astype(int)
    free = np.ones((SIDE, SIDE), np.uint8)
    free[points[:, 1], points[:, 0]] = 0
    _, cells = cv2.distanceTransformWithLabels(free, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    borders = cv2.morphologyEx(cells.astype(np.float32), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    creases = cv2.GaussianBlur(borders.astype(np.float32), (0, 0), 1.0)
    folds = 0.35 * (_noise(4, 4, seed + 1, octaves=4) - 0.5)
    pores = 0.1 * (_noise(60, 60, seed + 2, octaves=2) - 0.5)
    return _toned(0.62 - 0.22 * creases + folds + pores, tones)


TEXTURES = {
    "oak": partial(wood, 1, OAK),
    "walnut": partial(wood, 7, WALNUT),
    "granite": partial(granite, 5),
    "sandstone": partial(stone, 9, SANDSTONE),
    "leather": partial(leather, 11, LEATHER),
}
"""Name -> what draws it; the same picture each time."""


def _noise(rows: int, columns: int, seed: int, *, octaves: int, falloff: float = 0.5) -> Plane:
    """Smooth noise (SIDE, SIDE) in 0..1: grids of ``rows`` by ``columns`` values, each octave twice as fine."""
    draws = np.random.default_rng(seed)
    total = np.zeros((SIDE, SIDE), np.float32)
    for octave in range(octaves):
        size = tuple(min(SIDE, max(2, n * 2**octave)) for n in (rows, columns))
        grid = draws.standard_normal(size).astype(np.float32)
        total += falloff**octave * cv2.resize(grid, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    total -= total.min()
    return np.asarray(total / total.max(), np.float32)


def _toned(levels: Plane, tones: Tones) -> Image:
    """Levels as colors of the ramp; levels beyond 0..1 take its ends."""
    stops = [at for at, _ in tones]
    return _bytes(np.stack([np.interp(levels, stops, [c[k] for _, c in tones]) for k in range(3)], axis=2))


def _bytes(picture: NDArray[np.floating]) -> Image:
    return np.asarray(np.clip(np.rint(picture), 0, 255), np.uint8)
