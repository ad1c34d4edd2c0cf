"""Image preprocessing: the size rule, resizing, and pixels to [-1, 1]."""

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from intercog_model.settings import Count, Identity, Settings

PIXEL_CAP = 14 * 14 * 9 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeRule(Settings):
    """Limits in pixels; both sides of the result are multiples of `stride`."""

    max_side: Identity[Count]
    min_side: Identity[Count]
    stride: Identity[Count]
    max_pixels: Identity[Count] = PIXEL_CAP

    def with_side(self, side: int) -> "SizeRule":
        """The rule with another longest side; the shortest follows where it would be longer."""
        return SizeRule(
            max_side=side,
            min_side=min(self.min_side, side),
            stride=self.stride,
            max_pixels=self.max_pixels,
        )

    @property
    def largest(self) -> int:
        """The longest side that `size` gives: the limit, rounded to the stride."""
        return self._scaled(self.max_side, 1)

    def size(self, width: int, height: int, images: int = 1) -> tuple[int, int]:
        """New (width, height); the pixel cap is shared by `images`.

        Sides are rounded on their own (half to even, then to the stride), so the aspect may drift by up to
        about 2.7 %. Over the cap both sides are multiplied by the ratio itself, not its square root.
        """
        factor = max(min(self.max_side / max(width, height), 1), self.min_side / min(width, height))
        width, height = self._scaled(width, factor), self._scaled(height, factor)
        if width * height > self.max_pixels / images:
            ratio = self.max_pixels / (images * width * height)
            width, height = self._scaled(width, ratio), self._scaled(height, ratio)
        if max(width, height) > self.max_side:
            ratio = self.max_side / max(width, height)
            width, height = self._scaled(width, ratio), self._scaled(height, ratio)
        return width, height

    def _scaled(self, side: int, factor: float) -> int:
        return max(self.stride, round(round(side * factor) / self.stride) * self.stride)


VAE_RULE = SizeRule(max_side=1024, min_side=512, stride=16)
VIT_RULE = SizeRule(max_side=518, min_side=224, stride=14)  # of the editing data that BAGEL was tuned on
PUBLISHED_VIT_RULE = SizeRule(max_side=980, min_side=224, stride=14)  # of BAGEL's own inference
DEBUG_VAE_RULE = SizeRule(max_side=64, min_side=32, stride=4)
DEBUG_VIT_RULE = SizeRule(max_side=56, min_side=28, stride=14)


def to_rgb(image: Image.Image) -> Image.Image:
    """RGB; transparency is composed on white, 16 bits of gray are scaled to 8."""
    if image.mode.startswith("I"):  # "I" too: some formats give their 16 bits as 32
        # Pillow would clip at 255, which is white for nearly all values; 257 maps 65535 to 255
        return Image.fromarray(
            (np.asarray(image).clip(0, 65535).astype(np.float32) / 257).round().astype(np.uint8)
        ).convert("RGB")
    if image.mode in ("RGBA", "LA") or "transparency" in image.info:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


def resize(image: Image.Image, rule: SizeRule) -> Image.Image:
    """RGB image of the rule's size, bicubic with antialiasing."""
    image = to_rgb(image)
    return image.resize(rule.size(*image.size), Image.Resampling.BICUBIC)


def to_pixels(image: Image.Image) -> Tensor:
    """float32 [3, H, W] in [-1, 1]."""
    array = np.array(to_rgb(image), dtype=np.float32)
    return torch.from_numpy(array).permute(2, 0, 1).contiguous() / 127.5 - 1


def to_image(pixels: Tensor) -> Image.Image:
    """8-bit picture of pixels [3, H, W], about [-1, 1]: clamped and truncated, not rounded."""
    array = (pixels.float() / 2 + 0.5).clamp(0, 1) * 255
    return Image.fromarray(array.to(torch.uint8).permute(1, 2, 0).cpu().numpy())
