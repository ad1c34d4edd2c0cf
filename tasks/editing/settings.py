"""Settings of editing: crops, compositing, gates and the judge's thresholds."""

from __future__ import annotations

from pydantic import Field

from tasks.settings_base import RoleSettings, Settings


class EditingSettings(Settings):
    """The third stage of the paper: edit the crop or remove, put back, check."""

    editor: RoleSettings
    inpainter: RoleSettings
    judge: RoleSettings
    detector: RoleSettings = Field(description="re-detection after a removal; the grounding detector")
    min_accuracy: float = Field(default=4.0, ge=1, le=5, description="RegionEditAccuracy to keep")
    min_seamlessness: float = Field(default=4.0, ge=1, le=5, description="SeamlessQuality to keep")
    unit_size: int = Field(default=4, gt=0, description="inputs a unit; not part of the stage's digest")
