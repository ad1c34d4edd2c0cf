"""The instruction stage: grounded target -> edit type -> instruction and reasoning -> rewriting -> gates -> plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from string import Template
from typing import TypeVar

import numpy as np

from prompts import load_prompt, prompt_digests
from tasks.imaging.arrays import Image
from tasks.records.errors import Reason, SampleError
from tasks.records.measuring import measure
from tasks.records.outcomes import Child, Outcome, PixelReader, StageInput, ended
from tasks.records.records import EditPlan, EditType, GroundedTarget, ModelIdentity
from tasks.records.seeds import derive_seed
from tasks.roles.questions import (
    InstructionRequest,
    Instructor,
    ReferralRequest,
    Referrer,
    Rewriter,
    RewriteRequest,
)
from tasks.stages.grounding.red_picture import draw_box
from tasks.stages.instruction.edit_types import DrawnEdit, allowed_types, draw_edit_type
from tasks.stages.instruction.gates import Draft, GateResult, check, first_refusal
from tasks.stages.instruction.parsing import Reply, parse_reply, parse_rewriting
from tasks.stages.instruction.settings import InstructionSettings

STEP_VERSIONS: dict[str, int] = {"draw": 4, "ask": 1, "parse": 1, "rewrite": 1, "gates": 2}
"""Raised by one when a step's code changes what comes out; part of the stage's configuration digest."""

PROMPTS = (
    "instructor",
    "rewriter",
    "referrer",
    "patterns_instructor",
    "patterns_rewriter",
    "nouns",
    "words",
)
"""All files of ``prompts`` that can change this stage's results, for its digest and for provenance."""

NO_PIXELS: Image = np.zeros((0, 0, 3), dtype=np.uint8)
"""Given to backends that don't look at the picture, so that it is not decoded for nothing."""


Parsed = TypeVar("Parsed")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Order:
    """A plan that is still to be written."""

    plan_id: str
    target: GroundedTarget
    drawn: DrawnEdit
    image: Image
    boxed: Image


