"""Appearance effects that plain image processing does convincingly: name, words for it, and the function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.color_names import to_lab, to_rgb
from tasks.roles.protocols import Image, Mask

MOSAIC_BLOCKS = 14
"""Blocks along the longer side of a pixelated object: few enough to be seen, enough to tell what it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """One effect.

    Attributes:
        phrase: completes "make the cup ..." (``"black and white"``).
        description: what can be seen afterwards; completes "The cup is shown ...".
        needs_colour: whether the object must be colourful before, for the effect to be seen.
        apply: (picture, target mask) -> the picture with the effect everywhere; alpha is the caller's.
    """

    phrase: str
    description: str
    needs_colour: bool
    apply: Callable[[Image, Mask], Image]


def black_and_white(image: Image, mask: Mask) -> Image:
    """The picture without colour, lightness kept."""
    del mask
    lab = to_lab(image)
    lab[..., 1:] = 0
    return to_rgb(lab)


def sepia(image: Image, mask: Mask) -> Image:
    """The picture in brown tones, as an old print."""
    del mask
    lab = to_lab(image)
    lab[..., 0] = 12 + lab[..., 0] * 0.84
    tone = np.clip(lab[..., 0] / 60, 0.4, 1.0) * np.clip((104 - lab[..., 0]) / 34, 0.3, 1.0)
    lab[..., 1], lab[..., 2] = 9.5 * tone, 30.0 * tone
    return to_rgb(lab)


def pixelated(image: Image, mask: Mask) -> Image:
    """The picture as a mosaic of square blocks, sized by the target."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    height, width = image.shape[:2]
    longest = max(np.ptp(rows), np.ptp(columns)) + 1 if rows.size else max(height, width)
    block = max(4, round(float(longest) / MOSAIC_BLOCKS))
    small_size = (-(-width // block), -(-height // block))
    # Edge padding keeps every block square and its mean free of black.
    padded = cv2.copyMakeBorder(
        image, 0, small_size[1] * block - height, 0, small_size[0] * block - width, cv2.BORDER_REPLICATE
    )
    small = cv2.resize(padded, small_size, interpolation=cv2.INTER_AREA)
    return np.repeat(np.repeat(small, block, axis=0), block, axis=1)[:height, :width].astype(
        np.uint8, copy=False
    )


def pencil_sketch(image: Image, mask: Mask) -> Image:
    """The picture as a gray pencil drawing on white paper."""
    del mask
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    sigma = max(2.0, min(image.shape[:2]) / 60)
    dodge = gray * 255 / np.maximum(cv2.GaussianBlur(gray, (0, 0), sigma), 1)
    shade = 0.82 * np.clip(dodge, 0, 255) + 0.18 * gray
    return np.repeat(_bytes(shade)[..., None], 3, axis=2)


EFFECTS: dict[str, Effect] = {
    "black and white": Effect(
        phrase="black and white",
        description="in black and white, without any colour",
        needs_colour=True,
        apply=black_and_white,
    ),
    "sepia": Effect(
        phrase="sepia-toned",
        description="in the brown sepia tones of an old photograph",
        needs_colour=False,
        apply=sepia,
    ),
    "pixelated": Effect(
        phrase="pixelated",
        description="as a mosaic of coarse square blocks",
        needs_colour=False,
        apply=pixelated,
    ),
    "pencil sketch": Effect(
        phrase="look like a pencil sketch",
        description="as a gray pencil drawing",
        needs_colour=False,
        apply=pencil_sketch,
    ),
}
"""Effect by its name; the name is the plan's argument for Appearance."""


def _bytes(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
