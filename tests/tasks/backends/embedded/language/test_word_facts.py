"""The closed-vocabulary checks find each planted fault and nothing in the good draft."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from tasks.backends.embedded.language.word_facts import closed_parts, closed_rewriting
from tasks.records.records import Reasoning
from tasks.roles.questions import WrittenInstruction


@dataclass(frozen=True)
class Labels:
    label: str = "cup"
    labels: frozenset[str] = frozenset({"cup", "laptop"})
    whole_label: str = ""


@dataclass(frozen=True)
class Draft:
    reply: WrittenInstruction | None
    rewritten: str
    argument: str = "blue"
    scene: Labels = Labels()


REASONING = Reasoning(
    scene_description="Among the things in this photograph are at least three cups and a laptop.",
    target_localization="The target is a red cup. Counting the cups from the left, it comes second.",
    editing_description="Only the color of the cup changes: red becomes blue.",
    post_edit_description="The second cup from the left is now blue.",
)
REPLY = WrittenInstruction(
    edit_type="Color",
    instruction="Change the second cup from the left to blue.",
    argument="blue",
    reasoning=REASONING,
)
GOOD = Draft(reply=REPLY, rewritten="Please recolor the second cup from the left to blue.")


def _part(name: str, text: str) -> Draft:
    return replace(GOOD, reply=replace(REPLY, reasoning=replace(REASONING, **{name: text})))


def test_the_good_draft_has_no_fault_with_and_without_its_rewriting():
    for draft in (GOOD, replace(GOOD, rewritten="")):
        assert closed_parts(draft) == closed_rewriting(draft) == ()


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        (
            "target_localization",
            "The target is a red cup right of the first.",
            "localization lacks ordinal 2",
        ),
        ("editing_description", "Only the color of the cup changes.", "editing_description lacks 'blue'"),
        (
            "post_edit_description",
            "The second chair is now blue.",
            "post_edit_description lacks the target's noun",
        ),
        ("scene_description", "A laptop stands on the right.", "scene_description lacks the target's noun"),
    ],
)
def test_a_part_that_lacks_a_fact_is_found(name, text, fault):
    draft = _part(name, text)
    assert fault in closed_parts(draft)
    assert closed_rewriting(draft) == ()


@pytest.mark.parametrize(
    ("rewritten", "fault"),
    [
        ("Please recolor the third cup from the left to blue.", "lost ordinal 2"),
        ("Please recolor the second cup from the right to blue.", "added side count_right"),
        ("Please recolor the second bowl from the left to blue.", "added noun bowl"),
        ("Please recolor the second cup from the left to green.", "added color green"),
        ("Please recolor both, the second cup from the left and two others, to blue.", "added number 2"),
        ("Please recolor the cup to blue.", "lost side count_left"),
    ],
)
def test_a_rewriting_that_changes_ordinal_side_noun_color_or_number_is_found(rewritten, fault):
    assert fault in closed_rewriting(replace(GOOD, rewritten=rewritten))


def test_a_reply_that_could_not_be_read_is_for_another_gate():
    unread = replace(GOOD, reply=None)
    assert closed_parts(unread) == closed_rewriting(unread) == ()


def test_an_edit_without_argument_asks_for_none():
    parts = replace(
        REASONING, editing_description="The cup is removed.", post_edit_description="The cup is gone."
    )
    reply = replace(REPLY, instruction="Remove the second cup from the left.", reasoning=parts)
    removal = Draft(reply=reply, rewritten="Erase the second cup from the left.", argument="none")
    assert closed_parts(removal) == closed_rewriting(removal) == ()
