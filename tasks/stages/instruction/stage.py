"""Instruction: chooses an edit for each target, has it put into words, and checks the words (paper 3.1, step 2)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from tasks.records.edit_types import Maker, spec_of
from tasks.records.errors import Reason, SampleError
from tasks.records.measuring import measure
from tasks.records.outcomes import Child, Outcome, StageInput, ended_child
from tasks.records.records import EditPlan, GroundedTarget, ModelIdentity
from tasks.records.seeds import derive_seed
from tasks.roles.asks import AskInstructor, AskReferrer, AskRewriter, AskTextJudge, prompts_of
from tasks.roles.offers import Offers
from tasks.roles.picture import Picture
from tasks.roles.questions import (
    InstructQuestion,
    ReferQuestion,
    RewriteQuestion,
    TextQuestion,
    WrittenInstruction,
)
from tasks.stages.choices import configured_offers
from tasks.stages.config import BuildConfig
from tasks.stages.instruction.choose import ChosenEdit, allowed_types, choose_edit_type, drawn_weights
from tasks.stages.instruction.referents import objects_meant
from tasks.stages.instruction.settings import InstructionSettings
from tasks.stages.instruction.word_gates import GateResult, WordGates, Wording, first_refusal
from tasks.stages.red_picture import marked_with_boxes, marked_with_mask, numbered
from tasks.stages.sample_stage import SampleStage, Workbench

STEP_VERSIONS: dict[str, int] = {"draw": 4, "ask": 2, "rewrite": 2, "gates": 3}
"""Increase a step's version when its code changes its results, so that finished units are not reused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstructionAsks:
    """The roles of instruction, named as in the configuration."""

    instructor: AskInstructor
    rewriter: AskRewriter
    referrer: AskReferrer
    text_judge: AskTextJudge | None = None

    @property
    def models(self) -> tuple[ModelIdentity, ...]:
        """Identities of all roles."""
        return tuple(ask.identity for ask in self._all)

    @property
    def prompts(self) -> tuple[tuple[str, str], ...]:
        """Every prompt file read for an answer, with its digest."""
        return prompts_of(*self._all)

    @property
    def _all(self) -> tuple[Any, ...]:
        asks = (self.instructor, self.rewriter, self.referrer, self.text_judge)
        return tuple(ask for ask in asks if ask is not None)


