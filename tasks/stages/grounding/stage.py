"""Grounding: the whole scene first, then targets that take reasoning to find (paper 3.1, step 1)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from tasks.imaging.arrays import Mask
from tasks.imaging.geometry import to_rle
from tasks.imaging.pixels import encode_jpeg, encode_png
from tasks.records.errors import Reason, SampleError
from tasks.records.measuring import failed, measure
from tasks.records.outcomes import Blob, Child, Outcome, StageInput, ended_child
from tasks.records.records import GroundedTarget, ModelIdentity, Scene, SourceImage
from tasks.records.seeds import derive_seed
from tasks.roles.asks import AskDetector, AskSegmenter, AskTagger, AskTargetJudge, prompts_of
from tasks.roles.picture import Picture
from tasks.roles.questions import (
    Detection,
    DetectQuestion,
    Segmentation,
    SegmentQuestion,
    TagQuestion,
    TargetQuestion,
    TargetVerdict,
)
from tasks.stages.config import BuildConfig
from tasks.stages.grounding.parts import possible_wholes
from tasks.stages.grounding.scene import describe_objects, fits_a_target, take_hints, union_mask, why_never
from tasks.stages.grounding.settings import GroundingSettings
from tasks.stages.grounding.suppression import Entity, split_detections
from tasks.stages.grounding.targets import choose_targets
from tasks.stages.grounding.verdict import with_threshold
from tasks.stages.red_picture import marked_with_mask
from tasks.stages.sample_stage import SampleStage, Workbench

STEP_VERSIONS = {"scene": 6, "targets": 3, "red_picture": 1}
"""Increase a step's version when its code changes its results, so that finished units are not reused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroundingAsks:
    """The roles of grounding, named as in the configuration."""

    tagger: AskTagger
    detector: AskDetector
    segmenter: AskSegmenter
    judge: AskTargetJudge

    @property
    def scene_models(self) -> tuple[ModelIdentity, ...]:
        """Identities of the roles that describe the scene."""
        return self.tagger.identity, self.detector.identity, self.segmenter.identity

    @property
    def models(self) -> tuple[ModelIdentity, ...]:
        """Identities of all roles."""
        return *self.scene_models, self.judge.identity

    @property
    def prompts(self) -> tuple[tuple[str, str], ...]:
        """Every prompt file read for an answer, with its digest."""
        return prompts_of(self.tagger, self.detector, self.segmenter, self.judge)


def build(config: BuildConfig, asks: Mapping[str, Any], digests: Mapping[str, str]) -> SampleStage:
    """Builds the stage from a configuration."""
    del digests
    return partial(ground, ask=GroundingAsks(**asks), settings=config.grounding, seed=config.seed)


async def ground(
    item: StageInput, bench: Workbench, *, ask: GroundingAsks, settings: GroundingSettings, seed: int
) -> Outcome:
    """Finds the targets of one photograph (`SourceImage`), each with the whole scene.

    Raises:
        SampleError: ``too_few_entities`` or ``no_target``, or an answer is not available.
    """
    source = item.record
    if not isinstance(source, SourceImage):
        raise TypeError(f"{item.id}: grounding takes SourceImage, got {type(source).__name__}")
    ref = item.blobs["source.jpg"]
    image = await bench.rgb(ref)
    picture = Picture.of_blob(ref.sha256, lambda: image)

    tags = await ask.tagger(TagQuestion(subject=item.id, picture=picture))
    names = tuple(tag.name for tag in tags)
    detections = await ask.detector(DetectQuestion(subject=item.id, picture=picture, names=names))
    entities, distractors = split_detections(
        detections,
        width=source.width,
        height=source.height,
        object_score=settings.object_score,
        nms_iou=settings.nms_iou,
        max_box_share=settings.max_box_share,
        max_objects=settings.max_objects,
        label_scores=settings.label_scores,
        not_mistaken=settings.not_mistaken,
        parts=settings.parts.tables,
    )
    wholes = possible_wholes([entity.detection for entity in entities], settings.parts)
    alone = sum(not found for found in wholes)
    if alone < settings.min_entities:  # a person and a shirt are one thing
        count = measure("entities", alone, low=settings.min_entities)
        raise SampleError(Reason.TOO_FEW_ENTITIES, measured=(count,))
    never = [why_never(entity, settings.target) for entity in entities]
    if all(never):  # no mask can make any of them a target, and masks are the most expensive step
        raise _no_target(never)

    candidates = [
        i for i, entity in enumerate(entities) if not never[i] and fits_a_target(entity, source, settings)
    ]
    masks = await _segment(source, picture, entities, candidates, ask.segmenter, settings)
    objects = await bench.cpu(describe_objects, entities, masks, image, settings)
    scene = Scene(
        source=source,
        tags=tags,
        objects=objects,
        distractors=tuple(distractors),
        models=ask.scene_models,
    )
    chosen = choose_targets(
        objects,
        sid=source.sid,
        seed=seed,
        max_targets=settings.target.max_targets,
        groups=settings.target.groups,
    )
    if not chosen:
        raise _no_target([thing.not_a_target for thing in objects])
    targets = [_target(scene, number, indices, ask) for number, indices in enumerate(chosen)]
    children = await asyncio.gather(
        *(_judge(target, picture, bench, ask.judge, settings, seed) for target in targets)
    )
    return Outcome(input_id=item.id, children=tuple(children))


