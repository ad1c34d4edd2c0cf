"""Fabrics that a garment may be made of: patterns that follow its size and folds, in its own light and shade."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.imaging.arrays import Image, Mask
from tasks.imaging.color_names import to_lab
from tasks.imaging.geometry import box_of

Plane = NDArray[np.float32]
Rgb = tuple[int, int, int]

REPEATS = 14
"""How often a pattern repeats over the longer side of a garment; a shirt of 70 cm has stripes of 5 cm."""

MIN_PERIOD_PX = 7.0
"""Finer patterns are no more than a shimmer in the picture."""

FOLDING = 0.02
"""By what part of its period a pattern is shifted where the cloth is one L (0..100) lighter than around it."""

SHADES = (0.3, 1.7)
"""Least and greatest light on the cloth, as a multiple of its median."""

LEAST_LIGHT = 45.0
"""Median L from which shading is a ratio; below it, a difference."""

SOFT = 6.0
"""Sharpness of a pattern's edges; woven ones are not cut out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fabric:
    """A fabric of two colors.

    Attributes:
        ground, figure: sRGB of the cloth under the median light, and of what is on it.
        figures: (rows, columns), both in periods, -> share of ``figure`` at each pixel, 0..1.
    """

    ground: Rgb
    figure: Rgb
    figures: Callable[[Plane, Plane], Plane]


def weave(image: Image, mask: Mask, fabric: Fabric) -> Image:
    """The picture (H, W, 3) RGB as if all of it were of the fabric; alpha is the caller's.

    The pattern's size follows the mask's box; its folds and its shading are those of the picture.
    """
    box = box_of(mask)
    period = max(MIN_PERIOD_PX, max(box.width, box.height) / REPEATS)
    light = np.asarray(to_lab(image)[..., 0], np.float32)
    folds = cv2.GaussianBlur(light, (0, 0), period / 3) - cv2.GaussianBlur(light, (0, 0), 1.5 * period)
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]].astype(np.float32)
    share = fabric.figures(
        np.asarray((rows - box.y0) / period + FOLDING * folds, np.float32),
        np.asarray((columns - box.x0) / period + FOLDING * folds, np.float32),
    )[..., None]
    middle = float(np.median(light[mask]))
    # A dark cloth has little light of its own; as a ratio its noise would stand out.
    shade = np.clip(1 + (light - middle) / max(middle, LEAST_LIGHT), *SHADES)[..., None]
    cloth = (1 - share) * np.array(fabric.ground, np.float32) + share * np.array(fabric.figure, np.float32)
    return np.asarray(np.clip(np.rint(cloth * shade), 0, 255), np.uint8)


def _stripes(rows: Plane, columns: Plane) -> Plane:
    del columns
    return _soft(np.sin(2 * np.pi * rows))


def _checks(rows: Plane, columns: Plane) -> Plane:
    """Both directions woven into each other: half tones where only one of them is dark."""
    return np.asarray(
        0.5 * (_soft(np.sin(2 * np.pi * rows)) + _soft(np.sin(2 * np.pi * columns))), np.float32
    )


def _dots(rows: Plane, columns: Plane) -> Plane:
    """Every other row is shifted by half a period."""
    down = rows % 1 - 0.5
    across = (columns + 0.5 * (np.floor(rows) % 2)) % 1 - 0.5
    return _soft(12 * (0.28 - np.hypot(down, across)))  # printed dots have crisper edges than woven lines


def _soft(values: NDArray[np.floating]) -> Plane:
    return np.asarray(1 / (1 + np.exp(-SOFT * values)), np.float32)


FABRICS: dict[str, Fabric] = {
    "red and black plaid flannel": Fabric(ground=(186, 38, 38), figure=(30, 28, 32), figures=_checks),
    "green and white gingham": Fabric(ground=(232, 234, 228), figure=(32, 110, 66), figures=_checks),
    "navy and white striped cotton": Fabric(ground=(234, 234, 230), figure=(38, 54, 108), figures=_stripes),
    "blue polka-dot cotton": Fabric(ground=(36, 60, 128), figure=(238, 238, 236), figures=_dots),
    "red polka-dot cotton": Fabric(ground=(176, 34, 44), figure=(240, 236, 230), figures=_dots),
}
"""Fabric by its name, which is an argument of Material."""