def build(config: BuildConfig, asks: Mapping[str, Any], digests: Mapping[str, str]) -> SampleStage:
    """Builds the stage from a configuration."""
    del digests
    return partial(
        instruct,
        ask=InstructionAsks(**asks),
        offers=configured_offers(config),
        gates=WordGates.of(config.instruction),
        settings=config.instruction,
        seed=config.seed,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tools:
    """What all plans of a target are written with."""

    ask: InstructionAsks
    offers: Offers
    gates: WordGates
    settings: InstructionSettings
    seed: int


async def instruct(
    item: StageInput,
    bench: Workbench,
    *,
    ask: InstructionAsks,
    offers: Offers,
    gates: WordGates,
    settings: InstructionSettings,
    seed: int,
) -> Outcome:
    """Makes the plans of one `GroundedTarget`, each a different edit; a rejected plan keeps its words.

    Raises:
        SampleError: ``no_edit_type``, with the reason for each type.
    """
    target = item.record
    if not isinstance(target, GroundedTarget):
        raise TypeError(f"{item.id}: instruction takes GroundedTarget, got {type(target).__name__}")
    tools = _Tools(ask=ask, offers=offers, gates=gates, settings=settings, seed=seed)
    picture = bench.picture(item.blobs["source.jpg"])
    chosen: dict[str, ChosenEdit] = {}
    for number in range(settings.plans_per_target):
        plan_id = f"{target.target_id}-p{number}"
        taken = [(edit.edit_type, edit.argument) for edit in chosen.values()]
        made = Counter(edit_type for edit_type, _ in taken)
        barred = [edit_type for edit_type, most in settings.most_per_type.items() if made[edit_type] >= most]
        weights = drawn_weights(settings.weights, settings.chances, seed, plan_id, barred)
        edit = choose_edit_type(target, offers, weights, seed, plan_id, taken)
        if edit is not None:  # each plan of a target must be a different edit, and for this one none is left
            chosen[plan_id] = edit
    if not chosen:
        against = allowed_types(target, offers, settings.weights)
        reasons = (f"{kind.value}: {why or 'held back by its chance'}" for kind, why in against.items())
        raise SampleError(Reason.NO_EDIT_TYPE, ", ".join(reasons))
    plans = [
        _Plan(plan_id=plan_id, target=target, edit=edit, picture=picture, tools=tools)
        for plan_id, edit in chosen.items()
    ]
    children = await asyncio.gather(*(plan.child() for plan in plans))
    return Outcome(input_id=item.id, children=tuple(children))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Plan:
    """One plan, from a chosen edit to words that passed."""

    plan_id: str
    target: GroundedTarget
    edit: ChosenEdit
    picture: Picture
    tools: _Tools

    async def child(self) -> Child:
        """The plan, kept, or with the first gate that failed in the last try."""
        try:
            wording, results = await self._worded()
        except SampleError as error:
            return ended_child(self.plan_id, error)
        refusal = first_refusal(results)
        return Child(
            id=self.plan_id,
            record=self._record(wording, results),
            reason=refusal.reason if refusal else None,
            detail=refusal.detail if refusal else "",
            measured=(refusal.measurement,) if refusal else (),
        )

    async def _worded(self) -> tuple[Wording, tuple[GateResult, ...]]:
        """Instructs, rewrites, refers, judges; only errors in the instructor's own words are sent back to it.

        Raises:
            SampleError: the last try gave no words at all.
        """
        refusals: tuple[str, ...] = ()
        for attempt in range(self.tools.settings.tries):
            last = attempt + 1 == self.tools.settings.tries
            try:
                wording = await self._instructed(attempt, refusals)
            except SampleError:
                if last:
                    raise
                continue
            results = self.tools.gates.of_writing(wording, self.tools.offers)
            if first_refusal(results) is None:
                wording, results = await self._finished(wording, attempt)
            refusal = first_refusal(results)
            if refusal is None or last:
                return wording, results
            refusals = (*refusals, refusal.sentence)
        raise AssertionError("there is at least one try")

    async def _instructed(self, attempt: int, refusals: tuple[str, ...]) -> Wording:
        question = InstructQuestion(
            subject=self.plan_id,
            seed=derive_seed(self.tools.seed, self.plan_id, f"words:{attempt}"),
            attempt=attempt,
            picture=self.picture,
            boxed=marked_with_boxes(self.picture, [thing.box for thing in self.target.objects]),
            target=self.target,
            edit_type=self.edit.edit_type,
            argument=self.edit.argument,
            refusals=refusals,
            along=self._along(),
        )
        written: WrittenInstruction = await self.tools.ask.instructor(question)
        return Wording.written(self.target, self.edit, written)

    def _along(self) -> tuple[int, ...]:
        offer = self.tools.offers.of(self.edit.edit_type)
        filled = spec_of(self.edit.edit_type).maker is Maker.INPAINTER
        return offer.taken_along(self.target) if filled else ()

    async def _finished(self, wording: Wording, attempt: int) -> tuple[Wording, tuple[GateResult, ...]]:
        """The first rewriting that passes, else the original instruction; then the text judge."""
        settings = self.tools.settings
        refusals: tuple[str, ...] = ()
        for number in range(settings.rewrite_tries):
            rewritten = await self._rewritten(wording, attempt, number, refusals)
            if isinstance(rewritten, SampleError):
                continue
            final = replace(wording, rewritten=rewritten)
            final = replace(final, referred=await self._referred(final, attempt))
            results = self.tools.gates.of_final(final, self.tools.offers)
            refusal = first_refusal(results)
            if refusal is None:
                return final, (*results, *await self._judged(final, attempt))
            refusals = (*refusals, refusal.sentence)
        final = replace(wording, referred=await self._referred(wording, attempt))
        results = self.tools.gates.of_final(final, self.tools.offers)
        if first_refusal(results) is None:
            results = (*results, *await self._judged(final, attempt))
        return final, results

    async def _rewritten(
        self, wording: Wording, attempt: int, number: int, refusals: tuple[str, ...]
    ) -> str | SampleError:
        step = derive_seed(self.tools.seed, self.plan_id, f"words:{attempt}")
        question = RewriteQuestion(
            subject=self.plan_id,
            seed=derive_seed(step, self.plan_id, f"rewriting:{number}" if number else "rewriting"),
            attempt=number,
            instruction=wording.instruction,
            edit_type=self.edit.edit_type,
            refusals=refusals,
        )
        try:
            return await self.tools.ask.rewriter(question)
        except SampleError as error:
            return error

    async def _referred(self, wording: Wording, attempt: int) -> tuple[int, ...]:
        question = ReferQuestion(
            subject=self.plan_id,
            seed=derive_seed(self.tools.seed, self.plan_id, f"referral:{attempt}"),
            picture=self.picture,
            numbered=numbered(self.picture, self.target.scene.objects),
            instruction=wording.final,
            scene=self.target.scene,
        )
        found = await self.tools.ask.referrer(question)
        return objects_meant(found, self.target.scene, self.tools.settings.min_referent_iou)

    async def _judged(self, wording: Wording, attempt: int) -> tuple[GateResult, ...]:
        """The text judge's verdict, if one is configured."""
        judge, settings = self.tools.ask.text_judge, self.tools.settings
        if judge is None:
            return ()
        question = TextQuestion(
            subject=self.plan_id,
            seed=derive_seed(self.tools.seed, self.plan_id, f"text_judge:{attempt}"),
            marked=marked_with_mask(self.picture, self.target),
            instruction=wording.final,
            reasoning=wording.reasoning,
            edit_type=self.edit.edit_type,
            argument=wording.argument,
        )
        verdict = await judge(question)
        agreement = measure("text_agreement", verdict.agreement, low=settings.min_agreement)
        detail = "" if agreement.passed else f"words and picture agree with probability {agreement.value:g}"
        result = GateResult(measurement=agreement, reason=Reason.TEXT_REFUSED, detail=detail)
        return result, *(GateResult(measurement=m, reason=Reason.TEXT_REFUSED) for m in verdict.measurements)

    def _record(self, wording: Wording, results: Sequence[GateResult]) -> EditPlan:
        return EditPlan(
            plan_id=self.plan_id,
            target=self.target,
            edit_type=self.edit.edit_type,
            argument=wording.argument,
            instruction=wording.final,
            instruction_before_rewriting=wording.instruction,
            reasoning=wording.reasoning,
            seed=derive_seed(self.tools.seed, self.plan_id, "edit"),
            gates=(*self.edit.choices, *(result.measurement for result in results)),
            models=self.tools.ask.models,
            prompts=self.tools.ask.prompts,
        )
