"""Settings of editing: crops, compositing, removal, gates and the judge's thresholds."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import Field

from tasks.records.edit_types import EDIT_TYPES
from tasks.records.records import EditType
from tasks.records.settings_base import RoleSettings, Settings

RemovalGate = Literal[
    "overlap",
    "things",
    "even",
    "change",
    "leak",
    "seam",
    "ragged",
    "cut",
    "strange",
    "novel",
    "busy",
    "flat",
    "shadow",
    "remains",
    "found_before",
    "gone",
    "new_object",
    "trace",
]
"""Gates of a removal, in the order of their measurement. Its share of the picture is measured always."""

CROP_FACTORS = {row.edit_type: row.crop_factor for row in EDIT_TYPES}
"""Crop side over box side: edits that keep the outline need little context, edits that grow need more."""


class CropSettings(Settings):
    """The crop given to an editor."""

    factors: dict[EditType, Annotated[float, Field(ge=1, allow_inf_nan=False)]] = Field(
        default=CROP_FACTORS,
        description="crop side over box side, by edit type; omitted types keep their default",
    )
    min_side_px: int = Field(default=256, gt=0, description="minimum crop side; editors blur smaller crops")
    max_aspect: float = Field(
        default=2.0, ge=1, description="maximum ratio of long to short side of the crop"
    )
    whole_share: float = Field(
        default=0.7,
        gt=0,
        le=1,
        description="a crop above this share of the picture becomes the whole picture",
    )
    multiple_px: int = Field(
        default=1,
        ge=1,
        description="sides are widened to multiples of this where the picture has room, so that an editor's grid fits",
    )
    similar_area: float = Field(
        default=0.3,
        gt=0,
        le=1,
        description="another thing of the target's class counts as similar from this ratio of areas, smaller to larger",
    )
    max_similar: int | None = Field(
        default=None,
        ge=0,
        description="most similar things in a crop, from which an editor may pick the wrong one; none: any number",
    )


class CompositeSettings(Settings):
    """How the patch is composited; radii are shares of the crop's shorter side."""

    tight_dilation: float = Field(
        default=0.02, ge=0, description="mask dilation for edits that keep the outline"
    )
    loose_dilation: float = Field(
        default=0.03, ge=0, description="dilation of the changed region for edits that move the outline"
    )
    feather: float = Field(default=0.02, ge=0, description="width of the blend outside that region")
    border_feather: float = Field(
        default=0.05,
        ge=0,
        description="width of the blend at the crop's border, for edits that may change the whole crop",
    )
    change_threshold: float = Field(default=8.0, ge=0, description="minimum Lab distance of a changed pixel")
    max_tint: float = Field(default=0.06, ge=0, description="maximum gain when correcting an editor's tint")
    effect_reach: float = Field(
        default=0.25,
        ge=0,
        description="how far from target or hole an effect (shadow, reflection) may lie, for models that change these",
    )


class RemovalSettings(Settings):
    """The hole, its window, and the gates of a removal.

    The defaults suit small inpainters and judge them strictly. Practice with LaMa is a hole close to the mask, with a
    margin of 1 to 3 % of the picture's short side and up to 60 % more downwards: ``outline: mask, box_share: 0,
    dilation_of: picture, dilation: 0.015, min_dilation_px: 7, max_dilation_px: 31, shadow_reach: 0, second_dilation: 0,
    window_margin: 0.5, min_window_margin_px: 128, gates: [change, gone]``.
    """

    outline: Literal["hull", "mask"] = Field(
        default="mask",
        description="what is dilated: the mask's convex hull, or the mask with its gaps filled",
    )
    dilation: float = Field(default=0.05, ge=0, description="hole's margin, share of what dilation_of says")
    dilation_of: Literal["box", "picture"] = Field(
        default="box", description="box: its longer side; picture: its shorter side"
    )
    min_dilation_px: int = Field(default=6, ge=0, description="minimum of that margin")
    max_dilation_px: int = Field(default=36, ge=0, description="maximum of that margin, to spare neighbors")
    shadow: float = Field(default=0.5, ge=0, description="extra downward growth, as a factor of the margin")
    shadow_reach: float = Field(
        default=1.0,
        ge=0,
        description="how far from the object its shadow is searched, in longer sides of its box; 0: off",
    )
    max_shadow: float = Field(
        default=1.2,
        ge=0,
        description="area of a shadow, in areas of the object, up to which it is taken out with it; more is the ground",
    )
    box_share: float = Field(
        default=0.0, ge=0, le=1, description="how much of the box's corners the hole covers; 1: the whole box"
    )
    window_margin: float = Field(
        default=0.75, ge=0, description="context per side, share of the box's longer side"
    )
    min_window_margin_px: int = Field(default=96, ge=0, description="minimum context on each side")
    max_things: float = Field(
        default=0.15,
        ge=0,
        le=1,
        description="maximum share of the hole around the object that is another, undetected thing",
    )
    max_overlap: float = Field(
        default=0.1, ge=0, le=1, description="maximum share of the hole in other objects"
    )
    sure_mask: float = Field(
        default=0.8,
        ge=0,
        le=1,
        description="score of a mask below which the whole box is taken out, of what goes with the target",
    )

    second_dilation: float = Field(
        default=0.1,
        ge=0,
        description="margin of the second try's hole, around the mask's hull; 0: no second try",
    )
    gates: tuple[RemovalGate, ...] = Field(
        default=get_args(RemovalGate),
        description="what is measured of a removal and can refuse it, the first three before it is made; the edit "
        "judge rules scores by what is measured and by nothing else",
    )

    clean: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="largest value over its bound, of all gates on a fill, with which the first that passes is kept; "
        "above, the inpainter's other ways are tried as well, and the cleanest is kept",
    )

    def tries(self) -> tuple[RemovalSettings, ...]:
        """The settings of each try, in order."""
        if not self.second_dilation:
            return (self,)
        return self, self.model_copy(update={"dilation": self.second_dilation, "outline": "hull"})


