"""Removes a target: hole, window, inpainter, compositing, detecting again; at most two tries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from tasks.imaging.arrays import Image, Mask
from tasks.imaging.geometry import box_of, cropped, from_rle
from tasks.imaging.masks import dilate
from tasks.records.errors import SampleError
from tasks.records.records import Box, EditPlan
from tasks.roles.asks import AskDetector, AskInpainter, AskSegmenter
from tasks.roles.offers import Offer
from tasks.roles.picture import Picture
from tasks.roles.questions import InpaintQuestion
from tasks.stages.editing import fill_gates, gates
from tasks.stages.editing.compositing import change_map, composite, correct_tint, effect_of
from tasks.stages.editing.edit_result import INPAINT, INPAINT_EFFECTS, EditResult
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
from tasks.stages.editing.settings import EditingSettings, RemovalGate, RemovalSettings
from tasks.stages.sample_stage import Workbench

LOOKS: tuple[RemovalGate, ...] = ("found_before", "gone", "new_object")
"""Gates for which the detector looks before and after, as `compare_looks` gives them."""


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
    offer: Offer,
    settings: EditingSettings,
    seed: int,
) -> EditResult:
    """Fills the target's area from its environment: the first try that passes every gate, else the best one.

    The tries differ in the hole (`RemovalSettings.tries`): a bad fill is mostly caused by a rim left outside the hole.

    ``offer`` is the inpainter's, which says what it does not accept, and whether it takes shadow and reflection along.

    Raises:
        SampleError: its position rules out a clean removal (too large, entangled with others), which is known before
            the inpainter is asked; or the inpainter failed on it.
    """
    # Checked first: an excluded class needs no pixels.
    carried = gates.carrier_gate(plan.target.label, offer.carriers)
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
        if before is None and _any_of(LOOKS, settings):
            before = await look(ask.detector, plan, source)
        done = await _fill(scene, hole, before, bench, ask, offer, settings, seed + number)
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
    around: ObjectContext | None = None
    if reach or _any_of(("things",), settings):
        around = classify_context(scene.source.rgb, scene.mask, hole, scene.others, reach)
        hole = follow_shadow(hole, around.shadow, radius) & ~scene.others
    return hole, _early_gates(scene, hole, around, settings)


def _radius(scene: _Scene, settings: RemovalSettings) -> int:
    return dilation_px(max(scene.boxes, key=lambda box: box.area), scene.mask.shape, settings)


def _any_of(names: Sequence[RemovalGate], settings: EditingSettings) -> bool:
    return any(name in settings.removal.gates for name in names)


def _early_gates(
    scene: _Scene, hole: Mask, around: ObjectContext | None, settings: EditingSettings
) -> tuple[Gate, ...]:
    removal = settings.removal
    found = [gates.region_gate(hole, settings.gates)]
    if "overlap" in removal.gates:
        found.append(gates.overlap_gate(_overlap(scene.boxes, scene.others), removal.max_overlap))
    if "things" in removal.gates and around is not None:
        found.append(gates.things_gate(hole & ~scene.mask, around.thing, removal.max_things))
    for gate in found:
        gates.require(gate)
    return tuple(found)


async def _fill(
    scene: _Scene,
    hole: Mask,
    before: Look | None,
    bench: Workbench,
    ask: RemovalAsks,
    offer: Offer,
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
        label=scene.plan.target.label,
    )
    patch = await ask.inpainter(question)
    done = await bench.cpu(_put_back, scene, hole, crop, patch, offer, settings)
    if before is not None:
        after = await look(ask.detector, scene.plan, Picture.of_pixels(done.edited))
        compared = compare_looks(scene.plan, before=before, after=after, hole=hole, settings=settings.gates)
        chosen = (g for name, g in zip(LOOKS, compared, strict=True) if name in settings.removal.gates)
        done = replace(done, gates=(*done.gates, *chosen))
    if _failures(done) or not _any_of(("trace",), settings):
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


def _put_back(
    scene: _Scene, hole: Mask, crop: Box, patch: Image, offer: Offer, settings: EditingSettings
) -> EditResult:
    """Composites and measures the fill; the objects are searched for afterwards."""
    source, inside, target = scene.source.rgb, cropped(hole, crop), cropped(scene.mask, crop)
    here, region, effect, laid = cropped(source, crop), inside, None, patch
    radius = _radius(scene, settings.removal)
    if offer.effects:
        changed = change_map(here, patch, settings.composite)
        others = cropped(scene.others, crop)
        effect = effect_of(inside, changed & ~others, settings.composite)
        # The fill fades in over half the margin, so the region must end that much beyond the effect.
        region = inside | (dilate(effect, radius // 2 + 1) & ~others)
        laid = correct_tint(here, patch, changed | region, settings.composite)
    edited, allowed = composite(source, laid, crop, removal_alpha(region, radius))
    after = cropped(edited, crop)
    spread = () if effect is None else (gates.effect_gate(effect, inside, settings.gates),)
    measured = _fill_gates(here, after, patch, target, region, settings)
    return EditResult(
        plan=scene.plan,
        source=source,
        edited=edited,
        patch=patch,
        crop=crop,
        mask=scene.mask,
        allowed=allowed,
        method=INPAINT if effect is None else INPAINT_EFFECTS,
        gates=(*measured, *spread),
    )


def _failures(done: EditResult) -> int:
    return sum(not gate.passed for gate in done.gates)


def _fill_gates(
    before: Image, after: Image, patch: Image, target: Mask, region: Mask, settings: EditingSettings
) -> tuple[Gate, ...]:
    """The chosen ones of the gates on the window: ``target`` and filled ``region`` are (H, W) of it."""
    bounds = settings.gates
    makers: dict[RemovalGate, Callable[[], Gate]] = {
        "change": lambda: gates.change_gate(before, after, target, bounds.min_change),
        "leak": lambda: gates.leak_gate(before, patch, region, bounds),
        "seam": lambda: gates.seam_gate(before, after, region, bounds),
        "ragged": lambda: fill_gates.ragged_gate(after, region, bounds),
        "strange": lambda: fill_gates.strange_border_gate(after, region, bounds),
        "novel": lambda: fill_gates.novel_gate(after, region, bounds),
        "flat": lambda: fill_gates.flat_gate(after, region, bounds),
    }
    return tuple(make() for name, make in makers.items() if name in settings.removal.gates)


def _other_objects(plan: EditPlan, mask: Mask) -> Mask:
    """Pixels of the scene's objects that are not part of the target."""
    target = plan.target
    others = np.zeros(mask.shape, bool)
    for scene_object in target.scene.objects:
        if scene_object.index not in target.indices and scene_object.part_of not in target.indices:
            others |= from_rle(scene_object.mask)
    return others & ~mask


def _overlap(boxes: Sequence[Box], others: Mask) -> float:
    """Share of the target's boxes covered by other objects."""
    area = sum(box.area for box in boxes)
    taken = sum(int(others[b.y0 : b.y1, b.x0 : b.x1].sum()) for b in boxes)
    return min(1.0, taken / area) if area else 0.0
