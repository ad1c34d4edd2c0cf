"""Settings of grounding: which models see the scene and which objects may be targets."""

from __future__ import annotations

from pydantic import Field

from tasks.records.settings_base import RoleSettings, Settings


class TargetSettings(Settings):
    """What an object must be to be a target; others stay in the scene with the reason.

    Defaults follow the ranges published pipelines use for segment-then-edit data.
    """

    min_score: float = Field(default=0.35, ge=0, le=1, description="detector confidence")
    min_mask_score: float = Field(default=0.8, ge=0, le=1, description="segmenter's own quality estimate")
    min_area_share: float = Field(default=0.005, ge=0, le=1, description="mask pixels over picture pixels")
    max_area_share: float = Field(default=0.35, ge=0, le=1, description="larger ones are the scene itself")
    min_side_px: int = Field(default=32, ge=1, description="shorter side of the box; smaller can't be judged")
    max_borders: int = Field(
        default=0, ge=0, le=4, description="picture borders its box or mask may touch: cut off"
    )
    border_px: int = Field(default=3, ge=0, description="a box or mask this near a border touches it")
    min_fill: float = Field(default=0.2, ge=0, le=1, description="mask over box; less is a fragment")
    max_fill: float = Field(default=0.98, ge=0, le=1, description="mask over box; more is the box itself")
    min_largest_component: float = Field(
        default=0.9, ge=0, le=1, description="share of the mask in one piece"
    )
    contested_margin: float = Field(
        default=0.2, ge=0, le=1, description="another label's lead over the score"
    )
    mask_checks: bool = Field(default=True, description="the segmenter's own checks must all hold")
    max_targets: int = Field(default=1, ge=1, description="targets drawn in a photograph")
    groups: bool = Field(default=False, description="two objects of one class may be one target")
    exclude_labels: tuple[str, ...] = Field(default=(), description="classes never taken as targets")


class GroundingSettings(Settings):
    """The first stage of the paper: the whole scene, then a hard target."""

    tagger: RoleSettings
    detector: RoleSettings
    segmenter: RoleSettings
    judge: RoleSettings
    object_score: float = Field(default=0.35, ge=0, le=1, description="detections below are distractors only")
    label_scores: dict[str, float] = Field(
        default={}, description="the same for single classes that a detector takes other things for"
    )
    nms_iou: float = Field(default=0.5, ge=0, le=1, description="class-agnostic suppression")
    max_box_share: float = Field(default=0.9, gt=0, le=1, description="larger boxes are the picture itself")
    max_objects: int = Field(default=100, ge=1, description="best-scored objects segmented in one photograph")
    min_entities: int = Field(default=2, ge=1, description="fewer objects than this are no scene")
    min_color_share: float = Field(
        default=0.45, ge=0, le=1, description="below, an object's color is 'mixed'"
    )
    hint_iou: float = Field(
        default=0.8, ge=0, le=1, description="a shipped mask serves a box over this overlap"
    )
    target: TargetSettings = TargetSettings()
    unit_size: int = Field(default=4, gt=0, description="inputs a unit; not part of the stage's digest")
