"""Inpainter by PatchMatch at a working resolution, with texture copied at full resolution."""

from __future__ import annotations

from importlib.metadata import version
from typing import ClassVar

import cv2
import numpy as np
import patchmatch
from numpy.typing import NDArray
from pydantic import Field

from tasks.backends.embedded.painting.fill_detail import copied_detail, fit_tone, shift_labels
from tasks.backends.embedded.painting.removal_offer import OF_THE_OFFER, RemovalOptions
from tasks.backends.one_by_one import OneByOne
from tasks.imaging.arrays import Image, Mask
from tasks.records.errors import ModelUnavailable, Reason, SampleError
from tasks.records.records import ModelIdentity
from tasks.records.settings_base import Settings
from tasks.roles.questions import InpaintQuestion


class PatchMatchOptions(RemovalOptions):
    """Working resolution and search."""

    work_side_px: int = Field(default=512, ge=64, le=2048, description="longer side at which the search runs")
    patch_radius: int = Field(default=5, ge=1, le=15, description="compared patches span 2r + 1 pixels")
    detail_px: float = Field(
        default=2.5, gt=0, le=20, description="texture finer than this is copied at full resolution"
    )
    max_tone: float = Field(
        default=24.0, ge=0, le=64, description="largest change of the filling's tone, levels"
    )


class PatchMatchInpainter(OneByOne[InpaintQuestion, Image]):
    """Fills a hole with patches from around it, never from the pixels to avoid."""

    Options: ClassVar[type[Settings]] = PatchMatchOptions
    answering = frozenset(PatchMatchOptions.model_fields) - OF_THE_OFFER
    reproducible = True
    wire = 1
    offer = "tasks.backends.embedded.painting.removal_offer:EmbeddedInpainterOffer"

    def __init__(self, options: PatchMatchOptions | None = None) -> None:
        if not patchmatch.patchmatch_available:
            msg = "inpainter patchmatch: the package's native library does not load on this machine"
            raise ModelUnavailable(msg)
        self._options = options or PatchMatchOptions()

    @classmethod
    def identity_of(cls, options: PatchMatchOptions) -> ModelIdentity:
        """No model."""
        del options
        return ModelIdentity(
            role="inpainter",
            backend="patchmatch",
            model="PatchMatch inpainting",
            revision=f"1, pypatchmatch {version('pypatchmatch')}",
            digest="none",
        )

    def answer_one(self, question: InpaintQuestion) -> Image:
        """The window with its hole filled; other pixels are as they were.

        Raises:
            SampleError: ``region_too_large`` when nothing is left to copy from.
        """
        image, hole = question.picture.rgb, question.hole
        avoid = question.avoid & ~hole if question.avoid is not None else np.zeros_like(hole)
        scale = min(1.0, self._options.work_side_px / max(hole.shape))
        small = _resize(image, scale, cv2.INTER_AREA)
        # Partly covered pixels count as hole, or its rim would keep pixels of the object.
        small_hole = _touched(hole, scale)
        small_avoid = _touched(avoid, scale) & ~small_hole
        if (~(small_hole | small_avoid)).mean() < 0.1:
            raise SampleError(Reason.REGION_TOO_LARGE, "hardly any pixels around the hole to copy from")
        patchmatch.set_random_seed(question.seed)
        filled = patchmatch.inpaint(
            small, small_hole, global_mask=small_avoid, patch_size=self._options.patch_radius
        )
        result = image.copy()
        fine = self._refined(image, hole, avoid, filled=filled, small_hole=small_hole, scale=scale)
        result[hole] = np.clip(np.rint(fine[hole]), 0, 255).astype(np.uint8)
        return result

    def _refined(
        self,
        image: Image,
        hole: Mask,
        avoid: Mask,
        *,
        filled: Image,
        small_hole: Mask,
        scale: float,
    ) -> NDArray[np.float32]:
        """The filling at the window's size: low frequencies from the search with fitted tones, fine detail copied."""
        size = (image.shape[1], image.shape[0])
        small = _resize(image, scale, cv2.INTER_AREA)
        small_avoid = _touched(avoid, scale) & ~small_hole
        toned = fit_tone(filled.astype(np.float32), small, small_hole, small_avoid, self._options.max_tone)
        sigma = self._options.detail_px / scale
        large = cv2.resize(toned, size, interpolation=cv2.INTER_CUBIC) if scale < 1 else toned
        shifts, labels = shift_labels(filled, small_hole, small_avoid)
        labels = cv2.resize(labels.astype(np.int16), size, interpolation=cv2.INTER_NEAREST).astype(np.int64)
        full_shifts = np.rint(shifts / scale).astype(np.int64)
        usable = ~(hole | avoid)
        detail = copied_detail(image, usable, full_shifts, labels, sigma)
        return cv2.GaussianBlur(large, (0, 0), sigma) + detail


def _touched(mask: Mask, scale: float) -> Mask:
    """The mask at a smaller scale; partly covered pixels are inside."""
    return _resize(mask.astype(np.uint8) * 255, scale, cv2.INTER_AREA) > 0


def _resize(array: NDArray[np.uint8], scale: float, interpolation: int) -> NDArray[np.uint8]:
    if scale >= 1:
        return array
    resized = cv2.resize(array, None, fx=scale, fy=scale, interpolation=interpolation)
    return resized.astype(np.uint8, copy=False)