async def _segment(
    source: SourceImage,
    picture: Picture,
    entities: Sequence[Entity],
    candidates: Sequence[int],
    segmenter: AskSegmenter,
    settings: GroundingSettings,
) -> list[Segmentation]:
    """Shipped masks where they fit, else the segmenter's; it gets every box as context."""
    detections: list[Detection] = [entity.detection for entity in entities]
    shipped = take_hints(source, detections, settings.hint_iou)
    if len(shipped) == len(detections):
        return [shipped[index] for index in range(len(detections))]
    question = SegmentQuestion(
        subject=source.sid,
        picture=picture,
        detections=tuple(detections),
        hints=source.hints,
        candidates=tuple(index for index in candidates if index not in shipped),
    )
    found = await segmenter(question)
    return [shipped.get(index, segmentation) for index, segmentation in enumerate(found)]


def _target(scene: Scene, number: int, indices: tuple[int, ...], ask: GroundingAsks) -> GroundedTarget:
    mask = union_mask([scene.objects[index].mask for index in indices])
    return GroundedTarget(
        target_id=f"{scene.source.sid}-t{number}",
        scene=scene,
        indices=indices,
        mask=to_rle(mask),
        judgement=(),
        models=ask.models,
        prompts=ask.prompts,
    )


async def _judge(
    target: GroundedTarget,
    picture: Picture,
    bench: Workbench,
    judge: AskTargetJudge,
    settings: GroundingSettings,
    seed: int,
) -> Child:
    """The target with its red picture, kept or rejected by the target judge."""
    mask = union_mask([thing.mask for thing in target.objects])
    marked = marked_with_mask(picture, target)
    blobs = await bench.cpu(_blobs, marked, mask)
    question = TargetQuestion(
        subject=target.target_id,
        seed=derive_seed(seed, target.target_id, "target_judge"),
        picture=picture,
        marked=marked,
        mask=mask,
        target=target,
    )
    try:
        verdict = with_threshold(await judge(question), settings.min_keep_probability)
    except SampleError as error:
        return ended_child(target.target_id, error, target, blobs)
    reason = _refusal(verdict)
    return Child(
        id=target.target_id,
        record=replace(target, judgement=verdict.measurements),
        reason=reason,
        measured=failed(verdict.measurements) if reason else (),
        blobs=blobs,
    )


def _blobs(marked: Picture, mask: Mask) -> tuple[Blob, ...]:
    return (
        Blob(name="grounded.jpg", data=encode_jpeg(marked.rgb, quality=95)),
        Blob(name="mask.png", data=encode_png(mask.astype(np.uint8) * 255)),
    )


def _refusal(verdict: TargetVerdict) -> Reason | None:
    if verdict.together and not (verdict.precise and verdict.hard):
        return Reason.TARGET_REFUSED
    if not verdict.precise:
        return Reason.MASK_NOT_PRECISE
    return None if verdict.hard else Reason.EASY_TARGET


def _no_target(reasons: Sequence[str]) -> SampleError:
    """The error with the number of objects that each reason excluded."""
    counts = sorted(Counter(reasons).items())
    measured = tuple(measure(reason, count, decides=False) for reason, count in counts)
    return SampleError(Reason.NO_TARGET, measured=measured)
