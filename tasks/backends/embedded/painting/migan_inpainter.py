"""The embedded inpainter with a trained network: MI-GAN, a small generative inpainter, on ONNX Runtime."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, ClassVar

import cv2
import numpy as np
from pydantic import Field

from tasks.backends.assets import AssetCache, asset_table, default_cache_folder
from tasks.backends.embedded.painting.removal_offer import RemovalOptions
from tasks.backends.embedded.runtimes.onnx_session import open_session
from tasks.backends.one_by_one import OneByOne
from tasks.imaging.arrays import Image, Mask
from tasks.records.records import ModelIdentity
from tasks.records.settings_base import Settings
from tasks.roles.questions import InpaintQuestion

if TYPE_CHECKING:
    import onnxruntime

ASSET = "migan"
FILE = "migan_pipeline_v2.onnx"
KNOWN = 255
"""Value of known pixels in the network's mask; 0 marks the hole."""


class MiganOptions(RemovalOptions):
    """Size of the window that the network sees; it works at 512 x 512 inside."""

    max_side_px: int = Field(default=1024, ge=256, description="longer windows are downscaled first")
    threads: int = Field(default=1, ge=1, description="threads of the runtime; results don't depend on it")


@cache
def _shared_session(threads: int) -> onnxruntime.InferenceSession:
    """One session per process, for the inpainter and for the editor that fills behind what it replaces."""
    path = AssetCache(default_cache_folder()).path(ASSET, FILE)
    return open_session(path, threads=threads)


class MiganInpainter(OneByOne[InpaintQuestion, Image]):
    """MI-GAN (Sargsyan et al., ICCV 2023) over the whole window; only the hole's pixels are taken from it."""

    Options: ClassVar[type[Settings]] = MiganOptions
    answering = frozenset({"max_side_px"})
    idle = frozenset({"threads"})
    reproducible = True
    wire = 1
    offer = "tasks.backends.embedded.painting.removal_offer:EmbeddedInpainterOffer"

    def __init__(self, options: MiganOptions) -> None:
        self.options = options
        self._session = _shared_session(options.threads)

    @classmethod
    def identity_of(cls, options: MiganOptions) -> ModelIdentity:
        """The packaged network, by package version and digest."""
        del options
        asset = asset_table()[ASSET]
        return ModelIdentity(
            role="inpainter", backend="migan", model="MI-GAN", revision=asset.revision, digest=asset.digest
        )

    def answer_one(self, question: InpaintQuestion) -> Image:
        """The window with the hole filled, same size; pixels outside the hole are the window's own.

        The network has no randomness, so the seed changes nothing; nor does ``avoid``.
        """
        return self._fill(question.picture.rgb, question.hole)

    def _fill(self, image: Image, hole: Mask) -> Image:
        if not hole.any():
            return image.copy()
        height, width = hole.shape
        scale = min(1.0, self.options.max_side_px / max(height, width))
        small: Image = image
        small_hole = hole
        if scale < 1:
            size = (round(width * scale), round(height * scale))
            small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
            small_hole = cv2.resize(hole.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
        planes = np.ascontiguousarray(small.transpose(2, 0, 1)[None])
        keep = np.where(small_hole, 0, KNOWN).astype(np.uint8)[None, None]
        (answer,) = self._session.run(None, {"image": planes, "mask": keep})
        filled = np.ascontiguousarray(np.asarray(answer)[0].transpose(1, 2, 0))
        if scale < 1:
            filled = cv2.resize(filled, (width, height), interpolation=cv2.INTER_CUBIC)
        return np.where(hole[..., None], filled, image)