class GateSettings(Settings):
    """Bounds of the measured gates. Distances are CIE76 in Lab, where 2.3 is a just noticeable difference."""

    max_region_share: float = Field(
        default=0.22, gt=0, le=1, description="maximum edited share of the picture"
    )
    min_change: float = Field(
        default=12.0, ge=0, description="minimum mean distance inside the target; less is not a visible edit"
    )
    min_effect: float = Field(
        default=5.0, ge=0, description="the same for an effect, which changes texture more than color"
    )
    max_leak: float = Field(default=3.0, ge=0, description="maximum mean distance outside, on the raw patch")
    max_effect_area: float = Field(
        default=1.0,
        ge=0,
        description="maximum area of an effect outside target or hole, in areas of these",
    )
    seam_step: float = Field(default=3.5, ge=0, description="minimum step of a seam on a plain surface")
    seam_masking: float = Field(
        default=1.5, ge=0, description="visual masking: a seam must exceed seam_step + this x local contrast"
    )
    edge_step: float = Field(default=5.0, ge=0, description="minimum step of an existing edge in the source")
    edge_slope: float = Field(
        default=1.5, ge=0, description="minimum slope of an existing edge (Lab per px, within 2 px)"
    )
    max_seam_share: float = Field(
        default=0.12, ge=0, le=1, description="maximum share of the border with a new step"
    )
    max_color_seam_share: float = Field(
        default=0.08, ge=0, le=1, description="the same for edits whose overspill would show most"
    )
    min_color_share: float = Field(
        default=0.5, ge=0, le=1, description="minimum share of the mask in the requested color"
    )
    min_neutral_share: float = Field(
        default=0.4, ge=0, le=1, description="the same for black, white and gray"
    )
    before_score: float = Field(
        default=0.4, ge=0, le=1, description="minimum score of the object before removal"
    )
    after_score: float = Field(
        default=0.3, ge=0, le=1, description="minimum score of any detection afterwards"
    )
    same_place: float = Field(
        default=0.3, ge=0, le=1, description="overlap at which a detection afterwards is the target"
    )
    in_hole: float = Field(
        default=0.5, ge=0, le=1, description="share inside the hole at which a new box counts as new"
    )
    flat_ratio: float = Field(default=0.35, ge=0, description="minimum fine contrast of the fill, relative")
    textured: float = Field(
        default=2.0, ge=0, description="contrast (L) below which the environment counts as flat"
    )
    novel_distance: float = Field(
        default=8.0, ge=0, description="distance from all real patches at which a filled patch is novel"
    )
    max_novel: float = Field(
        default=0.065, ge=0, le=1, description="maximum share of novel patches in the fill"
    )
    max_busy: float = Field(
        default=0.003,
        ge=0,
        le=1,
        description="maximum share of the fill with more contrast than anywhere around it",
    )
    busy_margin: float = Field(
        default=1.5, ge=0, description="contrast (L) above that of the surroundings at which a pixel is busy"
    )
    structure_step: float = Field(
        default=9.0, ge=0, description="minimum difference along the border that counts as a structure"
    )
    max_ragged: float = Field(
        default=0.3, ge=0, le=1, description="maximum share of border with cut structures"
    )
    max_cut: float = Field(
        default=0.012,
        ge=0,
        le=1,
        description="maximum share of border where a structure ends that the fill does not continue",
    )
    max_trace: float = Field(
        default=0.25, ge=0, le=1, description="maximum trace of the removed shape found by the segmenter"
    )
    max_shadow_left: float = Field(
        default=0.06,
        ge=0,
        description="maximum area of shadow in and at the fill, in areas of the object",
    )
    min_even: float = Field(
        default=0.8,
        ge=0,
        le=1,
        description="minimum share of the ground around the hole that is seen and even: one surface, or two with a "
        "straight border between them",
    )
    remains_step: float = Field(
        default=4.5, ge=0, description="minimum distance from the color of plain ground that departs from it"
    )
    remains_masking: float = Field(
        default=2.5, ge=0, description="visual masking: remains_step + this x grain of the ground"
    )
    max_remains: float = Field(
        default=0.025,
        ge=0,
        description="maximum area in and around the fill that departs from the ground, in areas of the hole",
    )
    max_strange: float = Field(
        default=0.6, ge=0, le=1, description="maximum share of border in rare colors (leftover parts)"
    )
    strange_distance: float = Field(
        default=6.0, ge=0, description="minimum distance of such a color from the common ones"
    )


