"""The editing stage: plan in, edited picture out, with every measured gate and the judge's scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tasks.imaging.arrays import Image
from tasks.imaging.geometry import to_rle
from tasks.imaging.pixels import encode_png
from tasks.records.errors import Reason, SampleError
from tasks.records.measuring import measure
from tasks.records.outcomes import Blob, Child, Outcome, PixelReader, StageInput, ended
from tasks.records.records import EditedSample, EditPlan, EditType, Measurement, ModelIdentity
from tasks.records.seeds import derive_seed
from tasks.roles.questions import Detector, EditJudge, Editor, EditQuestion, Inpainter, Segmenter
from tasks.stages.editing.edit_object import edit_object
from tasks.stages.editing.finished import Finished
from tasks.stages.editing.remove_object import RemovalRoles, remove_object
from tasks.stages.editing.settings import EditingSettings

STEP_VERSIONS = {"crop": 1, "edit": 1, "removal": 3, "compositing": 1, "gates": 5}
"""Raised when a step's code changes what comes out, so that finished units are not mistaken for new ones."""

NOT_JUDGED = 0.0
"""Both scores of an edit that a gate refused before the judge was asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EditingStage:
    """Crops, edits or removes, puts back, measures, judges (paper 3.1, step 3)."""

    settings: EditingSettings
    seed: int
    editor: Editor
    inpainter: Inpainter
    judge: EditJudge
    detector: Detector
    segmenter: Segmenter

    @property
    def models(self) -> tuple[ModelIdentity, ...]:
        """Editor, inpainter, edit judge, and the detector and segmenter that look again."""
        roles = (self.editor, self.inpainter, self.judge, self.detector, self.segmenter)
        return tuple(role.identity for role in roles)

    def process(self, inputs: Sequence[StageInput], pixels: PixelReader) -> list[Outcome]:
        """One outcome a plan; its one child is the edited sample."""
        return [self._process(item, pixels) for item in inputs]

    def _process(self, item: StageInput, pixels: PixelReader) -> Outcome:
        plan = item.record
        if not isinstance(plan, EditPlan):
            raise TypeError(f"{item.id}: editing takes EditPlan, got {type(plan).__name__}")
        try:
            source = pixels.rgb(item.blobs["source.jpg"])
            finished = self._make(plan, source)
        except SampleError as error:
            return ended(item.id, error)
        return Outcome(input_id=item.id, children=(self._finish(finished),))

    def _make(self, plan: EditPlan, source: Image) -> Finished:
        if plan.edit_type is EditType.REMOVE:
            return remove_object(
                plan,
                source,
                roles=RemovalRoles(
                    inpainter=self.inpainter, detector=self.detector, segmenter=self.segmenter
                ),
                settings=self.settings,
                seed=derive_seed(self.seed, plan.plan_id, "inpaint"),
            )
        seed = derive_seed(self.seed, plan.plan_id, "edit")
        return edit_object(plan, source, editor=self.editor, settings=self.settings, seed=seed)

    def _finish(self, done: Finished) -> Child:
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
        refused = [gate for gate in done.gates if not gate.passed]
        reason: Reason | None = None
        measured = tuple(gate.measurement for gate in refused)
        if refused:
            reason = refused[0].reason
        else:
            record, reason, measured = self._judged(done, record)
        blobs = (
            Blob(name="edited.png", data=encode_png(done.edited)),
            Blob(name="patch.png", data=encode_png(done.patch)),
        )
        return Child(id=done.plan.plan_id, record=record, reason=reason, measured=measured, blobs=blobs)

    def _judged(
        self, done: Finished, record: EditedSample
    ) -> tuple[EditedSample, Reason | None, tuple[Measurement, ...]]:
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
        accuracy = measure("accuracy", scores.accuracy, low=self.settings.min_accuracy)
        seamlessness = measure("seamlessness", scores.seamlessness, low=self.settings.min_seamlessness)
        if not accuracy.passed:
            return judged, Reason.LOW_ACCURACY, (accuracy,)
        if not seamlessness.passed:
            return judged, Reason.LOW_SEAMLESSNESS, (seamlessness,)
        return judged, None, ()
