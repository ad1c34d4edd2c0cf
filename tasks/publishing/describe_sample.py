"""Converts an `EditedSample` to its released JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from tasks.publishing.release_context import SampleContext
from tasks.publishing.sample_libraries import Libraries
from tasks.publishing.shard_format import (
    NONE,
    BoxList,
    CoTShape,
    GateShape,
    LibraryShape,
    MeasuredShape,
    ModelShape,
    ObjectShape,
    PromptShape,
    ProvenanceShape,
    RleShape,
    SampleMeta,
    ScoreShape,
    SourceShape,
    StageShape,
    TargetShape,
)
from tasks.records.errors import DataFault
from tasks.records.measuring import measure
from tasks.records.records import (
    SCHEMA_VERSION,
    Box,
    EditedSample,
    GroundedTarget,
    Measurement,
    ModelIdentity,
    Reasoning,
    Rle,
    SceneObject,
    SourceImage,
)


def describe_sample(
    sample: EditedSample, split: str, context: SampleContext, libraries: Libraries
) -> SampleMeta:
    """The released JSON of a sample; empty texts and lists become ``none``, so that the shape is constant.

    ``libraries`` are those of the processes that made it.

    Raises:
        DataFault: the record holds a value that the shape does not allow (a gate that is not a finite number).
    """
    try:
        return _describe(sample, split, context, libraries)
    except ValidationError as error:
        where = "; ".join(f"{e['loc']}: {e['msg']} ({e['input']!r})" for e in error.errors()[:3])
        raise DataFault(f"{sample.plan.plan_id}: not publishable: {where}") from error


def gates_of(sample: EditedSample) -> tuple[GateShape, ...]:
    """All measurements that let the sample through, in the order of the stages."""
    by_stage = (
        ("grounding", sample.plan.target.judgement),
        ("instruction", sample.plan.gates),
        ("editing", sample.gates),
    )
    gates = tuple(
        GateShape(**_fields(m), stage=stage) for stage, measurements in by_stage for m in measurements
    )
    return gates or (GateShape(**_NOTHING, stage=NONE),)


def scores_of(sample: EditedSample, context: SampleContext) -> tuple[MeasuredShape, ...]:
    """The edit judge's two scores, 1..5 (paper Figure 20)."""
    return (
        _judged("region_edit_accuracy", sample.accuracy, context.min_accuracy),
        _judged("seamless_quality", sample.seamlessness, context.min_seamlessness),
    )


def models_of(sample: EditedSample) -> tuple[ModelShape, ...]:
    """The models that answered, each role once, in the order of the stages."""
    plan = sample.plan
    chain: Sequence[ModelIdentity] = (
        *plan.target.scene.models,
        *plan.target.models,
        *plan.models,
        *sample.models,
    )
    shapes = (
        ModelShape(
            role=m.role,
            backend=m.backend,
            model=m.model or NONE,
            revision=m.revision or NONE,
            digest=m.digest or NONE,
        )
        for m in chain
    )
    return tuple(dict.fromkeys(shapes))


def _describe(sample: EditedSample, split: str, context: SampleContext, libraries: Libraries) -> SampleMeta:
    plan, target = sample.plan, sample.plan.target
    source = target.scene.source
    return SampleMeta(
        schema_version=SCHEMA_VERSION,
        key=plan.plan_id,
        sid=source.sid,
        split=split,
        edit_type=plan.edit_type,
        argument=plan.argument or NONE,
        instruction=plan.instruction,
        instruction_before_rewriting=plan.instruction_before_rewriting,
        CoT=_cot(plan.reasoning),
        target=_target(target),
        objects=tuple(_object(item, target.indices) for item in target.scene.objects),
        crop=_box(sample.crop),
        allowed_region=_rle(sample.allowed),
        method=sample.method or NONE,
        gates=gates_of(sample),
        scores=scores_of(sample, context),
        provenance=_provenance(sample, context, libraries),
        source=_source(source),
        license=source.license or "unstated",
    )


def _cot(reasoning: Reasoning) -> CoTShape:
    return CoTShape.model_validate(
        {
            "scene_description": reasoning.scene_description,
            "target_localization": reasoning.target_localization,
            "editing_description": reasoning.editing_description,
            "post_edit_description": reasoning.post_edit_description,
        }
    )


def _target(target: GroundedTarget) -> TargetShape:
    return TargetShape(
        id=target.target_id,
        label=target.label,
        indices=target.indices,
        boxes=tuple(_box(item.box) for item in target.objects),
        mask=_rle(target.mask),
        scores=(
            _plain("detector_score", min(item.score for item in target.objects)),
            _plain("mask_score", min(item.mask_score for item in target.objects)),
        ),
    )


def _object(item: SceneObject, target: tuple[int, ...]) -> ObjectShape:
    return ObjectShape(
        index=item.index,
        label=item.label,
        box=_box(item.box),
        mask=_rle(item.mask),
        area=item.area,
        color=item.color or NONE,
        is_target=item.index in target,
        not_a_target=item.not_a_target or NONE,
        part_of=-1 if item.part_of is None else item.part_of,
        scores=(
            _plain("detector_score", item.score),
            _plain("mask_score", item.mask_score),
            _plain("color_share", item.color_share),
        ),
        checks=tuple(MeasuredShape(**_fields(m)) for m in item.checks) or (MeasuredShape(**_NOTHING),),
    )


def _provenance(sample: EditedSample, context: SampleContext, libraries: Libraries) -> ProvenanceShape:
    plan = sample.plan
    read = sorted({*plan.target.prompts, *plan.prompts, *sample.prompts})
    prompts = tuple(PromptShape(name=name, sha256=digest) for name, digest in read)
    made_with = tuple(LibraryShape(name=name, version=version) for name, version in libraries)
    return ProvenanceShape(
        build_seed=context.seed,
        edit_seed=plan.seed,
        models=models_of(sample),
        prompts=prompts or (PromptShape(name=NONE, sha256=NONE),),
        libraries=made_with or (LibraryShape(name=NONE, version=NONE),),
        stages=tuple(StageShape(stage=stage, config8=config8) for stage, config8 in context.stages),
    )


def _source(source: SourceImage) -> SourceShape:
    return SourceShape(
        location=source.location,
        sha256=source.sha256,
        working_sha256=source.working_sha256,
        width=source.width,
        height=source.height,
        original_format=source.original_format or NONE,
        actions=source.actions or (NONE,),
        fingerprint=source.fingerprint or NONE,
    )


_NOTHING: Mapping[str, Any] = {
    "name": NONE,
    "value": 0.0,
    "low": (),
    "high": (),
    "passed": True,
    "decides": False,
    "note": NONE,
}
"""Placeholder where nothing was measured."""


def _judged(name: str, value: float, least: float) -> MeasuredShape:
    return MeasuredShape(**_fields(measure(name, value, low=least)))


def _plain(name: str, value: float) -> ScoreShape:
    return ScoreShape(name=name, value=value)


def _fields(m: Measurement) -> dict[str, Any]:
    return {
        "name": m.name or NONE,
        "value": m.value,
        "low": () if m.low is None else (m.low,),
        "high": () if m.high is None else (m.high,),
        "passed": m.passed,
        "decides": m.decides,
        "note": m.note or NONE,
    }


def _rle(rle: Rle) -> RleShape:
    return RleShape(size=(rle.height, rle.width), counts=rle.counts)


def _box(box: Box) -> BoxList:
    return box.x0, box.y0, box.x1, box.y1
