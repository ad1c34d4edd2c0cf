"""The embedded inpainter of two: PatchMatch, and MI-GAN where structures must go on and it makes nothing up."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import Field

from tasks.backends.embedded.painting.migan_inpainter import MiganInpainter, MiganOptions
from tasks.backends.embedded.painting.patchmatch_inpainter import PatchMatchInpainter, PatchMatchOptions
from tasks.imaging.arrays import Image
from tasks.imaging.mask_borders import ragged_share
from tasks.imaging.patches import novel_share
from tasks.records.records import ModelIdentity
from tasks.records.settings_base import Settings
from tasks.roles.questions import Inpainter, InpaintRequest


class BestOfTwoOptions(Settings):
    """When the network's filling is taken; distances are CIE76 in Lab."""

    structure_step: float = Field(default=9.0, ge=0, description="a difference along the hole's border")
    min_structure: float = Field(
        default=0.1, ge=0, le=1, description="border with such; below, PatchMatch does better"
    )
    novel_distance: float = Field(
        default=8.0, ge=0, description="a filled patch this far from every real one"
    )
    max_novel: float = Field(
        default=0.03, ge=0, le=1, description="the network's filling made of such patches"
    )


class BestOfTwoInpainter:
    """PatchMatch copies and never invents, but breaks lines; MI-GAN continues lines, but may invent things.

    The choice is made by what is measured on the window alone, so it depends on nothing else.
    """

    Options = BestOfTwoOptions

    def __init__(
        self,
        options: BestOfTwoOptions | None = None,
        copying: Inpainter | None = None,
        network: Inpainter | None = None,
    ) -> None:
        self._options = options or BestOfTwoOptions()
        self._copying = copying or PatchMatchInpainter(PatchMatchOptions())
        self._network = network or MiganInpainter(MiganOptions())

    @classmethod
    def describe(cls, options: BestOfTwoOptions) -> ModelIdentity:
        """Both backends; the digest is the network's."""
        del options
        copying = PatchMatchInpainter.describe(PatchMatchOptions())
        network = MiganInpainter.describe(MiganOptions())
        return ModelIdentity(
            role="inpainter",
            backend="best-of-two",
            model=f"{copying.model}, or {network.model}",
            revision=f"1: {copying.revision}; {network.revision}",
            digest=network.digest,
        )

    @property
    def identity(self) -> ModelIdentity:
        """As `describe` says."""
        return self.describe(self._options)

    def inpaint(self, requests: Sequence[InpaintRequest]) -> list[Image]:
        """The windows with their holes filled; other pixels are as they were."""
        return [self._inpaint(request) for request in requests]

    def _inpaint(self, request: InpaintRequest) -> Image:
        options, hole = self._options, request.hole
        if ragged_share(request.image, hole, options.structure_step) >= options.min_structure:
            (invented,) = self._network.inpaint([request])
            avoid = request.avoid if request.avoid is not None else np.zeros_like(hole)
            if novel_share(invented, hole, avoid, options.novel_distance) <= options.max_novel:
                return invented
        (copied,) = self._copying.inpaint([request])
        return copied
