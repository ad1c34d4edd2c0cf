"""Each gate refuses a planted wrong sample that all other gates let pass."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tasks.records.errors import Reason
from tasks.records.records import EditType, Reasoning
from tasks.stages.instruction.gates import Draft, check, first_refusal
from tests.tasks.stages.instruction.drawn_scenes import cups, scene, target, thing

GOOD = Draft(
    target=target(cups(), 1),
    edit_type=EditType.COLOR,
    argument="blue",
    replied_type="Color",
    instruction_before_rewriting="Change the second cup from the left to blue.",
    instruction="Please recolor the second cup from the left to blue.",
    reasoning=Reasoning(
        scene_description="Among the things in this photograph are at least three cups and a laptop.",
        target_localization="The target is a red cup. Counting the cups from the left, it comes second.",
        editing_description="Only the color of the cup changes: red becomes blue.",
        post_edit_description="The second cup from the left is now blue.",
    ),
    referred=(1,),
)


def _part(name, text):
    return replace(GOOD, reasoning=replace(GOOD.reasoning, **{name: text}))


PLANTED = [
    (replace(GOOD, replied_type="Material"), Reason.WRONG_EDIT_TYPE),
    (
        replace(
            GOOD,
            instruction_before_rewriting="Remove the second cup from the left, not the blue one.",
            instruction="Get rid of the second cup from the left, not the blue one.",
        ),
        Reason.WRONG_EDIT_TYPE,
    ),
    (_part("target_localization", "The target is a red cup right of the first."), Reason.PARTS_DISAGREE),
    (_part("editing_description", "Only the color of the cup changes."), Reason.PARTS_DISAGREE),
    (_part("post_edit_description", "The second chair is now blue."), Reason.PARTS_DISAGREE),
    (_part("scene_description", "A laptop stands on the right."), Reason.PARTS_DISAGREE),
    (
        _part("editing_description", "The cup in the red box becomes blue."),
        Reason.MENTIONS_MARKING,
    ),
    (
        _part("scene_description", "At least three cups, one of them highlighted, and a laptop."),
        Reason.MENTIONS_MARKING,
    ),
    (replace(GOOD, referred=(1, 2)), Reason.AMBIGUOUS_REFERENCE),
    (replace(GOOD, referred=()), Reason.AMBIGUOUS_REFERENCE),
    (replace(GOOD, referred=(0,)), Reason.AMBIGUOUS_REFERENCE),
    (replace(GOOD, instruction="Please recolor the cup to blue."), Reason.REWRITE_LOST_FACT),
]


def test_the_good_draft_passes_every_gate():
    results = check(GOOD)
    assert first_refusal(results) is None
    assert len({result.measurement.name for result in results}) == 5


@pytest.mark.parametrize(("draft", "reason"), PLANTED)
def test_a_planted_fault_is_refused_by_its_gate_and_by_no_other(draft, reason):
    refusals = [result for result in check(draft) if not result.measurement.passed]
    assert [refusal.reason for refusal in refusals] == [reason]
    assert refusals[0].detail
    assert refusals[0].measurement.value >= 1


@pytest.mark.parametrize(
    "instruction",
    [
        "Please recolor the third cup from the left to blue.",
        "Please recolor the second cup from the right to blue.",
        "Please recolor the second bowl from the left to blue.",
        "Please recolor the second cup from the left to green.",
        "Please recolor both, the second cup from the left and two others, to blue.",
    ],
)
def test_a_rewriting_that_changes_ordinal_side_noun_colour_or_number_is_refused(instruction):
    results = {result.reason: result for result in check(replace(GOOD, instruction=instruction))}
    assert not results[Reason.REWRITE_LOST_FACT].measurement.passed


def test_a_thing_that_is_called_box_may_be_named():
    whole = scene(
        [thing("box", (100, 300, 200, 400), "brown"), thing("cup", (300, 300, 380, 380), "red")],
    )
    draft = Draft(
        target=target(whole, 0),
        edit_type=EditType.REMOVE,
        argument="none",
        replied_type="Remove",
        instruction_before_rewriting="Remove the box to the left of the cup.",
        instruction="Erase the box to the left of the cup.",
        reasoning=Reasoning(
            scene_description="A box and a cup.",
            target_localization="A brown box to the left of the cup.",
            editing_description="The box is removed.",
            post_edit_description="The box is gone.",
        ),
        referred=(0,),
    )
    assert first_refusal(check(draft)) is None
    assert first_refusal(check(replace(draft, instruction="Erase the masked box to the left of the cup.")))
