"""Settings of grounding: the models that see the scene, and which objects qualify as targets."""

from __future__ import annotations

from pydantic import Field

from tasks.records.settings_base import RoleSettings, Settings


class TargetSettings(Settings):
    """Requirements for a target; other objects stay in the scene with the reason.

    Defaults follow the ranges published pipelines use for segment-then-edit data.
    """

    min_score: float = Field(default=0.35, ge=0, le=1, description="detector confidence")
    min_mask_score: float = Field(
        default=0.8, ge=0, le=1, description="minimum score of the segmenter's mask"
    )
    min_area_share: float = Field(default=0.005, ge=0, le=1, description="minimum mask share of the picture")
    max_area_share: float = Field(default=0.35, ge=0, le=1, description="maximum mask share of the picture")
    min_side_px: int = Field(default=32, ge=1, description="minimum shorter side of the box")
    max_borders: int = Field(
        default=0, ge=0, le=4, description="maximum picture borders touched by box or mask"
    )
    border_px: int = Field(default=3, ge=0, description="distance to a border that counts as touching")
    min_fill: float = Field(
        default=0.2, ge=0, le=1, description="minimum mask share of the box; less is a fragment"
    )
    max_fill: float = Field(
        default=0.98, ge=0, le=1, description="maximum mask share of the box; more is the box"
    )
    min_largest_component: float = Field(
        default=0.9, ge=0, le=1, description="minimum share of the mask in one piece"
    )
    contested_margin: float = Field(
        default=0.2, ge=0, le=1, description="reject if another label scores above the score minus this"
    )
    mask_checks: bool = Field(default=True, description="require all of the segmenter's own checks")
    max_targets: int = Field(default=1, ge=1, description="maximum targets per photograph")
    groups: bool = Field(default=False, description="allow targets of two objects of one class")
    exclude_labels: tuple[str, ...] = Field(default=(), description="classes that are never targets")


WEARERS = ("person", "man", "woman", "child", "boy", "girl", "baby", "player", "athlete")
"""Labels of whoever wears something."""

WORN = (
    *("top", "shirt", "t-shirt", "polo shirt", "blouse", "tank top", "jersey", "vest", "waistcoat"),
    *("sweater", "sweatshirt", "hoodie", "cardigan", "jacket", "blazer", "coat", "raincoat", "robe", "apron"),
    *("suit", "uniform", "dress", "skirt", "trousers", "pants", "jeans", "shorts", "leggings"),
    *("tie", "bow tie", "scarf", "belt", "hat", "cap", "beanie", "helmet", "glove", "gloves"),
    *("sock", "socks", "shoe", "shoes", "boot", "boots", "sneaker", "sneakers", "sandal", "sandals"),
)
"""Labels of what is worn. Things that are carried (bags, umbrellas) are objects of their own."""


class PartTable(Settings):
    """Labels of parts, and of what they are parts of."""

    wholes: tuple[str, ...] = Field(description="labels of the things that have such parts")
    parts: tuple[str, ...] = Field(description="labels of the parts")


class PartSettings(Settings):
    """When a thing is a part of another one of its scene."""

    tables: dict[str, PartTable] = Field(
        default={"garments": PartTable(wholes=WEARERS, parts=WORN)},
        description="which labels are parts of which; the names of the tables mean nothing",
    )
    min_inside: float = Field(
        default=0.8, gt=0, le=1, description="share of a part's box inside the box of its whole"
    )
    min_mask_inside: float = Field(
        default=0.5, ge=0, le=1, description="the same share of the masks; below it the part is contested"
    )
    margin: float = Field(
        default=0.25,
        ge=0,
        le=1,
        description="difference of that share for two wholes below which the part is contested",
    )
    max_borders: int = Field(
        default=1,
        ge=0,
        le=4,
        description="maximum picture borders touched by a part; with its whole it is often cut off there",
    )


class GroundingSettings(Settings):
    """Settings of the paper's first stage: the whole scene, then a hard target."""

    tagger: RoleSettings
    detector: RoleSettings
    segmenter: RoleSettings
    judge: RoleSettings
    min_keep_probability: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="minimum probability of each yes by the target judge; null: its words decide",
    )
    object_score: float = Field(default=0.35, ge=0, le=1, description="minimum score; below are distractors")
    label_scores: dict[str, float] = Field(
        default={}, description="the same for single classes that a detector confuses with others"
    )
    not_mistaken: dict[str, tuple[str, ...]] = Field(
        default={},
        description="label -> labels that may share its box without contesting it, as a chair that of who sits on it",
    )
    nms_iou: float = Field(default=0.5, ge=0, le=1, description="class-agnostic suppression")
    max_box_share: float = Field(default=0.9, gt=0, le=1, description="maximum box share of the picture")
    max_objects: int = Field(default=100, ge=1, description="maximum objects segmented, best scores first")
    min_entities: int = Field(default=2, ge=1, description="minimum objects in a scene")
    min_color_share: float = Field(
        default=0.45, ge=0, le=1, description="minimum share of an object's color; below it is 'mixed'"
    )
    hint_iou: float = Field(
        default=0.8, ge=0, le=1, description="minimum overlap of a shipped mask with a box that uses it"
    )
    parts: PartSettings = PartSettings()
    target: TargetSettings = TargetSettings()
    unit_size: int = Field(default=4, gt=0, description="inputs per unit; not part of the stage's digest")
