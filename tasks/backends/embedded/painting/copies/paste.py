"""Puts a cut-out thing down at another place: its shadow first, which darkens the ground there, then the thing."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from tasks.backends.embedded.painting.copies.cutout import Cutout
from tasks.imaging.arrays import Image, Mask
from tasks.imaging.near_colors import Plane
from tasks.records.records import Box

SHOWS = 0.04
"""Change of brightness or share of the thing from which a pixel counts as changed."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Layers:
    """A cut-out at its new size, with its position in the photograph.

    Attributes:
        color, alpha, shadow: as those of `Cutout`, (h, w) at the new size.
        x0, y0: position of the layers' first pixel in the photograph; it may lie outside.
    """

    color: Image
    alpha: Plane
    shadow: Plane
    x0: int
    y0: int

    def inside(self, width: int, height: int) -> Box:
        """The layers' window clipped to a photograph of that size."""
        tall, wide = self.alpha.shape
        return Box(
            x0=max(0, self.x0),
            y0=max(0, self.y0),
            x1=min(width, self.x0 + wide),
            y1=min(height, self.y0 + tall),
        )


def scaled(cutout: Cutout, scale: float, x: float, foot: float) -> Layers:
    """The cut-out at ``scale`` with the middle of its box at column ``x`` and its foot on the row ``foot``."""
    tall, wide = cutout.alpha.shape
    size, color, alpha, shadow = (wide, tall), cutout.color, cutout.alpha, cutout.shadow
    if scale != 1:
        size = (max(1, round(scale * wide)), max(1, round(scale * tall)))
        way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        color = np.asarray(cv2.resize(color, size, interpolation=way), np.uint8)
        alpha, shadow = _resized(alpha, size), _resized(shadow, size)
    across, down = size[0] / wide, size[1] / tall
    middle, bottom = cutout.box.center[0] * across, cutout.box.y1 * down
    return Layers(color=color, alpha=alpha, shadow=shadow, x0=round(x - middle), y0=round(foot - bottom))


def _resized(plane: Plane, size: tuple[int, int]) -> Plane:
    smaller = size[0] < plane.shape[1]
    way = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return np.asarray(np.clip(cv2.resize(plane, size, interpolation=way), 0, 1), np.float32)


def pasted(image: Image, layers: Layers) -> tuple[Image, Mask]:
    """A copy of ``image`` with the layers put down, and the pixels (H, W) that the thing itself covers."""
    height, width = image.shape[:2]
    box = layers.inside(width, height)
    part = (
        slice(box.y0 - layers.y0, box.y1 - layers.y0),
        slice(box.x0 - layers.x0, box.x1 - layers.x0),
    )
    color, alpha, shadow = layers.color[part], layers.alpha[part], layers.shadow[part]
    out = image.copy()
    here = out[box.y0 : box.y1, box.x0 : box.x1]
    # Shadow is a factor of light, which is linear in the 2.2nd power of the values.
    dark = here.astype(np.float32) * (np.clip(shadow, 0, 1) ** (1 / 2.2))[..., None]
    mixed = alpha[..., None] * color + (1 - alpha[..., None]) * dark
    touched = (alpha > SHOWS / 4) | (shadow < 1 - SHOWS / 4)
    here[touched] = np.clip(np.rint(mixed[touched]), 0, 255).astype(np.uint8)
    covered = np.zeros((height, width), bool)
    covered[box.y0 : box.y1, box.x0 : box.x1] = alpha > 0.5
    return out, covered
