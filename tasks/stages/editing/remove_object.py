"""Removing a target: hole, window, inpainter, putting the filling back, looking again; at most twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tasks.imaging.arrays import Image, Mask
from tasks.imaging.geometry import box_of, from_rle
from tasks.records.errors import SampleError
from tasks.records.records import Box, EditPlan
from tasks.roles.questions import Detector, Inpainter, InpaintRequest, Segmenter
from tasks.stages.editing import fill_gates, gates
from tasks.stages.editing.compositing import composite
from tasks.stages.editing.finished import Finished, cut
from tasks.stages.editing.gates import Gate
from tasks.stages.editing.redetection import Look, compare_looks, look
from tasks.stages.editing.removal import (
    dilation_px,
    follow_shadow,
    removal_alpha,
    removal_hole,
    removal_window,
)
from tasks.stages.editing.removal_trace import trace_gate
from tasks.stages.editing.settings import EditingSettings, RemovalSettings
from tasks.stages.editing.surroundings import Surroundings, look_around


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovalRoles:
    """Who takes part: one fills, two look again."""

    inpainter: Inpainter
    detector: Detector
    segmenter: Segmenter


def remove_object(
    plan: EditPlan,
    source: Image,
    *,
    roles: RemovalRoles,
    carriers: Sequence[str],
    settings: EditingSettings,
    seed: int,
) -> Finished:
    """The target filled over from its surroundings: the first try that passes every gate, else the best one.

    The tries differ in the hole (`RemovalSettings.tries`): what spoils a filling is mostly a rim left outside.

    ``carriers`` are labels that the inpainter leaves alone (`tasks.roles.offers.Offer.carriers`).

    Raises:
        SampleError: it can't be removed cleanly by where it stands (too large, entangled with others), which is
            known before the inpainter is asked; or the inpainter can't do this one.
    """
    mask = from_rle(plan.target.mask)
    scene = _Scene(plan=plan, source=source, mask=mask, others=_other_objects(plan, mask))
    # A class that stays needs no look at the picture.
    carried = gates.carrier_gate(plan.target.label, carriers)
    gates.require(carried)
    best: Finished | None = None
    before: Look | None = None
    for number, hole_settings in enumerate(settings.removal.tries()):
        radius = _radius(scene, hole_settings)
        hole = removal_hole(mask, scene.boxes, scene.others, hole_settings)
        reach = round(hole_settings.shadow_reach * radius)
        around = look_around(source, mask, hole, scene.others, reach)
        hole = follow_shadow(hole, around.shadow, radius) & ~scene.others
        try:
            early = (carried, *_early_gates(scene, hole, around, settings))
        except SampleError:
            if best is None:
                raise
            break
        if before is None:
            before = look(roles.detector, plan, source)
        done = _fill(scene, hole, before, roles, settings, seed + number)
        done = replace(done, gates=(*early, *done.gates))
        if best is None or _failures(done) < _failures(best):
            best = done
        if not _failures(done):
            break
    assert best is not None, "there is at least one try"
    return best


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Scene:
    """What every try has in common; masks are (H, W) of the photograph."""

    plan: EditPlan
    source: Image
    mask: Mask
    others: Mask

    @property
    def boxes(self) -> list[Box]:
        return [o.box for o in self.plan.target.objects]


def _radius(scene: _Scene, settings: RemovalSettings) -> int:
    return dilation_px(max(scene.boxes, key=lambda box: box.area), settings)


def _early_gates(
    scene: _Scene, hole: Mask, around: Surroundings, settings: EditingSettings
) -> tuple[Gate, ...]:
    beside = hole & ~scene.mask
    found = (
        gates.region_gate(hole, settings.gates),
        gates.overlap_gate(_overlap(scene.boxes, scene.others), settings.removal.max_overlap),
        gates.things_gate(beside, around.thing, settings.removal.max_things),
    )
    for gate in found:
        gates.require(gate)
    return found


def _fill(
    scene: _Scene, hole: Mask, before: Look, roles: RemovalRoles, settings: EditingSettings, seed: int
) -> Finished:
    """One hole filled and measured, without the gates that are known before."""
    plan, source, mask, bounds = scene.plan, scene.source, scene.mask, settings.gates
    height, width = mask.shape
    crop = removal_window(box_of(hole), width, height, settings.removal)
    here, inside = cut(source, crop), cut(hole, crop)
    request = InpaintRequest(image=here, hole=inside, seed=seed, avoid=cut(scene.others | mask, crop))
    (patch,) = roles.inpainter.inpaint([request])
    alpha = removal_alpha(inside, _radius(scene, settings.removal))
    edited, allowed = composite(source, patch, crop, alpha)
    after = cut(edited, crop)
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
        measured.append(trace_gate(roles.segmenter, after, crop, plan.target.objects, old, bounds.max_trace))
    return Finished(
        plan=plan,
        source=source,
        edited=edited,
        patch=patch,
        crop=crop,
        mask=mask,
        allowed=allowed,
        method="inpaint",
        gates=tuple(measured),
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
