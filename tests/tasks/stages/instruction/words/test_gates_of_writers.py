"""Gates for one kind of writers are listed by name beside the general ones."""

from __future__ import annotations

from tasks.records.errors import Reason
from tasks.records.records import Box, EditType, Reasoning
from tasks.roles.backends import WORD_GATES
from tasks.roles.questions import WrittenInstruction
from tasks.stages.instruction.words.draft import Draft
from tasks.stages.instruction.words.gates import check_words, gates_named
from tasks.stages.instruction.words.scene import Thing, WordScene

DRAFT = Draft(
    scene=WordScene(
        width=100,
        height=100,
        things=(
            Thing(label="cup", box=Box(x0=10, y0=10, x1=30, y1=30), area=400),
            Thing(label="cup", box=Box(x0=60, y0=10, x1=80, y1=30), area=400),
        ),
        target=(0,),
    ),
    edit_type=EditType.REMOVE,
    argument="",
    raw="",
    reply=WrittenInstruction(
        edit_type="Remove",
        instruction="Remove the leftmost cup.",
        argument="",
        reasoning=Reasoning(
            scene_description="There are two cups.",
            target_localization="It is the leftmost cup.",
            editing_description="The cup is removed.",
            post_edit_description="The cup is gone.",
        ),
    ),
    rewritten="Erase the cup.",
)


def test_all_stands_for_the_gates_on_free_english_only():
    general = [gate.name for gate in gates_named(["all"])]
    assert general
    assert not set(general) & set(WORD_GATES)
    assert [gate.name for gate in gates_named(["all", *WORD_GATES])] == [*WORD_GATES, *general]


def test_a_writers_own_gate_refuses_for_its_own_reason():
    parts, rewriting = check_words(DRAFT, list(WORD_GATES))
    assert (parts.name, parts.passed) == ("closed_parts", True)
    assert (rewriting.name, rewriting.passed) == ("closed_rewriting", False)
    assert rewriting.reason is Reason.REWRITE_LOST_FACT
    assert "lost" in rewriting.detail
