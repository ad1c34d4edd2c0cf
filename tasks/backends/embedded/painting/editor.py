"""The embedded editor: recoloring, materials, effects and copies by plain image processing."""

from __future__ import annotations

from importlib.metadata import version
from typing import ClassVar

import numpy as np
from pydantic import Field

from tasks.backends.assets import AssetCache, asset_table, default_cache_folder
from tasks.backends.embedded.nouns import DATA as NOUNS
from tasks.backends.embedded.nouns import noun
from tasks.backends.embedded.painting.color_offer import FURNITURE
from tasks.backends.embedded.painting.copies.copying import add_copy, replace_by_copy
from tasks.backends.embedded.painting.effects import EFFECTS
from tasks.backends.embedded.painting.fabrics import weave
from tasks.backends.embedded.painting.materials import MATERIALS, metal
from tasks.backends.embedded.painting.matting import refine_edge
from tasks.backends.embedded.painting.migan_inpainter import MiganInpainter, MiganOptions
from tasks.backends.embedded.painting.recolor import PAINTS, recolor
from tasks.backends.embedded.painting.style_transfer import ASSET as STYLE_ASSET
from tasks.backends.embedded.painting.style_transfer import StyleTransfer
from tasks.backends.one_by_one import OneByOne
from tasks.imaging.arrays import Image, Mask
from tasks.imaging.color_names import to_lab, to_rgb
from tasks.imaging.geometry import cropped
from tasks.records.errors import Reason, SampleError
from tasks.records.records import EditType, ModelIdentity
from tasks.records.settings_base import Settings
from tasks.roles.picture import Picture
from tasks.roles.questions import EditQuestion, InpaintQuestion


class ClassicalEditorOptions(Settings):
    """Width of the soft edge."""

    edge_share: float = Field(
        default=0.025,
        gt=0,
        le=0.2,
        description="half width of the soft edge as a share of the square root of the mask's area",
    )
    min_edge_px: int = Field(default=3, ge=1, le=32, description="least half width of the soft edge")
    max_edge_px: int = Field(
        default=9, ge=1, le=32, description="largest half width; wider ones reach into neighbors"
    )


class ClassicalEditor(OneByOne[EditQuestion, Image]):
    """Color, Material, Appearance, and copies of the photograph's own things as Add and Replace.

    The other types would not look real without a generative model.
    """

    Options: ClassVar[type[Settings]] = ClassicalEditorOptions
    answering = frozenset(ClassicalEditorOptions.model_fields)
    reproducible = True
    wire = 1
    prompts = (NOUNS,)
    offer = "tasks.backends.embedded.painting.offer:EmbeddedEditorOffer"

    def __init__(self, options: ClassicalEditorOptions | None = None) -> None:
        self._options = options or ClassicalEditorOptions()
        self._style = StyleTransfer(AssetCache(default_cache_folder()))
        self._inpainter: MiganInpainter | None = None

    @classmethod
    def identity_of(cls, options: ClassicalEditorOptions) -> ModelIdentity:
        """The style network's package and digest; the rest is no model."""
        del options
        style, filling = asset_table()[STYLE_ASSET], MiganInpainter.identity_of(MiganOptions())
        return ModelIdentity(
            role="editor",
            backend="classical",
            model="Lab recoloring, metals, effects and copies with a refined edge (+ arbitrary style transfer for "
            f"materials, {filling.model} behind what is replaced)",
            revision=f"18, opencv {version('opencv-python-headless')} + {style.revision} + {filling.revision}",
            digest=f"{style.digest}+{filling.digest}",
        )

    def _edge_px(self, mask: Mask) -> int:
        width = round(self._options.edge_share * float(np.sqrt(mask.sum())))
        return int(np.clip(width, self._options.min_edge_px, self._options.max_edge_px))

    def answer_one(self, question: EditQuestion) -> Image:
        """The edited crop, which equals its source beyond the soft edge of the mask.

        Raises:
            SampleError: ``backend_error`` for a type or argument it does not offer, or an empty mask.
        """
        mask, argument = question.mask, question.argument
        if not mask.any():
            raise SampleError(Reason.BACKEND_ERROR, "the mask is empty inside the crop")
        if question.edit_type in (EditType.ADD, EditType.REPLACE):
            return cropped(self._with_copy(question), question.crop)
        image = question.picture.rgb
        edge = refine_edge(image, mask, self._edge_px(mask))
        if question.edit_type is EditType.COLOR and argument in PAINTS:
            full = recolor(image, mask, argument, whole=noun(question.label).kind != FURNITURE)
        elif question.edit_type is EditType.MATERIAL and argument in MATERIALS:
            full = self._made_of(argument, image, mask, noun(question.label).kind)
        elif question.edit_type is EditType.APPEARANCE and argument in EFFECTS:
            full = EFFECTS[argument].apply(image, mask)
        else:
            raise SampleError(Reason.BACKEND_ERROR, f"{question.edit_type} to {argument!r} is not offered")
        # Blending in Lab keeps the border's lightness between those of the two sides.
        weight = edge.alpha[..., None]
        mixed = to_rgb(weight * to_lab(full) + (1 - weight) * edge.behind)
        return np.where(weight > 0, mixed, image)

    def _made_of(self, name: str, image: Image, mask: Mask, kind: str) -> Image:
        material = MATERIALS[name]
        if material.tones:
            return metal(image, mask, material.tones, grainy=kind != "vehicle")
        if material.fabric is not None:
            return weave(image, mask, material.fabric)
        return self._style.dress(image, mask, material.texture)

    def _with_copy(self, question: EditQuestion) -> Image:
        """The whole picture with a copy beside the target or in its place."""
        image, target, argument = question.source.rgb, question.target, question.argument
        if question.edit_type is EditType.ADD:
            return add_copy(image, target, argument)
        return replace_by_copy(image, target, argument, self._fill)

    def _fill(self, image: Image, hole: Mask) -> Image:
        # Loaded when it is first needed, and shared with the inpainter of this process.
        if self._inpainter is None:
            self._inpainter = MiganInpainter(MiganOptions())
        window = InpaintQuestion(subject="behind", picture=Picture.of_pixels(image), hole=hole)
        return self._inpainter.answer_one(window)