class CopySettings(Settings):
    """Bounds of the gates on a copied thing (`tasks.stages.editing.copied_thing`), in sizes of the copy."""

    min_found: float = Field(
        default=0.4, ge=0, le=1, description="minimum score of the detection at the copy's place"
    )
    max_over_things: float = Field(
        default=0.02, ge=0, le=1, description="maximum share of the changed pixels that were another thing"
    )
    frame_share: float = Field(
        default=0.006,
        ge=0,
        description="minimum distance from the picture's border, share of its longer side",
    )
    min_shape: float = Field(
        default=0.75,
        ge=0,
        le=1,
        description="minimum overlap of its shape with one of its class in the photograph",
    )
    max_scale: float = Field(
        default=1.25, ge=1, description="maximum ratio, either way, to the size that the perspective asks for"
    )
    max_foot_step: float = Field(
        default=0.2, ge=0, description="maximum step between its foot line and the target's, in its height"
    )
    max_contact_loss: float = Field(
        default=0.6,
        ge=0,
        le=1,
        description="maximum share that it lacks of the darkening of the ground at its model's foot",
    )
    min_gap: float = Field(
        default=0.1, ge=0, description="minimum gap between target and copy, in the copy's width"
    )
    halo_delta_e: float = Field(
        default=5.0, ge=0, description="minimum Lab distance of a pixel around the copy that changed"
    )
    max_halo: float = Field(
        default=0.25, ge=0, le=1, description="maximum share of such pixels that are no shadow"
    )
    stray_reach: float = Field(
        default=0.35, ge=0, description="distance from the copy, in roots of its area, from which it is far"
    )
    max_stray: float = Field(
        default=0.35, ge=0, description="maximum changed area far from the copy, in areas of the copy"
    )
    left_delta_e: float = Field(
        default=5.0, ge=0, description="Lab distance below which a pixel of a replaced thing is still there"
    )
    max_left: float = Field(
        default=0.12, ge=0, le=1, description="maximum share of the replaced thing that is still there"
    )
    min_color_share: float = Field(
        default=0.45, ge=0, le=1, description="minimum share of the copy in the color that the argument names"
    )


class EditingSettings(Settings):
    """Settings of the paper's third stage: edit the crop or remove, composite, check."""

    editor: RoleSettings
    inpainter: RoleSettings
    judge: RoleSettings
    second_judge: RoleSettings | None = Field(
        default=None, description="optional edit judge of another family; both must agree to keep a sample"
    )
    detector: RoleSettings = Field(
        description="searches again after a removal; normally grounding's detector"
    )
    segmenter: RoleSettings = Field(
        description="searches for the removed shape; normally grounding's segmenter"
    )
    tries: int = Field(
        default=1,
        ge=1,
        description="maximum edits, with different seeds, until one passes every gate; above 1 each sample counts them",
    )
    min_accuracy: float = Field(
        default=4.0,
        ge=1,
        le=5,
        description="minimum RegionEditAccuracy, 1 to 5; of a yes-no judge 1 + 4 x P(yes), so 4.0 is 0.75",
    )
    min_seamlessness: float = Field(
        default=4.0, ge=1, le=5, description="minimum SeamlessQuality, 1 to 5; of a yes-no judge likewise"
    )
    min_second_accuracy: float = Field(default=4.0, ge=1, le=5, description="the same for the second judge")
    min_second_seamlessness: float = Field(
        default=4.0, ge=1, le=5, description="the same for the second judge"
    )
    crop: CropSettings = CropSettings()
    composite: CompositeSettings = CompositeSettings()
    removal: RemovalSettings = RemovalSettings()
    gates: GateSettings = GateSettings()
    copies: CopySettings = CopySettings()
    unit_size: int = Field(default=4, gt=0, description="inputs per unit; not part of the stage's digest")
