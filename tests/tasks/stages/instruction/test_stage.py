"""The stage: one outcome an input, tries with other seeds, reasons, determinism."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from tasks.backends.embedded.language.instructor import SceneFactsInstructor
from tasks.backends.embedded.language.referrer import GrammarReferrer
from tasks.backends.embedded.language.rewriter import ParaphraseRewriter
from tasks.records.errors import Reason
from tasks.records.outcomes import BlobRef, StageInput
from tasks.records.records import EditType
from tasks.records.settings_base import RoleSettings
from tasks.stages.instruction.settings import InstructionSettings
from tasks.stages.instruction.stage import PROMPTS, InstructionStage
from tests.tasks.stages.instruction.drawn_scenes import (
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


class NoPixels:
    """A reader nobody may ask."""

    def data(self, ref):
        raise AssertionError(ref)

    def rgb(self, ref):
        raise AssertionError(ref)


class GrayPixels(NoPixels):
    """A reader of one gray picture."""

    def rgb(self, ref):
        return np.full((HEIGHT, WIDTH, 3), 128, dtype=np.uint8)


class ScriptedInstructor(SceneFactsInstructor):
    """Gives prepared replies in turn, as a model would that fails at first."""

    def __init__(self, *replies):
        super().__init__()
        self.replies = list(replies)
        self.requests = []

    def write(self, requests):
        self.requests += requests
        return [
            reply if (reply := self.replies.pop(0)) else super(ScriptedInstructor, self).write([r])[0]
            for r in requests
        ]


def _stage(instructor=None, seed=0, weights=None, **settings):
    return InstructionStage(
        InstructionSettings(
            instructor=ROLE,
            rewriter=ROLE,
            referrer=ROLE,
            weights=weights or {EditType.COLOR: 1.0, EditType.REMOVE: 1.0},
            **settings,
        ),
        seed,
        instructor=instructor or SceneFactsInstructor(),
        rewriter=ParaphraseRewriter(),
        referrer=GrammarReferrer(),
        offers=(EditType.COLOR,),
    )


def _input(grounded):
    return StageInput(id=grounded.target_id, record=grounded, blobs={"source.jpg": SOURCE})


def test_a_kept_plan_says_everything_that_provenance_needs():
    (outcome,) = _stage().process([_input(target(cups(), 1))], NoPixels())
    (child,) = outcome.children
    plan = child.record
    assert child.reason is None
    assert child.id == plan.plan_id == "a" * 26 + "-t0-p0"
    assert [name for name, _ in plan.prompts] == list(PROMPTS)
    assert {m.role for m in plan.models} == {"instructor", "rewriter", "referrer"}
    assert all(gate.passed for gate in plan.gates)
    assert plan.instruction != ""


def test_every_target_of_the_drawn_scenes_gets_exactly_one_outcome():
    for make in ALL:
        whole = make()
        inputs = [_input(target(whole, o.index, name=f"t{o.index}")) for o in whole.objects]
        outcomes = _stage().process(inputs, NoPixels())
        assert [o.input_id for o in outcomes] == [i.id for i in inputs]


def test_the_words_do_not_depend_on_the_batch_or_its_order():
    inputs = [_input(target(cups(), n, name=f"t{n}")) for n in range(3)]
    together = _stage(seed=3).process(inputs, NoPixels())
    backwards = _stage(seed=3).process(inputs[::-1], NoPixels())[::-1]
    alone = [_stage(seed=3).process([item], NoPixels())[0] for item in inputs]
    assert together == backwards == alone


def test_another_seed_gives_other_words():
    inputs = [_input(target(cups(), 1))]
    words = {_stage(seed=s).process(inputs, NoPixels())[0].children[0].record.instruction for s in range(12)}
    assert len(words) > 4


def test_a_bad_reply_is_tried_again_with_another_seed():
    instructor = ScriptedInstructor("no JSON at all", None)
    (outcome,) = _stage(instructor, tries=2).process([_input(target(cups(), 1))], NoPixels())
    assert outcome.children[0].reason is None
    assert len({request.seed for request in instructor.requests}) == 2


def test_after_the_last_try_the_child_is_rejected_with_its_reason():
    instructor = ScriptedInstructor("no", "no")
    (outcome,) = _stage(instructor, tries=2).process([_input(target(cups(), 1))], NoPixels())
    (child,) = outcome.children
    assert (child.reason, child.record) == (Reason.BAD_REPLY, None)


def test_a_refused_plan_keeps_its_record():
    wrong = json.dumps(
        {
            "Editing_Type": "Remove",
            "Editing_Instruction": "Remove the cup.",
            "CoT": {
                "1_Scene_Description": "Some cups and a laptop.",
                "2_Target_Localization": "A red cup in the left part.",
                "3_Editing_Description": "The cup is removed.",
                "4_Post_Edit_Description": "The cup is gone.",
            },
        }
    )
    stage = _stage(ScriptedInstructor(wrong), weights={EditType.REMOVE: 1.0}, tries=1)
    (child,) = stage.process([_input(target(cups(), 1))], NoPixels())[0].children
    assert child.reason is Reason.AMBIGUOUS_REFERENCE
    assert child.record.instruction_before_rewriting == "Remove the cup."
    assert [gate.name for gate in child.record.gates if not gate.passed] == ["reference_mismatches"]


def test_no_edit_type_ends_the_input_and_says_why():
    stage = _stage(weights={EditType.COLOR: 1.0})
    (outcome,) = stage.process([_input(target(street(), 1))], NoPixels())
    assert outcome.reason is Reason.NO_EDIT_TYPE
    assert "Color: not for the kind person" in outcome.detail
    assert outcome.children == ()


def test_a_target_that_nothing_singles_out_is_rejected():
    alone = scene([thing("cup", (450, 400, 540, 500), "white"), thing("person", (300, 100, 700, 700))])
    (outcome,) = _stage().process([_input(target(alone, 0))], NoPixels())
    assert outcome.children[0].reason is Reason.NO_UNIQUE_REFERENCE


def test_several_plans_of_a_target_are_different_edits_other_types_first():
    (outcome,) = _stage(plans_per_target=8).process([_input(target(cups(), 1))], NoPixels())
    edits = [(child.record.edit_type, child.record.argument) for child in outcome.children]
    types = [edit_type for edit_type, _ in edits]
    assert len(set(edits)) == len(edits) > len(set(types)) > 1
    assert len(set(types[: len(set(types))])) == len(set(types)), "no type comes again before all have come"
    assert [child.id[-2:] for child in outcome.children] == [f"p{n}" for n in range(len(edits))]
    assert len({child.record.seed for child in outcome.children}) == len(edits)


def test_more_plans_leave_the_first_one_as_it_is():
    (one,) = _stage().process([_input(target(cups(), 1))], NoPixels())
    (more,) = _stage(plans_per_target=3).process([_input(target(cups(), 1))], NoPixels())
    assert more.children[0] == one.children[0]


def test_a_backend_that_looks_at_pixels_gets_the_source_and_the_box():
    class Looking(ScriptedInstructor):
        needs_pixels = True

    instructor = Looking(None)
    _stage(instructor).process([_input(target(desk(), 1))], GrayPixels())
    (request,) = instructor.requests
    box = request.target.objects[0].box
    assert request.image[box.y0, box.x0].tolist() == [128, 128, 128]
    assert request.boxed[box.y0, box.x0].tolist() == [255, 0, 0]
    # The instructor sees the box only: inside it the picture is untouched.
    assert request.boxed[(box.y0 + box.y1) // 2, (box.x0 + box.x1) // 2].tolist() == [128, 128, 128]
    assert "$" not in request.prompt


def test_another_kind_of_record_is_a_programming_error():
    item = StageInput(id="x", record=cups().source, blobs={})
    with pytest.raises(TypeError, match="SourceImage"):
        _stage().process([item], NoPixels())


def test_the_frozen_draft_is_reproducible():
    # A golden sentence: when it changes, a step's version must be raised.
    plan = _stage(seed=7).process([_input(target(cups(), 1))], NoPixels())[0].children[0].record
    again = _stage(seed=7).process([_input(replace(target(cups(), 1)))], NoPixels())[0].children[0].record
    assert plan == again
