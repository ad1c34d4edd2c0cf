"""The embedded editor: recolouring, materials and appearance effects by plain image processing."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version

import numpy as np
from pydantic import Field

from tasks.backends.embedded.painting.effects import EFFECTS
from tasks.backends.embedded.painting.materials import MATERIALS
from tasks.backends.embedded.painting.matting import refine_edge
from tasks.backends.embedded.painting.recolor import PAINTS, recolour
from tasks.imaging.arrays import Image, Mask
from tasks.imaging.color_names import to_lab, to_rgb
from tasks.records.errors import Reason, SampleError
from tasks.records.records import EditType, ModelIdentity
from tasks.records.settings_base import Settings
from tasks.roles.questions import EditRequest


class ClassicalEditorOptions(Settings):
    """How wide the soft edge is."""

    edge_share: float = Field(
        default=0.025, gt=0, le=0.2, description="soft edge over the object's mean side"
    )
    min_edge_px: int = Field(default=3, ge=1, le=32, description="half width of the soft edge, at least")
    max_edge_px: int = Field(default=9, ge=1, le=32, description="and at most: wider ones eat the neighbours")


class ClassicalEditor:
    """Color, Material and Appearance; the other types would not look real without a generative model."""

    Options = ClassicalEditorOptions
    offer = "tasks.backends.embedded.painting.offer:EmbeddedEditorOffer"

    def __init__(self, options: ClassicalEditorOptions | None = None) -> None:
        self._options = options or ClassicalEditorOptions()

    @classmethod
    def describe(cls, options: ClassicalEditorOptions) -> ModelIdentity:
        """An algorithm without weights."""
        del options
        return ModelIdentity(
            role="editor",
            backend="classical",
            model="Lab recoloring, materials and effects with a refined edge",
            revision=f"6, opencv {version('opencv-python-headless')}",
            digest="none",
        )

    @classmethod
    def offers_of(cls, options: ClassicalEditorOptions) -> tuple[EditType, ...]:
        """What it can do convincingly, known without loading it."""
        del options
        return (EditType.COLOR, EditType.MATERIAL, EditType.APPEARANCE)

    @property
    def identity(self) -> ModelIdentity:
        """Who answers."""
        return self.describe(self._options)

    @property
    def offers(self) -> tuple[EditType, ...]:
        """Color, Material and Appearance."""
        return self.offers_of(self._options)

    def edit(self, requests: Sequence[EditRequest]) -> list[Image]:
        """The edited crops; each equals its source beyond the soft edge of the mask.

        Raises:
            SampleError: ``backend_error`` for a type or argument it does not offer, or an empty mask.
        """
        return [self._edit(request) for request in requests]

    def _edge_px(self, mask: Mask) -> int:
        wanted = round(self._options.edge_share * float(np.sqrt(mask.sum())))
        return int(np.clip(wanted, self._options.min_edge_px, self._options.max_edge_px))

    def _edit(self, request: EditRequest) -> Image:
        if not request.mask.any():
            raise SampleError(Reason.BACKEND_ERROR, "the mask is empty inside the crop")
        edge = refine_edge(request.image, request.mask, self._edge_px(request.mask))
        if request.edit_type is EditType.COLOR and request.argument in PAINTS:
            full = recolour(request.image, request.mask, request.argument)
        elif request.edit_type is EditType.MATERIAL and request.argument in MATERIALS:
            full = MATERIALS[request.argument].apply(request.image, request.mask)
        elif request.edit_type is EditType.APPEARANCE and request.argument in EFFECTS:
            full = EFFECTS[request.argument].apply(request.image, request.mask)
        else:
            raise SampleError(
                Reason.BACKEND_ERROR, f"{request.edit_type} to {request.argument!r} is not offered"
            )
        # Mixing in Lab keeps the border's lightness between that of both sides.
        weight = edge.alpha[..., None]
        mixed = to_rgb(weight * to_lab(full) + (1 - weight) * edge.behind)
        return np.where(weight > 0, mixed, request.image)
