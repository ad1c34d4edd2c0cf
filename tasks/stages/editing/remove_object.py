"""Removes a target: hole, window, inpainter, compositing, detecting again; at most two tries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from tasks.imaging.arrays import Image, Mask
from tasks.imaging.geometry import box_of, cropped, from_rle
from tasks.records.errors import SampleError
from tasks.records.records import Box, EditPlan
from tasks.roles.asks import AskDetector, AskInpainter, AskSegmenter
from tasks.roles.picture import Picture
from tasks.roles.questions import InpaintQuestion
from tasks.stages.editing import fill_gates, gates
from tasks.stages.editing.compositing import composite
from tasks.stages.editing.edit_result import EditResult
from tasks.stages.editing.gates import Gate
from tasks.stages.editing.object_context import ObjectContext, classify_context
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
from tasks.stages.sample_stage import Workbench


class RemovalAsks(Protocol):
    """The roles that take part: one fills, two check the result."""

    @property
    def inpainter(self) -> AskInpainter:
        """Fills the hole."""
        ...

    @property
    def detector(self) -> AskDetector:
        """Searches for the object."""
        ...

    @property
    def segmenter(self) -> AskSegmenter:
        """Searches for its shape."""
        ...


async def remove_object(
    plan: EditPlan,
    source: Picture,
    bench: Workbench,
    *,
    ask: RemovalAsks,
    carriers: Sequence[str],
    settings: EditingSettings,
    seed: int,
) -> EditResult:
    """Fills the target's area from its environment: the first try that passes every gate, else the best one.

    The tries differ in the hole (`RemovalSettings.tries`): a bad fill is mostly caused by a rim left outside the hole.

    ``carriers`` are labels that the inpainter does not accept (`tasks.roles.offers.Offer.carriers`).

    Raises:
        SampleError: its position rules out a clean removal (too large, entangled with others), which is known before
            the inpainter is asked; or the inpainter failed on it.
    """
    # Checked first: an excluded class needs no pixels.
    carried = gates.carrier_gate(plan.target.label, carriers)
    gates.require(carried)
    scene = await bench.cpu(_open_scene, plan, source)
    best: EditResult | None = None
    before: Look | None = None
    for number, hole_settings in enumerate(settings.removal.tries()):
        try:
            hole, early = await bench.cpu(_hole, scene, hole_settings, settings)
        except SampleError:
            if best is None:
                raise
            break
        if before is None:
            before = await look(ask.detector, plan, source)
        done = await _fill(scene, hole, before, bench, ask, settings, seed + number)
        done = replace(done, gates=(carried, *early, *done.gates))
        if best is None or _failures(done) < _failures(best):
            best = done
        if not _failures(done):
            break
    assert best is not None, "there is at least one try"
    return best


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Scene:
    """What all tries share; masks are (H, W) of the photograph."""

    plan: EditPlan
    source: Picture
    mask: Mask
    others: Mask

    @property
    def boxes(self) -> list[Box]:
        return [o.box for o in self.plan.target.objects]


def _open_scene(plan: EditPlan, source: Picture) -> _Scene:
    mask = from_rle(plan.target.mask)
    return _Scene(plan=plan, source=source, mask=mask, others=_other_objects(plan, mask))


def _hole(
    scene: _Scene, hole_settings: RemovalSettings, settings: EditingSettings
) -> tuple[Mask, tuple[Gate, ...]]:
    """The pixels to fill, including the shadow connected to them, and the gates measured before filling."""
    radius = _radius(scene, hole_settings)
    hole = removal_hole(scene.mask, scene.boxes, scene.others, hole_settings)
    reach = round(hole_settings.shadow_reach * radius)
    around = classify_context(scene.source.rgb, scene.mask, hole, scene.others, reach)
    hole = follow_shadow(hole, around.shadow, radius) & ~scene.others
    return hole, _early_gates(scene, hole, around, settings)


def _radius(scene: _Scene, settings: RemovalSettings) -> int:
    return dilation_px(max(scene.boxes, key=lambda box: box.area), settings)


def _early_gates(
    scene: _Scene, hole: Mask, around: ObjectContext, settings: EditingSettings
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


async def _fill(
    scene: _Scene,
    hole: Mask,
    before: Look,
    bench: Workbench,
    ask: RemovalAsks,
    settings: EditingSettings,
    seed: int,
) -> EditResult:
    """Fills and measures one hole, without the gates measured before."""
    height, width = scene.mask.shape
    crop = removal_window(box_of(hole), width, height, settings.removal)
    question = InpaintQuestion(
        subject=scene.plan.plan_id,
        seed=seed,
        picture=scene.source.crop(crop),
        hole=cropped(hole, crop),
        avoid=cropped(scene.others | scene.mask, crop),
    )
    patch = await ask.inpainter(question)
    done = await bench.cpu(_put_back, scene, hole, crop, patch, settings)
    after = await look(ask.detector, scene.plan, Picture.of_pixels(done.edited))
    compared = compare_looks(scene.plan, before=before, after=after, hole=hole, settings=settings.gates)
    done = replace(done, gates=(*done.gates, *compared))
    if _failures(done):
        return done
    # The most expensive check comes last, and only if no other gate has failed.
    targets, mask = scene.plan.target.objects, cropped(scene.mask, crop)
    trace = await trace_gate(
        ask.segmenter,
        cropped(done.edited, crop),
        crop,
        targets,
        mask,
        settings.gates.max_trace,
        scene.plan.plan_id,
    )
    return replace(done, gates=(*done.gates, trace))


def _put_back(scene: _Scene, hole: Mask, crop: Box, patch: Image, settings: EditingSettings) -> EditResult:
    """Composites and measures the fill; the objects are searched for afterwards."""
    source, bounds = scene.source.rgb, settings.gates
    here, inside = cropped(source, crop), cropped(hole, crop)
    alpha = removal_alpha(inside, _radius(scene, settings.removal))
    edited, allowed = composite(source, patch, crop, alpha)
    after = cropped(edited, crop)
    return EditResult(
        plan=scene.plan,
        source=source,
        edited=edited,
        patch=patch,
        crop=crop,
        mask=scene.mask,
        allowed=allowed,
        method="inpaint",
        gates=(
            gates.change_gate(here, after, cropped(scene.mask, crop), bounds.min_change),
            gates.leak_gate(here, patch, inside, bounds),
            *_fill_gates(here, after, inside, settings),
        ),
    )


def _failures(done: EditResult) -> int:
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
    """Pixels of the scene's objects that are not part of the target."""
    target = plan.target
    others = np.zeros(mask.shape, bool)
    for scene_object in target.scene.objects:
        if scene_object.index not in target.indices:
            others |= from_rle(scene_object.mask)
    return others & ~mask


def _overlap(boxes: Sequence[Box], others: Mask) -> float:
    """Share of the target's boxes covered by other objects."""
    area = sum(box.area for box in boxes)
    taken = sum(int(others[b.y0 : b.y1, b.x0 : b.x1].sum()) for b in boxes)
    return min(1.0, taken / area) if area else 0.0
