"""Inpainter that chooses between PatchMatch and MI-GAN by measurements on the window."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from tasks.backends.embedded.painting.migan_inpainter import MiganInpainter, MiganOptions
from tasks.backends.embedded.painting.patchmatch_inpainter import PatchMatchInpainter, PatchMatchOptions
from tasks.backends.embedded.painting.removal_offer import OF_THE_OFFER, RemovalOptions
from tasks.backends.one_by_one import OneByOne
from tasks.imaging.arrays import Image
from tasks.imaging.borders import ragged_share
from tasks.imaging.patches import novel_share
from tasks.records.records import ModelIdentity
from tasks.records.settings_base import Settings
from tasks.roles.questions import InpaintQuestion


class BestOfTwoOptions(RemovalOptions):
    """When the network's filling is used; distances are CIE76 in Lab."""

    structure_step: float = Field(
        default=9.0, ge=0, description="Lab difference along the hole's border that is a structure"
    )
    min_structure: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="share of the border with structures from which the network is tried",
    )
    novel_distance: float = Field(
        default=8.0,
        ge=0,
        description="Lab distance of a filled patch to every real one from which it is novel",
    )
    max_novel: float = Field(
        default=0.03, ge=0, le=1, description="largest share of novel patches in the network's filling"
    )


class BestOfTwoInpainter(OneByOne[InpaintQuestion, Image]):
    """PatchMatch only copies, but breaks lines; MI-GAN continues lines, but may invent objects.

    MI-GAN is preferred where structures run into the hole and its filling resembles the rest of the window. Another
    attempt gives the filling that was not preferred: what is measured afterwards knows better than what is known now.
    """

    Options: ClassVar[type[Settings]] = BestOfTwoOptions
    answering = frozenset(BestOfTwoOptions.model_fields) - OF_THE_OFFER
    reproducible = True
    wire = 2
    offer = "tasks.backends.embedded.painting.removal_offer:BestOfTwoOffer"

    def __init__(
        self,
        options: BestOfTwoOptions | None = None,
        copying: OneByOne[InpaintQuestion, Image] | None = None,
        network: OneByOne[InpaintQuestion, Image] | None = None,
    ) -> None:
        self._options = options or BestOfTwoOptions()
        self._copying = copying or PatchMatchInpainter(PatchMatchOptions())
        self._network = network or MiganInpainter(MiganOptions())

    @classmethod
    def identity_of(cls, options: BestOfTwoOptions) -> ModelIdentity:
        """Both backends; the digest is the network's."""
        del options
        copying = PatchMatchInpainter.identity_of(PatchMatchOptions())
        network = MiganInpainter.identity_of(MiganOptions())
        return ModelIdentity(
            role="inpainter",
            backend="best-of-two",
            model=f"{copying.model}, or {network.model}",
            revision=f"2: {copying.revision}; {network.revision}",
            digest=network.digest,
        )

    def answer_one(self, question: InpaintQuestion) -> Image:
        """The window with its hole filled; other pixels are as they were. Odd attempts give the other filling.

        Raises:
            SampleError: as `PatchMatchInpainter.answer_one`, where that one is asked.
        """
        first = question.attempt % 2 == 0
        options, hole = self._options, question.hole
        if ragged_share(question.picture.rgb, hole, options.structure_step) >= options.min_structure:
            invented = self._network.answer_one(question)
            avoid = question.avoid if question.avoid is not None else np.zeros_like(hole)
            if (novel_share(invented, hole, avoid, options.novel_distance) <= options.max_novel) == first:
                return invented
            return self._copying.answer_one(question)
        return (self._copying if first else self._network).answer_one(question)
