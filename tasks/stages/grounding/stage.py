"""The grounding stage: photograph in, targets out, the whole scene kept with each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tasks.imaging.arrays import Image
from tasks.imaging.geometry import to_rle
from tasks.imaging.pixels import encode_jpeg, encode_png
from tasks.records.errors import Reason, SampleError
from tasks.records.measuring import failed, measure
from tasks.records.outcomes import Blob, Child, Outcome, PixelReader, StageInput, ended
from tasks.records.records import GroundedTarget, ModelIdentity, Scene, SourceImage, Tag
from tasks.roles.questions import (
    Detection,
    Detector,
    Segmentation,
    Segmenter,
    Tagger,
    TargetJudge,
    TargetQuestion,
    TargetVerdict,
)
from tasks.stages.grounding.red_picture import draw_mask_and_box
from tasks.stages.grounding.scene import describe_object, take_hints, union_mask, why_never
from tasks.stages.grounding.settings import GroundingSettings
from tasks.stages.grounding.suppression import Entity, split_detections
from tasks.stages.grounding.targets import draw_targets

STEP_VERSIONS = {"scene": 3, "targets": 1, "red_picture": 1}
"""Raised when a step's code changes what comes out, so that finished units are not mistaken for new ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroundingStage:
    """Tags, detects, segments, draws targets and has them judged (paper 3.1, step 1)."""

    settings: GroundingSettings
    seed: int
    tagger: Tagger
    detector: Detector
    segmenter: Segmenter
    judge: TargetJudge

    @property
    def models(self) -> tuple[ModelIdentity, ...]:
        """Tagger, detector, segmenter and target judge."""
        return (*self._scene_models, self.judge.identity)

    @property
    def _scene_models(self) -> tuple[ModelIdentity, ...]:
        return (self.tagger.identity, self.detector.identity, self.segmenter.identity)

    def process(self, inputs: Sequence[StageInput], pixels: PixelReader) -> list[Outcome]:
        """One outcome a photograph; its children are the drawn targets."""
        outcomes: dict[str, Outcome] = {}
        opened: list[tuple[StageInput, Image]] = []
        for item in inputs:
            try:
                opened.append((item, pixels.rgb(item.blobs["source.jpg"])))
            except SampleError as error:
                outcomes[item.id] = ended(item.id, error)
        images = [image for _, image in opened]
        tags = self.tagger.tag(images)
        names = [[tag.name for tag in found] for found in tags]
        detections = self.detector.detect(images, names)
        for (item, image), found, boxes in zip(opened, tags, detections, strict=True):
            outcomes[item.id] = self._ground(item, image, found, boxes)
        return [outcomes[item.id] for item in inputs]

    def _ground(
        self, item: StageInput, image: Image, tags: Sequence[Tag], boxes: Sequence[Detection]
    ) -> Outcome:
        source = item.record
        if not isinstance(source, SourceImage):
            raise TypeError(f"{item.id}: grounding takes SourceImage, got {type(source).__name__}")
        height, width = image.shape[:2]
        entities, distractors = split_detections(
            boxes,
            width=width,
            height=height,
            object_score=self.settings.object_score,
            nms_iou=self.settings.nms_iou,
            max_box_share=self.settings.max_box_share,
            max_objects=self.settings.max_objects,
            label_scores=self.settings.label_scores,
        )
        if len(entities) < self.settings.min_entities:
            count = measure("entities", len(entities), low=self.settings.min_entities)
            return Outcome(input_id=item.id, reason=Reason.TOO_FEW_ENTITIES, measured=(count,))
        hopeless = [why_never(e, self.settings.target) for e in entities]
        if all(hopeless):  # no mask can make a target of any of them, and masks are the dearest step
            return _no_target(source.sid, hopeless)
        masks = self._segment(source, image, entities)
        scene = Scene(
            source=source,
            tags=tuple(tags),
            objects=tuple(
                describe_object(i, e, m, image, self.settings)
                for i, (e, m) in enumerate(zip(entities, masks, strict=True))
            ),
            distractors=tuple(distractors),
            models=self._scene_models,
        )
        return self._draw(scene, image)

    def _segment(self, source: SourceImage, image: Image, entities: Sequence[Entity]) -> list[Segmentation]:
        """Shipped masks where they fit, the segmenter's for the rest; every box is passed as context."""
        detections = [e.detection for e in entities]
        shipped = take_hints(source, detections, self.settings.hint_iou)
        if len(shipped) == len(detections):
            return [shipped[i] for i in range(len(detections))]
        (drawn,) = self.segmenter.segment([image], [detections], [source.hints])
        return [shipped.get(i, segmentation) for i, segmentation in enumerate(drawn)]

    def _draw(self, scene: Scene, image: Image) -> Outcome:
        sid = scene.source.sid
        drawn = draw_targets(
            scene.objects,
            sid=sid,
            seed=self.seed,
            max_targets=self.settings.target.max_targets,
            groups=self.settings.target.groups,
        )
        if not drawn:
            return _no_target(sid, [o.not_a_target for o in scene.objects])
        questions = [self._ask(scene, image, n, indices) for n, indices in enumerate(drawn)]
        verdicts = self.judge.judge_targets(questions)
        children = tuple(
            self._judged(question, verdict) for question, verdict in zip(questions, verdicts, strict=True)
        )
        return Outcome(input_id=sid, children=children)

    def _ask(self, scene: Scene, image: Image, number: int, indices: tuple[int, ...]) -> TargetQuestion:
        mask = union_mask([scene.objects[i].mask for i in indices])
        target = GroundedTarget(
            target_id=f"{scene.source.sid}-t{number}",
            scene=scene,
            indices=indices,
            mask=to_rle(mask),
            judgement=(),
            models=self.models,
        )
        marked = draw_mask_and_box(image, mask, [o.box for o in target.objects])
        return TargetQuestion(image=image, marked=marked, mask=mask, target=target)

    def _judged(self, question: TargetQuestion, verdict: TargetVerdict) -> Child:
        asked = question.target
        record = GroundedTarget(
            target_id=asked.target_id,
            scene=asked.scene,
            indices=asked.indices,
            mask=asked.mask,
            judgement=verdict.measurements,
            models=asked.models,
        )
        blobs = (
            Blob(name="grounded.jpg", data=encode_jpeg(question.marked, quality=95)),
            Blob(name="mask.png", data=encode_png(question.mask.astype(np.uint8) * 255)),
        )
        reason = None
        if not verdict.precise:
            reason = Reason.MASK_NOT_PRECISE
        elif not verdict.hard:
            reason = Reason.EASY_TARGET
        refused = failed(verdict.measurements) if reason else ()
        return Child(id=record.target_id, record=record, reason=reason, measured=refused, blobs=blobs)


def _no_target(sid: str, reasons: Sequence[str]) -> Outcome:
    """The photograph's end, with how many objects each reason ruled out."""
    counts = sorted(Counter(reasons).items())
    measured = tuple(measure(reason, count, decides=False) for reason, count in counts)
    return Outcome(input_id=sid, reason=Reason.NO_TARGET, measured=measured)
