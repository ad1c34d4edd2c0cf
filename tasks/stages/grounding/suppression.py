"""From raw detections to the scene's entities and its distractors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tasks.imaging.geometry import clip, containment, iou
from tasks.records.records import Distractor
from tasks.roles.questions import Detection
from tasks.stages.grounding.parts import are_part_and_whole
from tasks.stages.grounding.settings import PartTable


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """A detection that is kept, with facts from suppression.

    Attributes:
        rival: label of the best suppressed box of *another* class that it may be mistaken for, ``""`` if none.
        rival_score: that box's score.
        group: whether it contains two or more smaller boxes with its own label.
    """

    detection: Detection
    rival: str
    rival_score: float
    group: bool


def split_detections(
    detections: Sequence[Detection],
    *,
    width: int,
    height: int,
    object_score: float,
    nms_iou: float,
    max_box_share: float,
    max_objects: int,
    label_scores: Mapping[str, float] | None = None,
    not_mistaken: Mapping[str, Sequence[str]] | None = None,
    parts: Mapping[str, PartTable] | None = None,
) -> tuple[list[Entity], list[Distractor]]:
    """Class-agnostic non-maximum suppression, best score first; a part and its whole never suppress each other.

    Detections under ``object_score`` (``label_scores`` for single classes) that overlap no entity become distractors:
    too weak for the scene, but strong enough to make a reference ambiguous.

    Returns:
        Entities sorted by the left edge of their boxes, and distractors, both in picture pixels.
    """
    boxes = [
        Detection(label=d.label, score=d.score, box=clip(d.box, width, height))
        for d in sorted(detections, key=_best_first)
    ]
    boxes = [d for d in boxes if 0 < d.box.area <= max_box_share * width * height]
    least, tables = label_scores or {}, parts or {}
    coexisting = not_mistaken or {}
    kept: list[Detection] = []
    rivals: dict[int, Detection] = {}
    weak: list[Detection] = []
    for detection in boxes:
        hit = next((i for i, k in enumerate(kept) if _same_place(k, detection, nms_iou, tables)), None)
        if hit is not None:
            # Boxes come best first, so the first one of another class is the strongest rival.
            own = kept[hit].label
            if detection.label not in (own, *coexisting.get(own, ())) and hit not in rivals:
                rivals[hit] = detection
        elif detection.score >= least.get(detection.label, object_score) and len(kept) < max_objects:
            kept.append(detection)
        else:
            weak.append(detection)
    entities = [
        Entity(
            detection=d,
            rival=rivals[i].label if i in rivals else "",
            rival_score=rivals[i].score if i in rivals else 0.0,
            group=_is_group(d, [*kept, *weak]),
        )
        for i, d in enumerate(kept)
    ]
    # Indices depend on positions, so a small change of scores does not renumber the scene.
    entities.sort(key=lambda e: (e.detection.box.x0, e.detection.box.y0, e.detection.label))
    distractors = [Distractor(label=d.label, box=d.box, score=d.score) for d in _suppress(weak, nms_iou)]
    return entities, distractors


def _same_place(a: Detection, b: Detection, nms_iou: float, tables: Mapping[str, PartTable]) -> bool:
    return iou(a.box, b.box) > nms_iou and not are_part_and_whole(a.label, b.label, tables)


def _best_first(detection: Detection) -> tuple[float, str, int, int]:
    return -detection.score, detection.label, detection.box.x0, detection.box.y0


def _is_group(candidate: Detection, others: Sequence[Detection]) -> bool:
    inside = [
        d
        for d in others
        if d is not candidate
        and d.label == candidate.label
        and d.score >= 0.5 * candidate.score
        and containment(d.box, candidate.box) > 0.8
        and d.box.area < 0.6 * candidate.box.area
    ]
    return len(inside) >= 2


def _suppress(detections: Sequence[Detection], nms_iou: float) -> list[Detection]:
    kept: list[Detection] = []
    for d in detections:
        if all(k.label != d.label or iou(k.box, d.box) <= nms_iou for k in kept):
            kept.append(d)
    return kept
