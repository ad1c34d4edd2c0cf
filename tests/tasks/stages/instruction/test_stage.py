"""The stage: one outcome per input, tries per role, reasons, determinism."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from pydantic import ValidationError

from tasks.backends.embedded.language.instructor import SceneFactsInstructor
from tasks.backends.embedded.language.referrer import GrammarReferrer
from tasks.backends.embedded.language.rewriter import ParaphraseRewriter
from tasks.records.errors import Reason, SampleError
from tasks.records.outcomes import BlobRef, StageInput
from tasks.records.records import EditType, Reasoning
from tasks.records.settings_base import RoleSettings
from tasks.roles.backends import choose
from tasks.roles.offers import Offers, offer_of
from tasks.roles.questions import TextVerdict, WrittenInstruction
from tasks.stages.instruction.settings import InstructionSettings
from tasks.stages.instruction.stage import InstructionAsks, instruct
from tasks.stages.instruction.word_gates import WordGates
from tests.tasks.stages.answering import BackendAsk, GivenAsk, answered
from tests.tasks.stages.instruction.example_scenes import (
    ALL,
    HEIGHT,
    WIDTH,
    cups,
    desk,
    scene,
    street,
    target,
    thing,
)

ROLE = RoleSettings(backend="given")
SOURCE = BlobRef(path="source", offset=0, length=1, sha256="0" * 64)
OFFERS = Offers(
    editor=offer_of(choose("editor", RoleSettings(backend="classical"), "editor")),
    inpainter=offer_of(choose("inpainter", RoleSettings(backend="patchmatch"), "inpainter")),
)
CLOSED = ("all", "closed_parts", "closed_rewriting")


class NoPixels:
    """A reader that must not be used."""

    def data(self, ref):
        raise AssertionError(ref)

    def rgb(self, ref):
        raise AssertionError(ref)


class GrayPixels(NoPixels):
    """A reader of one gray picture."""

    def rgb(self, ref):
        return np.full((HEIGHT, WIDTH, 3), 128, dtype=np.uint8)


def scripted(*replies):
    """An instructor with prepared replies in turn; None means the embedded one's own reply."""
    left, own = list(replies), SceneFactsInstructor()
    return GivenAsk("instructor", lambda question: left.pop(0) or own.answer([question])[0])


def _stage(instructor=None, seed=0, weights=None, rewriter=None, referrer=None, text_judge=None, **settings):
    configured = InstructionSettings(
        instructor=ROLE,
        rewriter=ROLE,
        referrer=ROLE,
        gates=settings.pop("gates", CLOSED),
        weights=weights or {EditType.COLOR: 1.0, EditType.REMOVE: 1.0},
        **settings,
    )
    ask = InstructionAsks(
        instructor=instructor or BackendAsk(SceneFactsInstructor()),
        rewriter=rewriter or BackendAsk(ParaphraseRewriter()),
        referrer=referrer or BackendAsk(GrammarReferrer()),
        text_judge=text_judge,
    )
    return partial(
        instruct, ask=ask, offers=OFFERS, gates=WordGates.of(configured), settings=configured, seed=seed
    )


def _input(grounded):
    return StageInput(id=grounded.target_id, record=grounded, blobs={"source.jpg": SOURCE})


def test_a_kept_plan_says_everything_that_provenance_needs():
    (outcome,) = answered(_stage(), [_input(target(cups(), 1))], NoPixels())
    (child,) = outcome.children
    plan = child.record
    assert child.reason is None
    assert child.id == plan.plan_id == "a" * 26 + "-t0-p0"
    assert plan.prompts == ()
    assert {m.role for m in plan.models} == {"instructor", "rewriter", "referrer"}
    assert all(gate.passed for gate in plan.gates)
    assert plan.instruction != ""


def test_every_target_of_the_example_scenes_gets_exactly_one_outcome():
    for make in ALL:
        whole = make()
        inputs = [_input(target(whole, o.index, name=f"t{o.index}")) for o in whole.objects]
        outcomes = answered(_stage(), inputs, NoPixels())
        assert [o.input_id for o in outcomes] == [i.id for i in inputs]


