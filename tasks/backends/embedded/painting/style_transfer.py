"""Dresses a thing in a material by a packaged style network: the surface of a texture on the thing's own shading."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.backends.assets import AssetCache
from tasks.backends.embedded.painting.effects import longest_side
from tasks.backends.embedded.painting.textures import TEXTURES
from tasks.backends.embedded.runtimes.onnx_session import open_session
from tasks.imaging.arrays import Image, Mask
from tasks.imaging.geometry import box_of

ASSET = "style-transfer"
PREDICT, TRANSFORM = "arbitrary_predict.onnx", "arbitrary_transform.onnx"

SIDE = 384
"""Side of the square that the network changes, in pixels."""

MARGIN = 1.15
"""The square's side, as a multiple of the longer side of the mask's box."""

CENTER, SPREAD, LEAST_SPAN = 138.0, 150.0, 70.0
"""Lightness (0..255) that the middle of the thing's tones is moved to, the range they are stretched to, and the
least range that counts, so that a plain thing's noise is not amplified."""


class StyleTransfer:
    """Arbitrary style transfer (Ghiasi et al. 2017), with styles of our own textures.

    Networks are opened when the first thing is dressed.

    Args:
        assets: cache with the packaged networks.
    """

    def __init__(self, assets: AssetCache) -> None:
        self._assets = assets
        self._transform: Any = None
        self._styles: dict[str, NDArray[np.float32]] = {}

    def dress(self, image: Image, mask: Mask, texture: str) -> Image:
        """The picture (H, W, 3) with the square around the mask in the texture's style; alpha is the caller's.

        Args:
            image: RGB.
            mask: of the thing, (H, W); without a pixel the picture is returned as it is.
            texture: one of `TEXTURES`.
        """
        if not mask.any():
            return image
        box, side = box_of(mask), round(MARGIN * longest_side(mask)) + 8
        x0, y0 = round(box.center[0]) - side // 2, round(box.center[1]) - side // 2
        # The square may reach beyond the picture, at most by its own side.
        around = np.asarray(
            cv2.copyMakeBorder(image, side, side, side, side, cv2.BORDER_REFLECT_101), np.uint8
        )
        inside = np.pad(mask, side)
        square = np.s_[y0 + side : y0 + 2 * side, x0 + side : x0 + 2 * side]
        content = _shading(around[square], inside[square])
        around[square] = cv2.resize(
            self._stylized(content, texture), (side, side), interpolation=cv2.INTER_CUBIC
        )
        return np.ascontiguousarray(around[side:-side, side:-side])

    def _stylized(self, content: Image, texture: str) -> Image:
        if self._transform is None:
            self._transform = open_session(self._assets.path(ASSET, TRANSFORM), threads=1)
        smaller = max(content.shape[:2]) > SIDE
        how = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
        batch = cv2.resize(content, (SIDE, SIDE), interpolation=how)[None].astype(np.float32) / 255
        inputs = {entry.name: entry.shape for entry in self._transform.get_inputs()}
        feeds = {n: batch if shape[-1] == 3 else self._style(texture) for n, shape in inputs.items()}
        (styled,) = self._transform.run(None, feeds)
        return np.asarray(np.clip(np.rint(styled[0] * 255), 0, 255), np.uint8)

    def _style(self, texture: str) -> NDArray[np.float32]:
        """The 100 numbers that stand for a texture's style, (1, 1, 1, 100); computed once."""
        if texture not in self._styles:
            session = open_session(self._assets.path(ASSET, PREDICT), threads=1)
            picture = TEXTURES[texture]()[None].astype(np.float32) / 255
            (self._styles[texture],) = session.run(None, {session.get_inputs()[0].name: picture})
        return self._styles[texture]


def _shading(image: Image, mask: Mask) -> Image:
    """The picture without color, the thing's own tones stretched: its paint must not tint the new material."""
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
    lab[..., 1:] = 128
    light = lab[..., 0].astype(np.float32)
    low, high = np.percentile(light[mask], (3, 97))
    span = max(float(high - low), LEAST_SPAN)
    stretched = np.clip(CENTER + SPREAD * (light - (low + high) / 2) / span, 8, 250)
    lab[..., 0] = np.where(mask, stretched, light).astype(np.uint8)
    return np.asarray(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), np.uint8)
