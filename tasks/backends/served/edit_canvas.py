"""A crop as an editor takes it: the canvas that is sent, and the way back from whatever size the answer has."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from tasks.imaging.arrays import Image, Mask
from tasks.roles.chat import BadReply

SAME_SHAPE = 0.05
"""Relative difference of the ratio of sides up to which an answer counts as a scaled canvas."""

EXACT = 1e-6
"""Distance to a whole number up to which a scaled border counts as one."""

PAPER = 255
"""Value of the padding where a crop does not fill its canvas."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Canvas:
    """Sizes in pixels.

    Attributes:
        crop: (height, width) of the crop.
        content: (height, width) of the scaled crop in the canvas.
        at: (row, column) of the content's upper left corner; (0, 0) unless there is padding.
        size: (height, width) of the canvas.
    """

    crop: tuple[int, int]
    content: tuple[int, int]
    at: tuple[int, int]
    size: tuple[int, int]

    def placed(self, image: Image) -> Image:
        """The crop (H, W, 3) on the canvas, padded with white."""
        scaled = _resized(image, self.content)
        if self.content == self.size:
            return scaled
        canvas = np.full((*self.size, 3), PAPER, np.uint8)
        (row, column), (rows, columns) = self.at, self.content
        canvas[row : row + rows, column : column + columns] = scaled
        return canvas

    def placed_mask(self, mask: Mask) -> Mask:
        """A mask of the crop (H, W) on the canvas; padding is False."""
        rows, columns = self.content
        scaled = cv2.resize(mask.astype(np.uint8), (columns, rows), interpolation=cv2.INTER_NEAREST) > 0
        canvas = np.zeros(self.size, np.bool_)
        row, column = self.at
        canvas[row : row + rows, column : column + columns] = scaled
        return canvas

    def cut(self, answer: Image) -> Image:
        """The part of an answer that shows the crop, at the crop's size (H, W, 3).

        Raises:
            BadReply: ``other_shape``: the answer is no scaled canvas, so nobody knows what it shows where.
        """
        height, width = self.size
        rows, columns = answer.shape[:2]
        ratio = (rows / columns) / (height / width)
        if abs(math.log(ratio)) > SAME_SHAPE:
            raise BadReply("other_shape", f"{columns} x {rows}, asked for {width} x {height}")
        (row, column), (tall, wide) = self.at, self.content
        y, x = rows / height, columns / width
        # Pixels in which the answer's scale mixes content and padding are left out.
        top, bottom = math.ceil(row * y - EXACT), math.floor((row + tall) * y + EXACT)
        left, right = math.ceil(column * x - EXACT), math.floor((column + wide) * x + EXACT)
        inner = answer[top:bottom, left:right]
        return _resized(inner, self.crop)


def free_canvas(
    crop: tuple[int, int], *, min_side: int, max_side: int, max_pixels: int, multiple: int
) -> Canvas:
    """A canvas of the crop's proportions, for editors that take any size.

    Args:
        crop: (height, width), pixels.
        min_side: the shorter side is scaled up to this; editors blur what is smaller.
        max_side: and the longer one down to this, which comes first.
        max_pixels: most pixels, which comes before both.
        multiple: of both sides; proportions change by at most half of it.
    """
    height, width = crop
    factor = max(1.0, min_side / min(crop))
    factor = min(factor, max_side / max(crop), math.sqrt(max_pixels / (height * width)))
    size = (_multiple(height * factor, multiple), _multiple(width * factor, multiple))
    return Canvas(crop=crop, content=size, at=(0, 0), size=size)


def fixed_canvas(crop: tuple[int, int], sizes: Sequence[tuple[int, int]]) -> Canvas:
    """The canvas out of ``sizes`` (height, width) that the crop fills best, for editors that take no other."""
    height, width = crop

    def filled(size: tuple[int, int]) -> float:
        factor = min(size[0] / height, size[1] / width)
        return height * width * factor**2 / (size[0] * size[1])

    size = max(sizes, key=filled)
    factor = min(size[0] / height, size[1] / width)
    content = (min(size[0], round(height * factor)), min(size[1], round(width * factor)))
    at = ((size[0] - content[0]) // 2, (size[1] - content[1]) // 2)
    return Canvas(crop=crop, content=content, at=at, size=size)


def _multiple(side: float, multiple: int) -> int:
    return max(multiple, round(side / multiple) * multiple)


def _resized(image: Image, size: tuple[int, int]) -> Image:
    if image.shape[:2] == size:
        return np.ascontiguousarray(image)
    smaller = size[0] * size[1] < image.shape[0] * image.shape[1]
    way = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, (size[1], size[0]), interpolation=way), np.uint8)