def test_the_words_do_not_depend_on_the_batch_or_its_order():
    inputs = [_input(target(cups(), n, name=f"t{n}")) for n in range(3)]
    together = answered(_stage(seed=3), inputs, NoPixels())
    backwards = answered(_stage(seed=3), inputs[::-1], NoPixels())[::-1]
    alone = [answered(_stage(seed=3), [item], NoPixels())[0] for item in inputs]
    assert together == backwards == alone


def test_another_seed_gives_other_words():
    inputs = [_input(target(cups(), 1))]
    words = {
        answered(_stage(seed=s), inputs, NoPixels())[0].children[0].record.instruction for s in range(12)
    }
    assert len(words) > 4


def test_a_bad_reply_is_tried_again_with_another_seed():
    instructor = scripted(SampleError(Reason.BAD_REPLY, "not_json"), None)
    (outcome,) = answered(_stage(instructor, tries=2), [_input(target(cups(), 1))], NoPixels())
    assert outcome.children[0].reason is None
    assert [question.attempt for question in instructor.asked] == [0, 1]
    assert len({question.seed for question in instructor.asked}) == 2


def test_after_the_last_try_the_child_is_rejected_with_its_reason():
    refused = SampleError(Reason.BAD_REPLY, "not_json")
    instructor = scripted(refused, refused)
    (outcome,) = answered(_stage(instructor, tries=2), [_input(target(cups(), 1))], NoPixels())
    (child,) = outcome.children
    assert (child.reason, child.record) == (Reason.BAD_REPLY, None)


WRONG = WrittenInstruction(
    edit_type="Remove",
    instruction="Remove the cup.",
    argument="",
    reasoning=Reasoning(
        scene_description="Some cups and a laptop.",
        target_localization="A red cup in the left part.",
        editing_description="The cup is removed.",
        post_edit_description="The cup is gone.",
    ),
)


def test_a_rejected_plan_keeps_its_record_and_the_writer_gets_the_reason():
    instructor = scripted(WRONG, WRONG)
    stage = _stage(
        instructor, weights={EditType.REMOVE: 1.0}, tries=2, rewrite_tries=0, gates=("marking", "round_trip")
    )
    (child,) = answered(stage, [_input(target(cups(), 1))], NoPixels())[0].children
    assert child.reason is Reason.AMBIGUOUS_REFERENCE
    assert child.record.instruction_before_rewriting == "Remove the cup."
    assert [gate.name for gate in child.record.gates if not gate.passed] == ["words_round_trip"]
    assert [len(question.refusals) for question in instructor.asked] == [0, 1]


def test_a_rejected_rewriting_is_rewritten_and_then_the_original_is_used_without_the_instructor():
    instructor = scripted(None, None)
    rewriter = GivenAsk("rewriter", lambda question: "Remove the green elephant on the moon.")
    stage = _stage(instructor, rewriter=rewriter, rewrite_tries=2)
    (child,) = answered(stage, [_input(target(cups(), 1))], NoPixels())[0].children
    assert child.reason is None, child.detail
    assert child.record.instruction == child.record.instruction_before_rewriting
    assert len(instructor.asked) == 1
    assert [(q.attempt, len(q.refusals)) for q in rewriter.asked] == [(0, 0), (1, 1)]


def test_the_text_judge_is_asked_last_and_its_probability_is_kept():
    judge = GivenAsk("text_judge", lambda question: TextVerdict(agreement=0.25))
    stage = _stage(text_judge=judge, tries=1, min_agreement=0.5)
    (child,) = answered(stage, [_input(target(cups(), 1))], GrayPixels())[0].children
    assert child.reason is Reason.TEXT_REFUSED
    assert child.record.gates[-1].value == 0.25
    assert len(judge.asked) == 1


def test_no_edit_type_ends_the_input_and_says_why():
    stage = _stage(weights={EditType.COLOR: 1.0})
    (outcome,) = answered(stage, [_input(target(street(), 1))], NoPixels())
    assert outcome.reason is Reason.NO_EDIT_TYPE
    assert "Color: not for the kind person" in outcome.detail
    assert outcome.children == ()


def test_a_target_that_nothing_singles_out_is_rejected():
    rows = [
        (360, 300),
        (500, 290),
        (640, 300),
        (360, 420),
        (500, 430),
        (640, 420),
        (360, 540),
        (500, 550),
        (640, 540),
    ]
    alike = scene([thing("cup", (x, y, x + 90, y + 90), "white") for x, y in rows])
    (outcome,) = answered(_stage(), [_input(target(alike, 4))], NoPixels())
    assert outcome.children[0].reason is Reason.NO_UNIQUE_REFERENCE


