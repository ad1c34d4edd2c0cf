"""Settings of grounding: which models see the scene and which objects may be targets."""

from __future__ import annotations

from pydantic import Field

from tasks.settings_base import RoleSettings, Settings


class TargetSettings(Settings):
    """What an object must be to be a target; others stay in the scene with the reason."""

    min_score: float = Field(default=0.45, ge=0, le=1, description="detector confidence")
    min_mask_score: float = Field(default=0.6, ge=0, le=1, description="segmenter's own quality estimate")
    min_area_share: float = Field(default=0.003, ge=0, le=1, description="mask pixels over picture pixels")
    max_area_share: float = Field(default=0.25, ge=0, le=1, description="larger ones are the scene, not a thing in it")
    max_borders: int = Field(default=0, ge=0, le=4, description="picture borders its box may touch")
    min_fill: float = Field(default=0.2, ge=0, le=1, description="mask over box")
    max_fill: float = Field(default=0.98, ge=0, le=1, description="mask over box")
    min_largest_component: float = Field(default=0.9, ge=0, le=1, description="share of the mask in one piece")
    max_targets: int = Field(default=1, ge=1, description="targets a photograph")
    groups: bool = Field(default=False, description="also targets of several objects of one class")
    exclude_labels: tuple[str, ...] = Field(default=(), description="classes never taken as targets")


class GroundingSettings(Settings):
    """The first stage of the paper: the whole scene, then a hard target."""

    tagger: RoleSettings
    detector: RoleSettings
    segmenter: RoleSettings
    judge: RoleSettings
    object_score: float = Field(default=0.35, ge=0, le=1, description="detections below are distractors only")
    nms_iou: float = Field(default=0.5, ge=0, le=1, description="class-agnostic suppression")
    min_entities: int = Field(default=2, ge=1, description="fewer objects than this are no scene")
    target: TargetSettings = TargetSettings()
    unit_size: int = Field(default=4, gt=0, description="inputs a unit; not part of the stage's digest")
