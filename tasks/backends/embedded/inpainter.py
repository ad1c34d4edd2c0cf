"""The embedded inpainter: PatchMatch at a working resolution, with the surroundings' grain."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version

import cv2
import numpy as np
import patchmatch
from numpy.typing import NDArray
from pydantic import Field

from tasks.errors import ModelUnavailable, Reason, SampleError
from tasks.records import ModelIdentity
from tasks.roles.protocols import Image, InpaintRequest, Mask
from tasks.settings_base import Settings


class PatchMatchOptions(Settings):
    """Working size and search."""

    work_side_px: int = Field(default=512, ge=64, le=2048, description="longer side the search runs at")
    patch_radius: int = Field(default=5, ge=1, le=15, description="compared patches span 2r + 1 pixels")


class PatchMatchInpainter:
    """Fills a hole with patches of its surroundings, never of the pixels to avoid."""

    Options = PatchMatchOptions

    def __init__(self, options: PatchMatchOptions | None = None) -> None:
        if not patchmatch.patchmatch_available:
            msg = "inpainter patchmatch: the package's native library does not load on this machine"
            raise ModelUnavailable(msg)
        self._options = options or PatchMatchOptions()

    @classmethod
    def describe(cls, options: PatchMatchOptions) -> ModelIdentity:
        """An algorithm without weights."""
        del options
        return ModelIdentity(
            role="inpainter",
            backend="patchmatch",
            model="PatchMatch inpainting",
            revision=f"1, pypatchmatch {version('pypatchmatch')}",
            digest="none",
        )

    @property
    def identity(self) -> ModelIdentity:
        """Who answers."""
        return self.describe(self._options)

    def inpaint(self, requests: Sequence[InpaintRequest]) -> list[Image]:
        """The windows with their holes filled; other pixels are as they were.

        Raises:
            SampleError: ``region_too_large`` when nothing is left to copy from.
        """
        return [self._inpaint(request) for request in requests]

    def _inpaint(self, request: InpaintRequest) -> Image:
        image, hole = request.image, request.hole
        avoid = request.avoid & ~hole if request.avoid is not None else np.zeros_like(hole)
        scale = min(1.0, self._options.work_side_px / max(hole.shape))
        small = _resize(image, scale, cv2.INTER_AREA)
        # Any touch of the hole counts, or its rim would keep pixels of the object.
        small_hole = _resize(hole.astype(np.uint8) * 255, scale, cv2.INTER_AREA) > 0
        small_avoid = (_resize(avoid.astype(np.uint8) * 255, scale, cv2.INTER_AREA) > 64) & ~small_hole
        if (~(small_hole | small_avoid)).mean() < 0.1:
            raise SampleError(Reason.REGION_TOO_LARGE, "hardly anything around the hole to fill it from")
        patchmatch.set_random_seed(request.seed)
        filled = patchmatch.inpaint(
            small, small_hole, global_mask=small_avoid, patch_size=self._options.patch_radius
        )
        size = (image.shape[1], image.shape[0])
        large = cv2.resize(filled, size, interpolation=cv2.INTER_CUBIC) if scale < 1 else filled
        lost = image.astype(np.float32) - cv2.resize(small, size, interpolation=cv2.INTER_CUBIC)
        grained = large + _grain(lost, hole, request.seed)
        result = image.copy()
        result[hole] = np.clip(np.rint(grained[hole]), 0, 255).astype(np.uint8)
        return result


def _resize(array: NDArray[np.uint8], scale: float, interpolation: int) -> NDArray[np.uint8]:
    if scale >= 1:
        return array
    return cv2.resize(array, None, fx=scale, fy=scale, interpolation=interpolation)


def _grain(lost: NDArray[np.float32], hole: Mask, seed: int) -> NDArray[np.float32]:
    """Noise (H, W, 1) as strong as the detail that the working resolution lost in the surroundings.

    The median of its size is taken, so that an edge nearby adds nothing.
    """
    ring = cv2.dilate(hole.astype(np.uint8), np.ones((31, 31), np.uint8)) > hole
    gray = lost.mean(axis=2)
    strength = 1.4826 * float(np.median(np.abs(gray[ring]))) if ring.any() else 0.0
    noise = np.random.default_rng(seed).standard_normal(hole.shape).astype(np.float32)
    return (min(strength, 6.0) * noise)[..., None]