def test_several_plans_of_a_target_are_different_edits_other_types_first():
    (outcome,) = answered(_stage(plans_per_target=8), [_input(target(cups(), 1))], NoPixels())
    edits = [(child.record.edit_type, child.record.argument) for child in outcome.children]
    types = [edit_type for edit_type, _ in edits]
    assert len(set(edits)) == len(edits) > len(set(types)) > 1
    assert len(set(types[: len(set(types))])) == len(set(types)), "no type comes again before all have come"
    assert [child.id[-2:] for child in outcome.children] == [f"p{n}" for n in range(len(edits))]
    assert len({child.record.seed for child in outcome.children}) == len(edits)


@pytest.mark.parametrize("most", [1, 2])
def test_a_type_comes_as_often_as_it_may_with_another_argument_each_time(most):
    stage = _stage(plans_per_target=8, most_per_type={EditType.COLOR: most})
    (outcome,) = answered(stage, [_input(target(cups(), 1))], NoPixels())
    edits = [(child.record.edit_type, child.record.argument) for child in outcome.children]
    colors = [edit for edit in edits if edit[0] is EditType.COLOR]
    assert len(set(colors)) == len(colors) == most


def test_types_without_a_limit_come_as_often_as_their_arguments_allow():
    stage = _stage(plans_per_target=8, most_per_type={EditType.REMOVE: 1})
    (outcome,) = answered(stage, [_input(target(cups(), 1))], NoPixels())
    types = [child.record.edit_type for child in outcome.children]
    assert types.count(EditType.COLOR) > 2


def test_a_type_that_may_never_come_is_a_weight_and_no_limit():
    with pytest.raises(ValidationError, match="most_per_type"):
        _stage(most_per_type={EditType.COLOR: 0})


def test_a_type_that_is_held_back_leaves_the_other_plans_as_they_are():
    held = {EditType.COLOR: 0.0}
    (outcome,) = answered(_stage(plans_per_target=3, chances=held), [_input(target(cups(), 1))], NoPixels())
    assert {child.record.edit_type for child in outcome.children} == {EditType.REMOVE}
    nothing = {EditType.COLOR: 0.0, EditType.REMOVE: 0.0}
    (outcome,) = answered(_stage(chances=nothing), [_input(target(cups(), 1))], NoPixels())
    assert outcome.reason is Reason.NO_EDIT_TYPE
    assert "held back by its chance" in outcome.detail


def test_more_plans_leave_the_first_one_as_it_is():
    (one,) = answered(_stage(), [_input(target(cups(), 1))], NoPixels())
    (more,) = answered(_stage(plans_per_target=3), [_input(target(cups(), 1))], NoPixels())
    assert more.children[0] == one.children[0]


def test_a_backend_that_looks_at_pixels_gets_the_source_and_the_box_and_others_cost_no_decoding():
    instructor = scripted(None)
    answered(_stage(instructor), [_input(target(desk(), 1))], GrayPixels())
    (question,) = instructor.asked
    box = question.target.objects[0].box
    assert question.picture.rgb[box.y0, box.x0].tolist() == [128, 128, 128]
    assert question.boxed.rgb[box.y0, box.x0].tolist() == [255, 0, 0]
    # The instructor sees only the box: inside it the picture is unchanged.
    middle = question.boxed.rgb[(box.y0 + box.y1) // 2, (box.x0 + box.x1) // 2]
    assert middle.tolist() == [128, 128, 128]


def test_another_kind_of_record_is_a_crash_of_that_input():
    item = StageInput(id="x", record=cups().source, blobs={})
    (outcome,) = answered(_stage(), [item], NoPixels())
    assert (outcome.reason, outcome.detail) == (Reason.CRASHED, "TypeError")


def test_the_frozen_draft_is_reproducible():
    # A golden sentence: if it changes, a step's version must be increased.
    plan = answered(_stage(seed=7), [_input(target(cups(), 1))], NoPixels())[0].children[0].record
    again = answered(_stage(seed=7), [_input(replace(target(cups(), 1)))], NoPixels())[0].children[0].record
    assert plan == again
