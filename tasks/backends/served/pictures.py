"""Pictures for a chat request: made smaller where the model takes less, encoded, and named by recipe and size rule."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from PIL import Image as Pillow

from tasks.imaging.arrays import Image
from tasks.imaging.pixels import encode_jpeg, encode_png
from tasks.records.errors import Reason, SampleError
from tasks.roles.chat import ChatPicture
from tasks.roles.picture import Picture

MIN_SIDE = 28
"""Shorter side, in pixels, that a vision model needs: one merged patch of Qwen2.5-VL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeRule:
    """How pixels become what is sent: no larger than ``max_pixels``, same proportions, never enlarged.

    Attributes:
        resampling: filter of the reduction.
        quality: of JPEG, without chroma subsampling; 0 for PNG.
        multiple: both sides are rounded to multiples of it, in pixels. A model that counts in pixels of what it sees
            (`frame: pixels` of the referrer) is sent what it would make itself, so that both mean the same pixels.
    """

    max_pixels: int
    encoding: Literal["jpeg", "png"] = "jpeg"
    resampling: str = "lanczos"
    quality: int = 92
    multiple: int = 1

    @classmethod
    def of(cls, max_pixels: int, encoding: Literal["jpeg", "png"], multiple: int = 1) -> SizeRule:
        """The rule for a server's picture size."""
        quality = 92 if encoding == "jpeg" else 0
        return cls(max_pixels=max_pixels, encoding=encoding, quality=quality, multiple=multiple)

    def recipe(self, picture: Picture) -> Mapping[str, Any]:
        """Names what is sent without making it: the picture's recipe and this rule, JSON values."""
        size = asdict(self)
        if self.multiple == 1:
            del size["multiple"]  # answers kept before there was one stay valid
        return {"picture": picture.recipe, "size": size}

    def encoded(self, picture: Picture) -> ChatPicture:
        """The picture as it is sent.

        Raises:
            SampleError: `TOO_SMALL` for a picture that a vision model cannot take.
        """
        pixels = self.sized(picture.rgb)
        if min(pixels.shape[:2]) < MIN_SIDE:
            height, width = pixels.shape[:2]
            raise SampleError(Reason.TOO_SMALL, f"{width} x {height} px for a model that needs {MIN_SIDE}")
        data = encode_png(pixels) if self.encoding == "png" else encode_jpeg(pixels, self.quality)
        return ChatPicture(data=data, media_type=f"image/{self.encoding}", recipe=self.recipe(picture))

    def sized(self, image: Image) -> Image:
        """``image`` (H, W, 3) as it is, or at the size of `size_of`."""
        height, width = image.shape[:2]
        size = self.size_of(width, height)
        if size == (width, height):
            return image
        resized = Pillow.fromarray(np.ascontiguousarray(image)).resize(size, Pillow.Resampling.LANCZOS)
        return np.asarray(resized)

    def size_of(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) in pixels at which a picture of that size is sent.

        With a ``multiple`` this is the size that the processors of the Qwen-VL family choose themselves.
        """
        step = self.multiple
        sides = [max(step, round(side / step) * step) for side in (width, height)]
        if sides[0] * sides[1] > self.max_pixels:
            scale = math.sqrt(self.max_pixels / (height * width))
            sides = [max(step, math.floor(side * scale / step) * step) for side in (width, height)]
        return sides[0], sides[1]
