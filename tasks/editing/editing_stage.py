"""The editing stage: plan in, edited picture out, with every measured gate and the judge's scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tasks.editing import gates
from tasks.editing.compositing import alpha_for, change_map, composite, correct_tint
from tasks.editing.crop import crop_box, union_box
from tasks.editing.gates import Gate
from tasks.editing.redetection import redetect
from tasks.editing.removal import dilation_px, removal_alpha, removal_hole, removal_window
from tasks.editing.settings import EditingSettings
from tasks.errors import Reason, SampleError
from tasks.geometry import box_of, from_rle, to_rle
from tasks.outcomes import Blob, Child, Outcome, PixelReader, StageInput
from tasks.pixels import encode_png
from tasks.records import Box, EditedSample, EditPlan, EditType, ModelIdentity
from tasks.roles.protocols import (
    Detector,
    EditJudge,
    Editor,
    EditQuestion,
    EditRequest,
    Image,
    Inpainter,
    InpaintRequest,
    Mask,
)
from tasks.seeds import derive_seed

STEP_VERSIONS = {"crop": 1, "edit": 1, "removal": 1, "compositing": 1, "gates": 1}
"""Raised when a step's code changes what comes out, so that finished units are not mistaken for new ones."""

NOT_JUDGED = 0.0
"""Both scores of an edit that a gate refused before the judge was asked."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Finished:
    """An edit put back: everything in source pixels, except ``patch`` (the raw answer, crop size)."""

    plan: EditPlan
    source: Image
    edited: Image
    patch: Image
    crop: Box
    mask: Mask
    allowed: Mask
    method: str
    gates: tuple[Gate, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EditingStage:
    """Crops, edits or removes, puts back, measures, judges (paper 3.1, step 3)."""

    settings: EditingSettings
    seed: int
    editor: Editor
    inpainter: Inpainter
    judge: EditJudge
    detector: Detector

    @property
    def models(self) -> tuple[ModelIdentity, ...]:
        """Editor, inpainter, edit judge and the detector that looks again."""
        return (self.editor.identity, self.inpainter.identity, self.judge.identity, self.detector.identity)

    def process(self, inputs: Sequence[StageInput], pixels: PixelReader) -> list[Outcome]:
        """One outcome a plan; its one child is the edited sample."""
        return [self._process(item, pixels) for item in inputs]

    def _process(self, item: StageInput, pixels: PixelReader) -> Outcome:
        plan = item.record
        if not isinstance(plan, EditPlan):
            raise TypeError(f"{item.id}: editing takes EditPlan, got {type(plan).__name__}")
        try:
            source = pixels.rgb(item.blobs["source.jpg"])
            finished = (
                self._remove(plan, source) if plan.edit_type is EditType.REMOVE else self._edit(plan, source)
            )
        except SampleError as error:
            return Outcome(input_id=item.id, reason=error.reason, detail=error.detail)
        return Outcome(input_id=item.id, children=(self._finish(finished),))

    def _edit(self, plan: EditPlan, source: Image) -> _Finished:
        height, width = source.shape[:2]
        mask = from_rle(plan.target.mask)
        box = union_box([o.box for o in plan.target.objects])
        crop = crop_box(box, plan.edit_type, width, height, self.settings.crop)
        here, inside = _cut(source, crop), _cut(mask, crop)
        region = gates.region_gate(mask, self.settings.gates)
        if not region.passed:
            raise SampleError(region.reason, _explain(region))
        request = EditRequest(
            image=here,
            mask=inside,
            edit_type=plan.edit_type,
            argument=plan.argument,
            instruction=plan.instruction,
            seed=self._seed(plan, "edit"),
        )
        (patch,) = self.editor.edit([request])
        composing = self.settings.composite
        changed = change_map(here, patch, composing)
        corrected = correct_tint(here, patch, changed | inside, composing)
        alpha = alpha_for(inside, changed, plan.edit_type, composing)
        edited, allowed = composite(source, corrected, crop, alpha)
        measured = [
            region,
            gates.change_gate(here, _cut(edited, crop), inside, self.settings.gates),
            gates.leak_gate(here, patch, alpha > 0, self.settings.gates),
            gates.seam_gate(here, _cut(edited, crop), inside, self.settings.gates),
        ]
        if plan.edit_type is EditType.COLOR:
            final = _cut(edited, crop)
            measured.append(gates.colour_gate(final, inside, plan.argument, self.settings.gates))
        return _Finished(
            plan=plan,
            source=source,
            edited=edited,
            patch=patch,
            crop=crop,
            mask=mask,
            allowed=allowed,
            method="blend",
            gates=tuple(measured),
        )

    def _remove(self, plan: EditPlan, source: Image) -> _Finished:
        height, width = source.shape[:2]
        mask = from_rle(plan.target.mask)
        boxes = [o.box for o in plan.target.objects]
        others = _other_objects(plan, mask)
        hole = removal_hole(mask, boxes, others, self.settings.removal)
        overlap = _overlap(mask, boxes, others)
        early = (
            gates.carrier_gate(plan.target.label, self.settings.removal.carriers),
            gates.region_gate(hole, self.settings.gates),
            gates.overlap_gate(overlap, self.settings.removal.max_overlap),
        )
        for gate in early:
            if not gate.passed:
                raise SampleError(gate.reason, _explain(gate))
        crop = removal_window(box_of(hole), width, height, self.settings.removal)
        here, inside = _cut(source, crop), _cut(hole, crop)
        request = InpaintRequest(
            image=here, hole=inside, seed=self._seed(plan, "inpaint"), avoid=_cut(others | mask, crop)
        )
        (patch,) = self.inpainter.inpaint([request])
        radius = dilation_px(max(boxes, key=lambda b: b.area), self.settings.removal)
        edited, allowed = composite(source, patch, crop, removal_alpha(inside, radius))
        final = _cut(edited, crop)
        bounds = self.settings.gates
        measured = (
            *early,
            gates.change_gate(here, final, _cut(mask, crop), bounds),
            gates.leak_gate(here, patch, inside, bounds),
            *redetect(self.detector, plan, source, edited, hole, bounds),
            gates.seam_gate(here, final, inside, bounds),
            gates.ragged_gate(final, inside, bounds),
            gates.strange_border_gate(final, inside, bounds),
            gates.foreign_gate(final, inside, bounds),
            gates.flat_gate(final, inside, bounds),
        )
        return _Finished(
            plan=plan,
            source=source,
            edited=edited,
            patch=patch,
            crop=crop,
            mask=mask,
            allowed=allowed,
            method="inpaint",
            gates=measured,
        )

    def _finish(self, done: _Finished) -> Child:
        record = EditedSample(
            plan=done.plan,
            crop=done.crop,
            allowed=to_rle(done.allowed),
            method=done.method,
            gates=tuple(gate.measurement for gate in done.gates),
            accuracy=NOT_JUDGED,
            seamlessness=NOT_JUDGED,
            models=self.models,
        )
        failed = [gate for gate in done.gates if not gate.passed]
        reason, detail = None, "; ".join(_explain(gate) for gate in failed)
        if failed:
            reason = failed[0].reason
        else:
            record, reason, detail = self._judged(done, record)
        blobs = (
            Blob(name="edited.png", data=encode_png(done.edited)),
            Blob(name="patch.png", data=encode_png(done.patch)),
        )
        return Child(id=done.plan.plan_id, record=record, reason=reason, detail=detail, blobs=blobs)

    def _judged(self, done: _Finished, record: EditedSample) -> tuple[EditedSample, Reason | None, str]:
        question = EditQuestion(
            source=done.source,
            edited=done.edited,
            plan=done.plan,
            crop=done.crop,
            mask=done.mask,
            gates=record.gates,
        )
        (scores,) = self.judge.judge_edits([question])
        judged = replace(
            record,
            gates=(*record.gates, *scores.measurements),
            accuracy=scores.accuracy,
            seamlessness=scores.seamlessness,
        )
        if scores.accuracy < self.settings.min_accuracy:
            detail = f"accuracy {scores.accuracy:g} (>= {self.settings.min_accuracy:g})"
            return judged, Reason.LOW_ACCURACY, detail
        if scores.seamlessness < self.settings.min_seamlessness:
            detail = f"seamlessness {scores.seamlessness:g} (>= {self.settings.min_seamlessness:g})"
            return judged, Reason.LOW_SEAMLESSNESS, detail
        return judged, None, ""

    def _seed(self, plan: EditPlan, step: str) -> int:
        return derive_seed(self.seed, plan.plan_id, step)


def _cut(array: np.ndarray, box: Box) -> np.ndarray:
    return np.ascontiguousarray(array[box.y0 : box.y1, box.x0 : box.x1])


def _other_objects(plan: EditPlan, mask: Mask) -> Mask:
    """Masks of the scene's objects that are no part of the target."""
    target = plan.target
    others = np.zeros(mask.shape, bool)
    for scene_object in target.scene.objects:
        if scene_object.index not in target.indices:
            others |= from_rle(scene_object.mask)
    return others & ~mask


def _overlap(mask: Mask, boxes: Sequence[Box], others: Mask) -> float:
    """Share of the target's boxes that other objects take."""
    area = sum(box.area for box in boxes)
    taken = sum(int(others[b.y0 : b.y1, b.x0 : b.x1].sum()) for b in boxes)
    return min(1.0, taken / area) if area else 0.0


def _explain(gate: Gate) -> str:
    m = gate.measurement
    return f"{m.name} {m.value:g} ({m.threshold})"
