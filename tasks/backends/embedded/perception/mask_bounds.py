"""Bounds of the checks on masks: less is asked of a mask of whose extent the network is sure."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pydantic import Field

from tasks.backends.embedded.nouns import noun
from tasks.backends.embedded.perception.box_masks import BoxMask
from tasks.backends.embedded.perception.garments import GarmentOptions
from tasks.records.records import Measurement
from tasks.records.settings_base import Settings

VESSELS = frozenset({"tableware", "glassware"})
"""Kinds of noun whose mask should fill the detector's box."""

NEAR_MISS = {
    "mask_quality": 0.88,
    "mask_stability": 0.84,
    "mask_repeat_agreement": 0.85,
    "mask_in_one_piece": 0.8,
    "mask_box_agreement": 0.5,
}
"""Checks that a closer look may mend, and the values from which it has done so."""

MAX_NEAR_SHARE = 0.15
"""The same for `own_kind_share`, at most."""


class SegmenterOptions(Settings):
    """Bounds of the checks, set by inspecting masks of the demo photographs."""

    min_quality: float = Field(
        default=0.95,
        ge=0,
        le=1,
        description="the network's own estimate of IoU; below, it often takes two persons for one",
    )
    min_stability: float = Field(default=0.92, ge=0, le=1, description="IoU of masks at logits +1 and -1")
    min_box_agreement: float = Field(
        default=0.72, ge=0, le=1, description="IoU of the mask's box with the prompt box"
    )
    min_laptop_agreement: float = Field(
        default=0.82, ge=0, le=1, description="the same for laptops, where the screen alone may be segmented"
    )
    min_vessel_agreement: float = Field(
        default=0.86,
        ge=0,
        le=1,
        description="the same for cups, glasses, bowls, where a saucer or leaf may join",
    )
    min_solidity: float = Field(
        default=0.965,
        ge=0,
        le=1,
        description="area over hull of glasses, bowls, balls; lower: another object joined",
    )
    max_cup_slenderness: float = Field(
        default=1.75, ge=0, description="height over width of a cup without its handle: more is a jug"
    )
    own_kind_px: int = Field(
        default=3,
        ge=0,
        description="two masks of one class this close have an ambiguous boundary",
    )
    max_own_kind_share: float = Field(
        default=0.002, ge=0, le=1, description="share of a mask that close; more than a point of contact"
    )
    max_sure_own_kind_share: float = Field(
        default=0.06,
        ge=0,
        le=1,
        description="the same for a sure mask: people side by side, books in a stack",
    )
    sure_quality: float = Field(
        default=0.96,
        ge=0,
        le=1,
        description="the network's estimate from which it has no doubt of the extent, with the next two",
    )
    min_sure_stability: float = Field(default=0.93, ge=0, le=1, description="stability of a sure mask")
    min_sure_repeat: float = Field(
        default=0.97, ge=0, le=1, description="agreement of both prompts on a sure mask"
    )
    min_sure_box_agreement: float = Field(
        default=0.6,
        ge=0,
        le=1,
        description="IoU of a sure mask inside the box, which small detectors draw too large",
    )
    min_sure_vessel_agreement: float = Field(
        default=0.78, ge=0, le=1, description="the same for cups, glasses, bowls"
    )
    min_in_box: float = Field(
        default=0.93, ge=0, le=1, description="share of such a mask's own box inside the prompt box"
    )
    min_repeat_agreement: float = Field(
        default=0.93, ge=0, le=1, description="IoU with the mask of a second prompt"
    )
    min_whole: float = Field(default=0.9, ge=0, le=1, description="share of the raw mask in one piece")
    min_edge_ratio: float = Field(
        default=1.15, ge=0, description="color step at the outline over the mean around it"
    )
    min_color_distance: float = Field(
        default=0.3, ge=0, le=1, description="distance of colors inside and outside the outline"
    )
    max_contested: float = Field(default=0.15, ge=0, le=1, description="share that other masks cover as well")
    max_hole_share: float = Field(default=0.01, ge=0, le=1, description="smaller holes are filled")
    min_head_score: float = Field(
        default=0.3, ge=0, le=1, description="head keypoint score of a person; hands alone stay below"
    )
    garments: GarmentOptions = GarmentOptions()
    in_front_share: float = Field(
        default=0.75, ge=0, le=1, description="share of a mask inside another from which it is in front"
    )
    max_windows: int = Field(
        default=2, ge=0, description="parts of the picture looked at closer, some 3 s of one core each"
    )


def nearly_passes(checks: Sequence[Measurement]) -> bool:
    """Whether a mask fails by little, and only where a closer look may tell."""
    failing = [check for check in checks if not check.passed]
    return bool(failing) and all(
        check.value <= MAX_NEAR_SHARE
        if check.name == "mask_own_kind_share"
        else check.value >= NEAR_MISS.get(check.name, math.inf)
        for check in failing
    )


def least_box_agreement(found: BoxMask, label: str, inside: bool, limits: SegmenterOptions) -> float:
    """The bound of the IoU of a mask's box with the prompt box; less for a sure mask ``inside`` the box.

    Of laptops the screen alone is a sure mask, too.
    """
    vessel = noun(label).kind in VESSELS
    if label == "laptop":
        return limits.min_laptop_agreement
    if inside and is_sure(found, limits):
        return limits.min_sure_vessel_agreement if vessel else limits.min_sure_box_agreement
    return limits.min_vessel_agreement if vessel else limits.min_box_agreement


def is_sure(found: BoxMask, limits: SegmenterOptions) -> bool:
    """Whether the network has no doubt of the mask's extent."""
    return (
        found.quality >= limits.sure_quality
        and found.repeat >= limits.min_sure_repeat
        and found.stability >= limits.min_sure_stability
    )
