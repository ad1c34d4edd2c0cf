"""Settings of editing: crops, compositing, removal, gates and the judge's thresholds."""

from __future__ import annotations

from pydantic import Field

from tasks.records.records import EditType
from tasks.records.settings_base import RoleSettings, Settings

CROP_FACTORS = {
    EditType.COLOR: 1.3,
    EditType.MATERIAL: 1.3,
    EditType.APPEARANCE: 1.3,
    EditType.TEXT: 1.5,
    EditType.REPLACE: 1.6,
    EditType.ACTION: 1.6,
    EditType.ADD: 1.9,
    EditType.REMOVE: 2.0,
}
"""Crop side over box side: an edit that keeps the outline needs little around it, one that grows needs more."""


CARRIERS = ("vase", "dining table", "couch", "bed", "bench", "desk", "table", "shelf")
"""Things that hold other things, which a detector seldom finds all."""


class CropSettings(Settings):
    """The window an editor sees."""

    factors: dict[EditType, float] = Field(default=CROP_FACTORS, description="crop side over box side")
    min_side_px: int = Field(default=256, gt=0, description="smaller crops come back soft from an editor")
    max_aspect: float = Field(default=2.0, ge=1, description="long over short side an editor still handles")
    whole_share: float = Field(
        default=0.7, gt=0, le=1, description="a crop above this share becomes the picture"
    )


class CompositeSettings(Settings):
    """How the patch is put back; radii as shares of the crop's shorter side."""

    tight_dilation: float = Field(default=0.02, ge=0, description="growth of the mask when the outline stays")
    loose_dilation: float = Field(
        default=0.03, ge=0, description="growth of the changed region when it moves"
    )
    feather: float = Field(default=0.02, ge=0, description="width of the blend outside that region")
    border_feather: float = Field(
        default=0.05, ge=0, description="blend along the crop's border, for Add, Action"
    )
    change_threshold: float = Field(default=8.0, ge=0, description="Lab distance of a pixel that changed")
    max_tint: float = Field(default=0.06, ge=0, description="largest gain an editor's tint is corrected by")


class RemovalSettings(Settings):
    """The hole and its window."""

    dilation: float = Field(default=0.05, ge=0, description="of the box's longer side: rim and missed parts")
    min_dilation_px: int = Field(default=6, ge=0, description="a rim this wide even around small things")
    max_dilation_px: int = Field(default=36, ge=0, description="more would eat the neighbors")
    shadow: float = Field(default=0.5, ge=0, description="extra growth downwards, over the dilation")
    shadow_reach: float = Field(
        default=2.5,
        ge=0,
        description="of the dilation: how far around the object its shadow is followed; 0: not",
    )
    box_share: float = Field(
        default=0.7, ge=0, le=1, description="1: whole box is filled; 0: hull of the mask"
    )
    window_margin: float = Field(default=0.75, ge=0, description="of the box's longer side, on each side")
    min_window_margin_px: int = Field(default=96, ge=0, description="so much context even for small things")
    carriers: tuple[str, ...] = Field(
        default=CARRIERS, description="classes never removed: what they carry stays"
    )
    max_things: float = Field(
        default=0.15,
        ge=0,
        le=1,
        description="share of the hole around the object that is a thing nobody named",
    )
    max_overlap: float = Field(default=0.1, ge=0, le=1, description="share of the hole that is other objects")

    second_dilation: float = Field(
        default=0.1,
        ge=0,
        description="of the second try's hole, which follows the mask's hull; 0: no second try",
    )

    def tries(self) -> tuple[RemovalSettings, ...]:
        """The settings of each try's hole, in order."""
        if not self.second_dilation:
            return (self,)
        return self, self.model_copy(update={"dilation": self.second_dilation, "box_share": 0.0})


class GateSettings(Settings):
    """Bounds of the measured gates; a distance is CIE76 in Lab, 2.3 being just visible."""

    max_region_share: float = Field(default=0.22, gt=0, le=1, description="larger fills are invention")
    min_change: float = Field(
        default=12.0, ge=0, description="mean distance inside; less is no edit to the eye"
    )
    min_effect: float = Field(
        default=5.0, ge=0, description="the same for an effect, which shows as another texture"
    )
    max_leak: float = Field(default=3.0, ge=0, description="mean distance outside, on the editor's raw patch")
    seam_step: float = Field(
        default=3.5, ge=0, description="a step across the border seen on a plain surface"
    )
    seam_masking: float = Field(
        default=1.5, ge=0, description="local contrast hides so much of a step, in its units"
    )
    edge_step: float = Field(default=5.0, ge=0, description="a step in the source that already was an edge")
    edge_slope: float = Field(
        default=1.5, ge=0, description="so was a slope (Lab per pixel) this steep within two pixels"
    )
    max_seam_share: float = Field(
        default=0.12, ge=0, le=1, description="border with a step that was not there"
    )
    max_color_seam_share: float = Field(
        default=0.08, ge=0, le=1, description="the same for Color: paint beyond the outline shows most"
    )
    min_color_share: float = Field(
        default=0.5, ge=0, le=1, description="of the mask that bears the asked name"
    )
    min_neutral_share: float = Field(
        default=0.4, ge=0, le=1, description="the same for black, white and gray"
    )
    before_score: float = Field(default=0.4, ge=0, le=1, description="the object counts as found before")
    after_score: float = Field(default=0.3, ge=0, le=1, description="anything found after counts from here")
    same_place: float = Field(
        default=0.3, ge=0, le=1, description="overlap with the target that means it is there"
    )
    in_hole: float = Field(
        default=0.5, ge=0, le=1, description="share of a new box in the hole that makes it new"
    )
    flat_ratio: float = Field(default=0.35, ge=0, description="fill's fine contrast over its surroundings'")
    textured: float = Field(
        default=2.0, ge=0, description="surroundings below this contrast (L) are flat anyway"
    )
    novel_distance: float = Field(
        default=8.0, ge=0, description="a filled patch this far from every real one"
    )
    max_novel: float = Field(
        default=0.06, ge=0, le=1, description="fill made of such patches: made-up things"
    )
    structure_step: float = Field(
        default=9.0, ge=0, description="a difference along the border that is a structure"
    )
    max_ragged: float = Field(default=0.3, ge=0, le=1, description="border cut by structures that end there")
    max_trace: float = Field(
        default=0.25, ge=0, le=1, description="of a removed thing's shape that the segmenter still finds"
    )
    max_strange: float = Field(
        default=0.6, ge=0, le=1, description="border in colors rare around: left-over parts"
    )
    strange_distance: float = Field(
        default=6.0, ge=0, description="such a color is this far from the usual ones"
    )


class EditingSettings(Settings):
    """The third stage of the paper: edit the crop or remove, put back, check."""

    editor: RoleSettings
    inpainter: RoleSettings
    judge: RoleSettings
    detector: RoleSettings = Field(description="looks again after a removal; the grounding detector")
    segmenter: RoleSettings = Field(description="looks for the removed shape; the grounding segmenter")
    min_accuracy: float = Field(default=4.0, ge=1, le=5, description="RegionEditAccuracy to keep")
    min_seamlessness: float = Field(default=4.0, ge=1, le=5, description="SeamlessQuality to keep")
    crop: CropSettings = CropSettings()
    composite: CompositeSettings = CompositeSettings()
    removal: RemovalSettings = RemovalSettings()
    gates: GateSettings = GateSettings()
    unit_size: int = Field(default=4, gt=0, description="inputs a unit; not part of the stage's digest")
