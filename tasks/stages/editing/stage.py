"""Editing: edit the crop or remove the target; composite, measure, judge (paper 3.1, step 3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from tasks.imaging.geometry import to_rle
from tasks.imaging.pixels import encode_png
from tasks.records.edit_types import Maker, spec_of
from tasks.records.errors import Reason, SampleError
from tasks.records.measuring import measure
from tasks.records.outcomes import Blob, Child, Outcome, StageInput, ended_child
from tasks.records.records import EditedSample, EditPlan, ModelIdentity
from tasks.records.seeds import derive_seed
from tasks.roles.asks import Ask, AskDetector, AskEditJudge, AskEditor, AskInpainter, AskSegmenter, prompts_of
from tasks.roles.offers import Offers
from tasks.roles.picture import Picture
from tasks.roles.questions import EditJudgeQuestion
from tasks.stages.choices import configured_offers
from tasks.stages.config import BuildConfig
from tasks.stages.editing.edit_object import edit_object
from tasks.stages.editing.edit_result import EditResult
from tasks.stages.editing.judging import both_scores, second_gates, verdict
from tasks.stages.editing.remove_object import remove_object
from tasks.stages.editing.settings import EditingSettings
from tasks.stages.red_picture import marked_with_boxes
from tasks.stages.sample_stage import SampleStage, Workbench

STEP_VERSIONS = {"crop": 1, "edit": 2, "removal": 10, "compositing": 1, "gates": 13}
"""Increase a step's version when its code changes its results, so that finished units are not reused."""

NOT_JUDGED = 0.0
"""Both scores of an edit that failed a gate before the judge was asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EditingAsks:
    """The roles of editing; detector and segmenter check removals."""

    editor: AskEditor
    inpainter: AskInpainter
    judge: AskEditJudge
    detector: AskDetector
    segmenter: AskSegmenter
    second_judge: AskEditJudge | None = None

    @property
    def models(self) -> tuple[ModelIdentity, ...]:
        """Identities of all roles."""
        return tuple(ask.identity for ask in self._all)

    @property
    def prompts(self) -> tuple[tuple[str, str], ...]:
        """Every prompt file read for an answer, with its digest."""
        return prompts_of(*self._all)

    @property
    def _all(self) -> tuple[Ask[Any, Any], ...]:
        asks = (
            self.editor,
            self.inpainter,
            self.judge,
            self.second_judge,
            self.detector,
            self.segmenter,
        )
        return tuple(ask for ask in asks if ask is not None)


def build(config: BuildConfig, asks: Mapping[str, Any], digests: Mapping[str, str]) -> SampleStage:
    """Builds the stage from a configuration."""
    del digests
    return partial(
        edit,
        ask=EditingAsks(**asks),
        offers=configured_offers(config),
        settings=config.editing,
        seed=config.seed,
    )


async def edit(
    item: StageInput,
    bench: Workbench,
    *,
    ask: EditingAsks,
    offers: Offers,
    settings: EditingSettings,
    seed: int,
) -> Outcome:
    """Turns one `EditPlan` into an edited sample: the first try that passes, else the last one with its failure.

    Raises:
        SampleError: the target cannot be edited at its position, or an answer is not available.
    """
    plan = item.record
    if not isinstance(plan, EditPlan):
        raise TypeError(f"{item.id}: editing takes EditPlan, got {type(plan).__name__}")
    ref = item.blobs["source.jpg"]
    image = await bench.rgb(ref)
    source = Picture.of_blob(ref.sha256, lambda: image)
    offer = offers.of(plan.edit_type)
    child: Child | None = None
    refused: list[Reason] = []
    for attempt in range(settings.tries if offer.by_seed else 1):
        if spec_of(plan.edit_type).maker is Maker.INPAINTER:
            # The inpainter's own tries differ in the hole; another seed is tried in addition.
            done = await remove_object(
                plan,
                source,
                bench,
                ask=ask,
                offer=offer,
                settings=settings,
                seed=_seed(seed, plan, "inpaint", attempt),
            )
        else:
            done = await edit_object(
                plan,
                source,
                bench,
                ask=ask,
                offer=offer,
                settings=settings,
                seed=_seed(seed, plan, "edit", attempt),
                attempt=attempt,
            )
        child = await _checked(done, source, bench, ask, settings, _seed(seed, plan, "edit_judge", attempt))
        if child.reason is None:
            break
        refused.append(child.reason)
    assert child is not None, "there is at least one try"
    if settings.tries > 1:
        child = _counted(child, refused)
    return Outcome(input_id=item.id, children=(child,))


def _counted(child: Child, refused: Sequence[Reason]) -> Child:
    """The child with the number of edits that were made, and why those before it were refused."""
    record = child.record
    assert isinstance(record, EditedSample)
    tries = len(refused) + (child.reason is None)
    counted = measure("tries", tries, decides=False, note=", ".join(reason.value for reason in refused))
    return replace(child, record=replace(record, gates=(*record.gates, counted)))


def _seed(seed: int, plan: EditPlan, step: str, attempt: int) -> int:
    return derive_seed(seed, plan.plan_id, f"{step}:{attempt}" if attempt else step)


async def _checked(
    done: EditResult,
    source: Picture,
    bench: Workbench,
    ask: EditingAsks,
    settings: EditingSettings,
    seed: int,
) -> Child:
    """The sample with its pictures; the judges are asked only if no gate failed."""
    record = EditedSample(
        plan=done.plan,
        crop=done.crop,
        allowed=to_rle(done.allowed),
        method=done.method,
        gates=tuple(gate.measurement for gate in done.gates),
        accuracy=NOT_JUDGED,
        seamlessness=NOT_JUDGED,
        models=ask.models,
        prompts=ask.prompts,
    )
    blobs = await bench.cpu(_blobs, done)
    plan_id = done.plan.plan_id
    failed = [gate for gate in done.gates if not gate.passed]
    if failed:
        measured = tuple(gate.measurement for gate in failed)
        return Child(id=plan_id, record=record, reason=failed[0].reason, measured=measured, blobs=blobs)
    try:
        scores, second = await both_scores(ask.judge, ask.second_judge, _question(done, source, record, seed))
    except SampleError as error:
        return ended_child(plan_id, error, record, blobs)
    judged = replace(
        record,
        gates=(*record.gates, *scores.measurements, *second_gates(second, settings)),
        accuracy=scores.accuracy,
        seamlessness=scores.seamlessness,
    )
    reason, measured = verdict(scores, second, settings)
    return Child(id=plan_id, record=judged, reason=reason, measured=measured, blobs=blobs)


def _question(done: EditResult, source: Picture, record: EditedSample, seed: int) -> EditJudgeQuestion:
    boxes = [thing.box for thing in done.plan.target.objects]
    edited = Picture.of_pixels(done.edited)
    return EditJudgeQuestion(
        subject=done.plan.plan_id,
        seed=seed,
        source=source,
        edited=edited,
        source_boxed=marked_with_boxes(source, boxes),
        edited_boxed=marked_with_boxes(edited, boxes),
        instruction=done.plan.instruction,
        edit_type=done.plan.edit_type,
        argument=done.plan.argument,
        crop=done.crop,
        mask=done.mask,
        gates=record.gates,
    )


def _blobs(done: EditResult) -> tuple[Blob, ...]:
    return (
        Blob(name="edited.png", data=encode_png(done.edited)),
        Blob(name="patch.png", data=encode_png(done.patch)),
    )
