"""A picture in a question: its pixels, opened when somebody looks, and the recipe that names it without them."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tasks.imaging.arrays import Image, Mask
from tasks.records.records import Box

DRAWING = 1
"""Raised when marks are drawn differently, so that kept answers about older drawings are not taken for new ones."""


class Picture:
    """An image with its origin.

    Two pictures with equal recipes have equal pixels, so a recipe stands for the picture in the key of a kept answer.
    Pixels are made at the first look and shared after that; backends that never look cost no decoding.

    Args:
        recipe: how the pixels follow from stored bytes: ``{"blob": sha256}``, or ``{"pixels": sha256 of shape and
            values}`` for what was computed, or ``"crop"`` or ``"marks"`` of another recipe; a function that gives it
            is called when somebody asks.
        make: gives the pixels, (H, W, 3) uint8 RGB.
    """

    __slots__ = ("_lock", "_make", "_name", "_recipe", "_rgb")

    def __init__(
        self, recipe: Mapping[str, Any] | Callable[[], Mapping[str, Any]], make: Callable[[], Image]
    ) -> None:
        self._name = recipe if callable(recipe) else None
        self._recipe = None if callable(recipe) else dict(recipe)
        self._make: Callable[[], Image] | None = make
        self._rgb: Image | None = None
        self._lock = threading.Lock()

    @classmethod
    def of_blob(cls, sha256: str, make: Callable[[], Image]) -> Picture:
        """A stored picture, named by the digest (hex) of its bytes."""
        return cls({"blob": sha256}, make)

    @classmethod
    def of_pixels(cls, image: Image) -> Picture:
        """A computed picture, named by its pixels; the digest is computed when somebody asks for the recipe."""
        return cls(lambda: {"pixels": array_digest(image)}, lambda: image)

    @property
    def recipe(self) -> dict[str, Any]:
        """What names this picture, in JSON values."""
        if self._recipe is None:
            assert self._name is not None
            self._recipe = dict(self._name())
        return self._recipe

    @property
    def rgb(self) -> Image:
        """The pixels, (H, W, 3) uint8 RGB; do not write to them."""
        with self._lock:
            if self._rgb is None:
                assert self._make is not None
                self._rgb, self._make = self._make(), None
            return self._rgb

    def crop(self, box: Box) -> Picture:
        """The part inside ``box`` (pixels of this picture)."""
        corners = [box.x0, box.y0, box.x1, box.y1]
        return Picture(
            lambda: {"of": self.recipe, "crop": corners},
            lambda: np.ascontiguousarray(self.rgb[box.y0 : box.y1, box.x0 : box.x1]),
        )

    def marked(self, marks: Mapping[str, Any], draw: Callable[[Image], Image]) -> Picture:
        """A copy with something drawn on it; ``marks`` says what, in JSON values, and ``draw`` does it."""
        return Picture(
            lambda: {"of": self.recipe, "marks": {**marks, "drawing": DRAWING}}, lambda: draw(self.rgb)
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """Travels between processes with its pixels."""
        return _received, (self.recipe, self.rgb)


def _received(recipe: Mapping[str, Any], rgb: Image) -> Picture:
    return Picture(recipe, lambda: rgb)


def array_digest(array: Image | Mask) -> str:
    """SHA-256 (hex) of an array's shape, type and values."""
    digest = hashlib.sha256(f"{array.dtype}{array.shape}".encode())
    digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
