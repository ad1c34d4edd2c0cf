"""Describes the scene's objects: label, box, mask, color, and why each does or does not qualify as a target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tasks.imaging.arrays import Image, Mask
from tasks.imaging.color_names import DominantColor, dominant_color
from tasks.imaging.geometry import box_of, from_rle, iou, to_rle, union_box
from tasks.imaging.masks import largest_piece
from tasks.records.measuring import measure
from tasks.records.records import Box, Measurement, Rle, SceneObject, SourceImage
from tasks.roles.questions import Detection, Segmentation
from tasks.stages.grounding.parts import Whole, choose_wholes, possible_wholes
from tasks.stages.grounding.settings import GroundingSettings, TargetSettings
from tasks.stages.grounding.suppression import Entity

NO_COLOR = DominantColor(name="mixed", share=0.0, clear_share=0.0, lab=(0.0, 0.0, 0.0))
"""The color of an empty mask."""


def take_hints(
    source: SourceImage, detections: Sequence[Detection], hint_iou: float
) -> dict[int, Segmentation]:
    """Masks shipped with the photograph that fit a box, by detection index (perception: SA-1B shortcut)."""
    found: dict[int, Segmentation] = {}
    for index, detection in enumerate(detections):
        best = max(source.hints, key=lambda h: iou(h.box, detection.box), default=None)
        if best is not None and iou(best.box, detection.box) >= hint_iou:
            score = min(best.predicted_iou, best.stability)
            found[index] = Segmentation(mask=from_rle(best.mask), score=score, method="shipped", checks=())
    return found


def why_never(entity: Entity, limits: TargetSettings) -> str:
    """Why an entity cannot be a target whatever its mask is, or ``""``."""
    detection = entity.detection
    if detection.label in limits.exclude_labels:
        return "excluded_label"
    if detection.score < limits.min_score:
        return "low_score"
    if entity.group:
        return "group_box"
    if entity.rival and entity.rival_score > detection.score - limits.contested_margin:
        return "contested_label"
    return ""


def fits_a_target(entity: Entity, source: SourceImage, settings: GroundingSettings) -> bool:
    """Whether a box has the size and place of a target, so that its mask is worth more work.

    The bounds on area hold for masks, which are smaller than their boxes. Parts may touch more borders than wholes.
    """
    box, limits = entity.detection.box, settings.target
    frame = source.width * source.height
    return (
        box.area >= limits.min_area_share * frame
        and min(box.width, box.height) >= limits.min_side_px
        and _borders(box, source.width, source.height, limits.border_px)
        <= max(limits.max_borders, settings.parts.max_borders if _may_be_part(entity, settings) else 0)
    )


def describe_objects(
    entities: Sequence[Entity],
    segmentations: Sequence[Segmentation],
    image: Image,
    settings: GroundingSettings,
) -> tuple[SceneObject, ...]:
    """All entities with their masks, measured, each linked to what it is a part of."""
    detections = [entity.detection for entity in entities]
    wholes = choose_wholes(detections, [found.mask for found in segmentations], settings.parts)
    objects = [
        describe_object(index, entity, found, image, settings, whole)
        for index, (entity, found, whole) in enumerate(zip(entities, segmentations, wholes, strict=True))
    ]
    possible = possible_wholes(detections, settings.parts)
    lacking = {
        whole.index
        for whole, thing, found in zip(wholes, objects, possible, strict=True)
        if whole is not None and len(found) == 1 and _is_outside(thing, whole, settings.target)
    }
    return tuple(
        replace(thing, not_a_target="lacks_a_part")
        if thing.index in lacking and not thing.not_a_target
        else thing
        for thing in objects
    )


def _is_outside(part: SceneObject, whole: Whole, limits: TargetSettings) -> bool:
    """Whether a sure part lies outside the mask of its whole, which then is not all of the whole."""
    sure = part.score >= limits.min_score and part.mask_score >= limits.min_mask_score
    return sure and not whole.holds


def describe_object(
    index: int,
    entity: Entity,
    segmentation: Segmentation,
    image: Image,
    settings: GroundingSettings,
    whole: Whole | None = None,
) -> SceneObject:
    """One entity with its mask, measured; ``image`` and the mask are in working-source pixels.

    A part (``whole``) has the box of its mask, since a detector may only guess where it ends.
    """
    mask = segmentation.mask
    area = int(np.count_nonzero(mask))
    color = dominant_color(image, mask) if area else NO_COLOR
    box = box_of(mask) if whole is not None and area else entity.detection.box
    borders = settings.target.max_borders if whole is None else settings.parts.max_borders
    checks = (*segmentation.checks, *measure_mask(box, mask, settings.target, borders))
    return SceneObject(
        index=index,
        label=entity.detection.label,
        box=box,
        mask=to_rle(mask),
        score=round(entity.detection.score, 4),
        mask_score=round(segmentation.score, 4),
        mask_method=segmentation.method,
        area=area,
        color=color.name if color.clear_share >= settings.min_color_share else "mixed",
        color_share=round(color.share, 3),
        lab=(round(color.lab[0], 1), round(color.lab[1], 1), round(color.lab[2], 1)),
        checks=checks,
        not_a_target=_why_not(entity, segmentation, checks, settings.target, whole),
        part_of=None if whole is None else whole.index,
    )


def measure_mask(box: Box, mask: Mask, limits: TargetSettings, max_borders: int) -> tuple[Measurement, ...]:
    """Size, position, fill of ``box`` and connectedness of a mask, each with its bounds."""
    height, width = mask.shape
    area = int(np.count_nonzero(mask))
    share, fill = area / (height * width), area / max(1, box.area)
    # Box or mask alone may end short of a border at which the object is cut off.
    borders = _borders(union_box([box, box_of(mask)]) if area else box, width, height, limits.border_px)
    return (
        measure("area_share", share, low=limits.min_area_share, high=limits.max_area_share),
        measure("short_side_px", min(box.width, box.height), low=limits.min_side_px),
        measure("borders_touched", borders, high=max_borders),
        measure("fill", fill, low=limits.min_fill, high=limits.max_fill),
        measure("largest_component", largest_piece(mask)[1], low=limits.min_largest_component),
    )


def _borders(box: Box, width: int, height: int, reach: int) -> int:
    """Number of the picture's borders that a box comes near to, in pixels."""
    near = (box.x0 <= reach, box.y0 <= reach, box.x1 >= width - reach, box.y1 >= height - reach)
    return sum(near)


def _may_be_part(entity: Entity, settings: GroundingSettings) -> bool:
    return any(entity.detection.label in table.parts for table in settings.parts.tables.values())


def union_mask(masks: Sequence[Rle]) -> Mask:
    """The union of several run-length masks as (H, W) bool."""
    union = from_rle(masks[0])
    for rle in masks[1:]:
        union |= from_rle(rle)
    return union


def _why_not(
    entity: Entity,
    segmentation: Segmentation,
    checks: Sequence[Measurement],
    limits: TargetSettings,
    whole: Whole | None,
) -> str:
    known = why_never(entity, limits)
    if known:
        return known
    if whole is not None and whole.contested:
        return "contested_part"
    if segmentation.score < limits.min_mask_score:
        return "low_mask_score"
    own = {"area_share", "short_side_px", "borders_touched", "fill", "largest_component"}
    failed = [c.name for c in checks if not c.passed and (limits.mask_checks or c.name in own)]
    return failed[0] if failed else ""
