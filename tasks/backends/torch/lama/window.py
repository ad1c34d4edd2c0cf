"""A window as the network takes it: no longer than a limit, sides multiples of 8; and its filling put back."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from tasks.imaging.arrays import Image, Mask

MULTIPLE = 8
"""The network halves its input three times."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FittedWindow:
    """A window and what is needed to put its filling back.

    Attributes:
        image, hole: as given, (H, W, 3) uint8 and (H, W).
        small, small_hole: scaled down and padded, (h, w, 3) uint8 and (h, w); what the network sees.
        content: (rows, columns) of ``small`` without the padding, which is at the right and at the bottom.
    """

    image: Image
    hole: Mask
    small: Image
    small_hole: Mask
    content: tuple[int, int]

    def with_filling(self, filled: Image) -> Image:
        """The window with its hole taken from ``filled`` (h, w, 3).

        The composite is made here in 8 bits, so that pixels outside the hole are the window's own to the bit; the
        network's own composite rounds them.
        """
        rows, columns = self.content
        height, width = self.hole.shape
        cut: Image = filled[:rows, :columns]
        if (rows, columns) != (height, width):
            cut = np.asarray(cv2.resize(cut, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)
        return np.where(self.hole[..., None], cut, self.image)


def fit_window(image: Image, hole: Mask, max_side_px: int, multiple: int = MULTIPLE) -> FittedWindow:
    """Scales a window down to at most ``max_side_px`` (never up) and pads its sides to a multiple by reflection."""
    height, width = hole.shape
    scale = min(1.0, max_side_px / max(height, width))
    small, small_hole = image, hole
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        # A small pixel that the hole touches mixes colors of the object, so it belongs to the hole.
        small_hole = cv2.resize(hole.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0
    rows, columns = small_hole.shape
    below, right = -rows % multiple, -columns % multiple
    return FittedWindow(
        image=image,
        hole=hole,
        small=np.pad(small, ((0, below), (0, right), (0, 0)), mode="reflect"),
        # The hole is reflected with the picture: a target cut by the frame must not reappear in the padding.
        small_hole=np.pad(small_hole, ((0, below), (0, right)), mode="reflect"),
        content=(rows, columns),
    )
