"""Removing a target: hole, window, inpainter, putting the filling back, looking again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tasks.editing import fill_gates, gates
from tasks.editing.compositing import composite
from tasks.editing.finished import Finished, cut
from tasks.editing.gates import Gate
from tasks.editing.redetection import redetect
from tasks.editing.removal import dilation_px, removal_alpha, removal_hole, removal_window
from tasks.editing.settings import EditingSettings
from tasks.geometry import box_of, from_rle
from tasks.records import Box, EditPlan
from tasks.roles.protocols import Detector, Image, Inpainter, InpaintRequest, Mask


def remove_object(
    plan: EditPlan,
    source: Image,
    *,
    inpainter: Inpainter,
    detector: Detector,
    settings: EditingSettings,
    seed: int,
) -> Finished:
    """The target filled over from its surroundings.

    Raises:
        SampleError: it can't be removed cleanly by where it stands (too large, entangled with others), which is
            known before the inpainter is asked; or the inpainter can't do this one.
    """
    height, width = source.shape[:2]
    mask = from_rle(plan.target.mask)
    boxes = [o.box for o in plan.target.objects]
    others = _other_objects(plan, mask)
    hole = removal_hole(mask, boxes, others, settings.removal)
    early = (
        gates.carrier_gate(plan.target.label, settings.removal.carriers),
        gates.region_gate(hole, settings.gates),
        gates.overlap_gate(_overlap(boxes, others), settings.removal.max_overlap),
    )
    for gate in early:
        gates.require(gate)
    crop = removal_window(box_of(hole), width, height, settings.removal)
    here, inside = cut(source, crop), cut(hole, crop)
    avoid = cut(others | mask, crop)
    request = InpaintRequest(image=here, hole=inside, seed=seed, avoid=avoid)
    (patch,) = inpainter.inpaint([request])
    radius = dilation_px(max(boxes, key=lambda b: b.area), settings.removal)
    edited, allowed = composite(source, patch, crop, removal_alpha(inside, radius))
    seen = redetect(detector, plan, source=source, edited=edited, hole=hole, settings=settings.gates)
    bounds, after = settings.gates, cut(edited, crop)
    change = gates.change_gate(here, after, cut(mask, crop), bounds.min_change)
    leak = gates.leak_gate(here, patch, inside, bounds)
    return Finished(
        plan=plan,
        source=source,
        edited=edited,
        patch=patch,
        crop=crop,
        mask=mask,
        allowed=allowed,
        method="inpaint",
        gates=(*early, change, leak, *seen, *_fill_gates(here, after, inside, settings)),
    )


def _fill_gates(before: Image, after: Image, hole: Mask, settings: EditingSettings) -> tuple[Gate, ...]:
    bounds = settings.gates
    return (
        gates.seam_gate(before, after, hole, bounds),
        fill_gates.ragged_gate(after, hole, bounds),
        fill_gates.strange_border_gate(after, hole, bounds),
        fill_gates.novel_gate(after, hole, bounds),
        fill_gates.flat_gate(after, hole, bounds),
    )


def _other_objects(plan: EditPlan, mask: Mask) -> Mask:
    """Pixels of the scene's objects that are no part of the target."""
    target = plan.target
    others = np.zeros(mask.shape, bool)
    for scene_object in target.scene.objects:
        if scene_object.index not in target.indices:
            others |= from_rle(scene_object.mask)
    return others & ~mask


def _overlap(boxes: Sequence[Box], others: Mask) -> float:
    """Share of the target's boxes that other objects take."""
    area = sum(box.area for box in boxes)
    taken = sum(int(others[b.y0 : b.y1, b.x0 : b.x1].sum()) for b in boxes)
    return min(1.0, taken / area) if area else 0.0
