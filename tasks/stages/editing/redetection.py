"""Detects again after a removal, with the same detector on the same windows as before."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TypeAlias

from tasks.imaging.arrays import Mask
from tasks.imaging.geometry import containment, enlarge, iou
from tasks.records.errors import Reason
from tasks.records.records import Box, EditPlan
from tasks.roles.asks import AskDetector
from tasks.roles.picture import Picture
from tasks.roles.questions import Detection, DetectQuestion
from tasks.stages.editing.crop import union_box
from tasks.stages.editing.gates import Gate, gate
from tasks.stages.editing.settings import GateSettings

WINDOW_FACTORS = (2.0, 3.5)
"""Windows around the target, as factors of its box; the whole picture is searched as well."""


Look: TypeAlias = Sequence[tuple[Detection, ...]]
"""Detections of each window, in the picture's pixels."""


async def look(detector: AskDetector, plan: EditPlan, picture: Picture) -> Look:
    """The detections around the plan's target and in the whole picture."""
    height, width = plan.target.scene.source.height, plan.target.scene.source.width
    target = union_box([o.box for o in plan.target.objects])
    windows = [enlarge(target, factor, 64, width, height) for factor in WINDOW_FACTORS]
    windows.append(Box(x0=0, y0=0, x1=width, y1=height))
    names = (plan.target.label,)
    answers = await asyncio.gather(
        *(
            detector(DetectQuestion(subject=plan.plan_id, picture=picture.crop(window), names=names))
            for window in windows
        )
    )
    return [tuple(_moved(d, w) for d in answer) for answer, w in zip(answers, windows, strict=True)]


def compare_looks(
    plan: EditPlan, *, before: Look, after: Look, hole: Mask, settings: GateSettings
) -> tuple[Gate, Gate, Gate]:
    """Found before, gone after, nothing new: over all windows in which the target was found before.

    A window in which it was not found proves nothing and is ignored; if there is none, the first gate fails.

    Args:
        plan: the removal.
        before: `look` of the source.
        after: `look` of the edited picture.
        hole: the filled pixels, (H, W) bool.
        settings: the bounds.
    """
    target = union_box([o.box for o in plan.target.objects])
    label = plan.target.label
    found = [
        (b, a)
        for b, a in zip(before, after, strict=True)
        if found_before_gate(b, target, label, settings).passed
    ]
    # If no window found the target, all of them go to the first gate, which fails.
    pairs = found or list(zip(before, after, strict=True))
    others = [
        o.box for o in plan.target.scene.objects if o.index not in plan.target.indices and o.label == label
    ]
    seen = [d for b, _ in pairs for d in b]
    now = [d for _, a in pairs for d in a]
    return (
        found_before_gate(seen, target, label, settings),
        gone_gate(now, others, target=target, label=label, hole=hole, settings=settings),
        new_object_gate(seen, now, label, hole, settings),
    )


def found_before_gate(before: Sequence[Detection], target: Box, label: str, settings: GateSettings) -> Gate:
    """Best score of the target's class at its position, on the window before the removal."""
    value = max(
        (d.score for d in before if d.label == label and _same_place(d.box, target, settings)), default=0.0
    )
    return gate("found_before_score", value, Reason.REMOVAL_UNVERIFIABLE, low=settings.before_score)


def gone_gate(
    after: Sequence[Detection],
    others: Sequence[Box],
    *,
    target: Box,
    label: str,
    hole: Mask,
    settings: GateSettings,
) -> Gate:
    """Best score of the target's class at its position afterwards; neighbors of that class do not count.

    ``others`` are the boxes of the scene's other objects of the class; ``hole`` the filled pixels; all in pixels of
    the picture.
    """
    found = [
        d.score
        for d in after
        if d.label == label
        and (_same_place(d.box, target, settings) or _share_in(d.box, hole) > settings.in_hole)
        and not any(iou(d.box, other) > 0.5 for other in others)
    ]
    return gate("found_after_score", max(found, default=0.0), Reason.STILL_THERE, high=settings.after_score)


def new_object_gate(
    before: Sequence[Detection], after: Sequence[Detection], label: str, hole: Mask, settings: GateSettings
) -> Gate:
    """Best score of any other detection in the hole afterwards that was not there before."""
    found = [
        d.score
        for d in after
        if d.label != label
        and _share_in(d.box, hole) > settings.in_hole
        and not any(b.label == d.label and iou(b.box, d.box) > 0.5 for b in before)
    ]
    bound = settings.before_score
    return gate("new_object_score", max(found, default=0.0), Reason.NEW_OBJECT_APPEARED, high=bound)


def _moved(found: Detection, window: Box) -> Detection:
    box = found.box
    return Detection(
        label=found.label,
        score=found.score,
        box=Box(x0=box.x0 + window.x0, y0=box.y0 + window.y0, x1=box.x1 + window.x0, y1=box.y1 + window.y0),
    )


def _same_place(found: Box, target: Box, settings: GateSettings) -> bool:
    # A box of a part that is still visible has a low IoU but lies inside the target's.
    return iou(found, target) > settings.same_place or containment(found, target) > 0.8


def _share_in(box: Box, hole: Mask) -> float:
    inside = hole[max(0, box.y0) : box.y1, max(0, box.x0) : box.x1]
    return float(inside.sum()) / box.area if box.area else 0.0