class InstructionStage:
    """Draws an edit for each target, has it put into words, and lets only words through that single it out.

    Args:
        settings: weights, plans a target, tries.
        seed: the build's seed.
        instructor, rewriter, referrer: the loaded backends.
        offers: edit types the chosen editor offers; Remove is the inpainter's and always there.
    """

    def __init__(
        self,
        settings: InstructionSettings,
        seed: int,
        *,
        instructor: Instructor,
        rewriter: Rewriter,
        referrer: Referrer,
        offers: tuple[EditType, ...],
    ) -> None:
        self._settings = settings
        self._seed = seed
        self._instructor = instructor
        self._rewriter = rewriter
        self._referrer = referrer
        self._offers = offers
        self._prompts = prompt_digests(PROMPTS)

    @property
    def models(self) -> tuple[ModelIdentity, ...]:
        """Instructor, rewriter, referrer."""
        return (self._instructor.identity, self._rewriter.identity, self._referrer.identity)

    def process(self, inputs: Sequence[StageInput], pixels: PixelReader) -> list[Outcome]:
        """One outcome an input, with a child for each plan; a refused plan keeps what was written."""
        orders: list[_Order] = []
        outcomes: dict[str, Outcome] = {}
        for item in inputs:
            try:
                orders += self._draw(item, pixels)
            except SampleError as error:
                outcomes[item.id] = ended(item.id, error)
        children = self._write_all(orders)
        for item in inputs:
            if item.id not in outcomes:
                own = tuple(children[o.plan_id] for o in orders if o.target.target_id == item.id)
                outcomes[item.id] = Outcome(input_id=item.id, children=own)
        return [outcomes[item.id] for item in inputs]

    def _draw(self, item: StageInput, pixels: PixelReader) -> list[_Order]:
        target = item.record
        if not isinstance(target, GroundedTarget):
            msg = f"{item.id}: the instruction stage takes grounded targets, not {type(target).__name__}"
            raise TypeError(msg)
        weights = self._settings.weights
        image, boxed = self._pictures(item, target, pixels)
        orders: list[_Order] = []
        for number in range(self._settings.plans_per_target):
            plan_id = f"{target.target_id}-p{number}"
            taken = [(order.drawn.edit_type, order.drawn.argument) for order in orders]
            drawn = draw_edit_type(target, self._offers, weights, self._seed, plan_id, taken)
            if drawn is None and orders:
                break  # each plan of a target is another edit, and there are no more
            if drawn is None:
                why = allowed_types(target, self._offers, weights)
                detail = ", ".join(f"{edit_type.value}: {text}" for edit_type, text in why.items())
                raise SampleError(Reason.NO_EDIT_TYPE, detail)
            orders.append(_Order(plan_id=plan_id, target=target, drawn=drawn, image=image, boxed=boxed))
        return orders

    def _pictures(self, item: StageInput, target: GroundedTarget, pixels: PixelReader) -> tuple[Image, Image]:
        """The source and the source with the box, or nothing when no backend looks at them."""
        if not (needs_pixels(self._instructor) or needs_pixels(self._referrer)):
            return NO_PIXELS, NO_PIXELS
        image = pixels.rgb(item.blobs["source.jpg"])
        return image, draw_box(image, [thing.box for thing in target.objects])

    def _write_all(self, orders: Sequence[_Order]) -> dict[str, Child]:
        """Children by plan id; whatever a gate refuses is tried again with another seed, so often as is set."""
        children: dict[str, Child] = {}
        waiting = list(orders)
        for attempt in range(self._settings.tries):
            tried = self._attempt(waiting, attempt)
            children.update({child.id: child for child in tried})
            waiting = [order for order in waiting if children[order.plan_id].reason is not None]
            if not waiting:
                break
        return children

    def _attempt(self, orders: Sequence[_Order], attempt: int) -> list[Child]:
        """One round of asking, rewriting and finding again; batches as large as the round."""
        seeds = [derive_seed(self._seed, order.plan_id, f"words:{attempt}") for order in orders]
        asked = [self._request(order, seed) for order, seed in zip(orders, seeds, strict=True)]
        replies = [_tolerant(parse_reply, raw) for raw in self._instructor.write(asked)] if asked else []
        good = [(o, s, r) for o, s, r in zip(orders, seeds, replies, strict=True) if isinstance(r, Reply)]
        template = load_prompt("rewriter").text
        rewritings = self._rewriter.rewrite(
            [
                RewriteRequest(
                    instruction=r.instruction,
                    edit_type=o.drawn.edit_type,
                    prompt=Template(template).safe_substitute(instruction=r.instruction),
                    seed=derive_seed(s, o.plan_id, "rewriting"),
                )
                for o, s, r in good
            ]
        )
        finals = [_tolerant(parse_rewriting, raw) for raw in rewritings]
        found = self._referrer.refer(
            [
                ReferralRequest(
                    image=o.image,
                    instruction=f if isinstance(f, str) else r.instruction,
                    scene=o.target.scene,
                )
                for (o, _, r), f in zip(good, finals, strict=True)
            ]
        )
        written = {
            o.plan_id: f if isinstance(f, SampleError) else self._finish(o, r, f, indices)
            for (o, _, r), f, indices in zip(good, finals, found, strict=True)
        }
        return [
            _child(order.plan_id, written.get(order.plan_id, reply))
            for order, reply in zip(orders, replies, strict=True)
        ]

    def _request(self, order: _Order, seed: int) -> InstructionRequest:
        edit_type, argument = order.drawn.edit_type, order.drawn.argument
        prompt = Template(load_prompt("instructor").text).safe_substitute(
            edit_type=edit_type.value, argument=argument
        )
        return InstructionRequest(
            image=order.image,
            boxed=order.boxed,
            target=order.target,
            edit_type=edit_type,
            argument=argument,
            prompt=prompt,
            seed=seed,
        )

    def _finish(
        self, order: _Order, reply: Reply, instruction: str, referred: tuple[int, ...]
    ) -> tuple[EditPlan, GateResult | None]:
        """The plan with all its measurements, and the first gate that refuses it."""
        results = check(
            Draft(
                target=order.target,
                edit_type=order.drawn.edit_type,
                argument=order.drawn.argument,
                replied_type=reply.edit_type,
                instruction_before_rewriting=reply.instruction,
                instruction=instruction,
                reasoning=reply.reasoning,
                referred=referred,
            )
        )
        schema = measure("reply_fits_schema", 1, low=1)
        plan = EditPlan(
            plan_id=order.plan_id,
            target=order.target,
            edit_type=order.drawn.edit_type,
            argument=order.drawn.argument,
            instruction=instruction,
            instruction_before_rewriting=reply.instruction,
            reasoning=reply.reasoning,
            seed=derive_seed(self._seed, order.plan_id, "edit"),
            gates=(*order.drawn.choices, schema, *(result.measurement for result in results)),
            models=self.models,
            prompts=self._prompts,
        )
        return plan, first_refusal(results)


def needs_pixels(backend: object) -> bool:
    """Whether a backend looks at pictures; it does unless it says ``needs_pixels = False``."""
    return bool(getattr(backend, "needs_pixels", True))


def _child(plan_id: str, result: tuple[EditPlan, GateResult | None] | Reply | SampleError) -> Child:
    if isinstance(result, SampleError):
        return Child(
            id=plan_id,
            record=None,
            reason=result.reason,
            detail=result.detail,
            measured=result.measured,
        )
    assert isinstance(result, tuple), "a good reply always gets a plan"
    plan, refusal = result
    if refusal is None:
        return Child(id=plan_id, record=plan)
    return Child(
        id=plan_id,
        record=plan,
        reason=refusal.reason,
        detail=refusal.detail,
        measured=(refusal.measurement,),
    )


def _tolerant(parse: Callable[[str], Parsed], raw: str) -> Parsed | SampleError:
    """What a parser makes of a raw reply, or the reason why it can't."""
    try:
        return parse(raw)
    except SampleError as error:
        return error
