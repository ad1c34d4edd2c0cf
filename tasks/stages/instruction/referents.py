"""Which objects of a scene a referrer's answer means: the half of the round trip that geometry decides."""

from __future__ import annotations

from tasks.imaging.geometry import iou
from tasks.records.records import Box, Scene
from tasks.roles.questions import Referents


def objects_meant(found: Referents, scene: Scene, min_iou: float) -> tuple[int, ...]:
    """Indices of the objects that ``found`` means, ascending, each once.

    A box means the object, or distractor, that it overlaps most, if their intersection over union is at least
    ``min_iou``. A box that means none of them is something that no detector found: it has the number after the last,
    so that words which lead there are never taken for the target's.
    """
    boxes = [*(thing.box for thing in scene.objects), *(weak.box for weak in scene.distractors)]
    return tuple(sorted({*found.objects, *(_nearest(box, boxes, min_iou) for box in found.boxes)}))


def _nearest(box: Box, boxes: list[Box], min_iou: float) -> int:
    overlaps = [iou(box, other) for other in boxes]
    best = max(range(len(boxes)), key=overlaps.__getitem__, default=len(boxes))
    return best if best < len(boxes) and overlaps[best] >= min_iou else len(boxes)
