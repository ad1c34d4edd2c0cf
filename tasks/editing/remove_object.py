"""Removing a target: hole, window, inpainter, putting the filling back, looking again; at most twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tasks.editing import fill_gates, gates
from tasks.editing.compositing import composite
from tasks.editing.finished import Finished, cut
from tasks.editing.gates import Gate
from tasks.editing.redetection import Look, compare_looks, look
from tasks.editing.removal import dilation_px, removal_alpha, removal_hole, removal_window
from tasks.editing.settings import EditingSettings
from tasks.editing.trace import trace_gate
from tasks.errors import SampleError
from tasks.geometry import box_of, from_rle
from tasks.records import Box, EditPlan
from tasks.roles.protocols import Detector, Image, Inpainter, InpaintRequest, Mask, Segmenter


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovalRoles:
    """Who takes part: one fills, two look again."""

    inpainter: Inpainter
    detector: Detector
    segmenter: Segmenter


def remove_object(
    plan: EditPlan, source: Image, *, roles: RemovalRoles, settings: EditingSettings, seed: int
) -> Finished:
    """The target filled over from its surroundings: the first try that passes every gate, else the best one.

    The tries differ in the hole (`RemovalSettings.tries`): what spoils a filling is mostly a rim left outside.

    Raises:
        SampleError: it can't be removed cleanly by where it stands (too large, entangled with others), which is
            known before the inpainter is asked; or the inpainter can't do this one.
    """
    mask = from_rle(plan.target.mask)
    others = _other_objects(plan, mask)
    best: Finished | None = None
    before: Look | None = None
    for number, hole_settings in enumerate(settings.removal.tries()):
        hole = removal_hole(mask, [o.box for o in plan.target.objects], others, hole_settings)
        try:
            early = _early_gates(plan, hole, others, settings)
        except SampleError:
            if best is None:
                raise
            break
        if before is None:
            before = look(roles.detector, plan, source)
        done = _fill(plan, source, mask, hole, others, before, early, roles, settings, seed + number)
        if best is None or _failures(done) < _failures(best):
            best = done
        if not _failures(done):
            break
    assert best is not None, "there is at least one try"
    return best


def _early_gates(plan: EditPlan, hole: Mask, others: Mask, settings: EditingSettings) -> tuple[Gate, ...]:
    boxes = [o.box for o in plan.target.objects]
    found = (
        gates.carrier_gate(plan.target.label, settings.removal.carriers),
        gates.region_gate(hole, settings.gates),
        gates.overlap_gate(_overlap(boxes, others), settings.removal.max_overlap),
    )
    for gate in found:
        gates.require(gate)
    return found


def _fill(
    plan: EditPlan,
    source: Image,
    mask: Mask,
    hole: Mask,
    others: Mask,
    before: Look,
    early: tuple[Gate, ...],
    roles: RemovalRoles,
    settings: EditingSettings,
    seed: int,
) -> Finished:
    height, width = source.shape[:2]
    targets = plan.target.objects
    crop = removal_window(box_of(hole), width, height, settings.removal)
    here, inside = cut(source, crop), cut(hole, crop)
    request = InpaintRequest(image=here, hole=inside, seed=seed, avoid=cut(others | mask, crop))
    (patch,) = roles.inpainter.inpaint([request])
    radius = dilation_px(max((o.box for o in targets), key=lambda b: b.area), settings.removal)
    edited, allowed = composite(source, patch, crop, removal_alpha(inside, radius))
    bounds, after = settings.gates, cut(edited, crop)
    measured: list[Gate] = [
        gates.change_gate(here, after, cut(mask, crop), bounds.min_change),
        gates.leak_gate(here, patch, inside, bounds),
        *_fill_gates(here, after, inside, settings),
        *compare_looks(
            plan, before=before, after=look(roles.detector, plan, edited), hole=hole, settings=bounds
        ),
    ]
    if all(gate.passed for gate in measured):
        # The dearest look comes last, and only where nothing else has refused.
        old = cut(mask, crop)
        measured.append(trace_gate(roles.segmenter, after, crop, targets, old, bounds.max_trace))
    return Finished(
        plan=plan,
        source=source,
        edited=edited,
        patch=patch,
        crop=crop,
        mask=mask,
        allowed=allowed,
        method="inpaint",
        gates=(*early, *measured),
    )


def _failures(done: Finished) -> int:
    return sum(not gate.passed for gate in done.gates)


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
