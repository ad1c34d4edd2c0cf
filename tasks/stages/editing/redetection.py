"""Detects again after a removal, with the same detector on the same windows as before."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TypeAlias

from tasks.imaging.arrays import Mask
from tasks.imaging.geometry import containment, enlarge, iou, union_box
from tasks.records.errors import Reason
from tasks.records.records import Box, EditPlan, SceneObject
from tasks.roles.asks import AskDetector
from tasks.roles.picture import Picture
from tasks.roles.questions import Detection, DetectQuestion
from tasks.stages.editing.gates import Gate, gate
from tasks.stages.editing.settings import GateSettings

WINDOW_FACTORS = (2.0, 3.5)
"""Windows around the target, as factors of its box; the whole picture is searched if none of them shows it."""

MIN_WINDOW_PX = 128
"""Shorter side of a window at least; a detector needs some of the environment."""


Look: TypeAlias = Sequence[tuple[Detection, ...]]
"""Detections of each window, in the picture's pixels."""


async def look_before(
    detector: AskDetector,
    plan: EditPlan,
    gone: Sequence[SceneObject],
    picture: Picture,
    settings: GateSettings,
) -> Look:
    """The detections around what is taken out; in the whole picture as well if the target is not found there."""
    near = await look(detector, plan, gone, picture, slice(len(WINDOW_FACTORS)))
    if found_before(plan, near, settings).passed:
        return near
    return *near, *await look(detector, plan, gone, picture, slice(len(WINDOW_FACTORS), None))


async def look(
    detector: AskDetector, plan: EditPlan, gone: Sequence[SceneObject], picture: Picture, chosen: slice
) -> Look:
    """The detections in the ``chosen`` windows, the closest first and the whole picture last."""
    height, width = plan.target.scene.source.height, plan.target.scene.source.width
    target = union_box([o.box for o in plan.target.objects])
    windows = [enlarge(target, factor, MIN_WINDOW_PX, width, height) for factor in WINDOW_FACTORS]
    windows = [*windows, Box(x0=0, y0=0, x1=width, y1=height)][chosen]
    names = tuple(dict.fromkeys(thing.label for thing in gone))
    answers = await asyncio.gather(
        *(
            detector(DetectQuestion(subject=plan.plan_id, picture=picture.crop(window), names=names))
            for window in windows
        )
    )
    return [tuple(_moved(d, w) for d in answer) for answer, w in zip(answers, windows, strict=True)]


def found_before(plan: EditPlan, before: Look, settings: GateSettings) -> Gate:
    """Whether the target was found before in any window; otherwise nothing can tell that it is gone."""
    seen = [d for window in before for d in window]
    return found_before_gate(
        seen, union_box([o.box for o in plan.target.objects]), plan.target.label, settings
    )


def compare_looks(
    plan: EditPlan,
    gone: Sequence[SceneObject],
    *,
    before: Look,
    after: Look,
    hole: Mask,
    settings: GateSettings,
) -> tuple[Gate, Gate]:
    """Gone after, nothing new: over all windows in which the target was found before.

    A window in which it was not found proves nothing and is ignored.

    Args:
        plan: the removal.
        gone: what is taken out, the target's objects first.
        before: `look` of the source.
        after: `look` of the edited picture.
        hole: the filled pixels, (H, W) bool.
        settings: the bounds.
    """
    target = union_box([o.box for o in plan.target.objects])
    label = plan.target.label
    pairs = [
        (b, a)
        for b, a in zip(before, after, strict=True)
        if found_before_gate(b, target, label, settings).passed
    ] or list(zip(before, after, strict=True))
    out = {o.index for o in gone}
    stay = [o for o in plan.target.scene.objects if o.index not in out]
    seen = [d for b, _ in pairs for d in b]
    now = [d for _, a in pairs for d in a]
    left = [
        gone_gate(
            now,
            [o.box for o in stay if o.label == thing.label],
            target=target if thing.index in plan.target.indices else thing.box,
            label=thing.label,
            hole=hole,
            settings=settings,
            before=seen,
        )
        for thing in gone
    ]
    worst = max(left, key=lambda g: g.measurement.value)
    return worst, new_object_gate(seen, now, label, hole, settings)


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
    before: Sequence[Detection] = (),
) -> Gate:
    """Best score of the target's class at its position afterwards; neighbors of that class do not count.

    What begins at the hole and was not found ``before`` is a part of it that stayed. ``others`` are the boxes of the
    scene's other objects of the class; ``hole`` the filled pixels; all in pixels of the picture.
    """
    known = [*others, *(b.box for b in before if b.label == label)]
    found = [
        d.score
        for d in after
        if d.label == label
        and (
            _same_place(d.box, target, settings)
            or _share_in(d.box, hole) > settings.in_hole
            or (_share_in(d.box, hole) > 0 and not any(iou(d.box, box) > 0.5 for box in known))
        )
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
