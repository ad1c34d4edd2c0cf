"""Arguments as words: a thing, and the place where an addition goes."""

from __future__ import annotations

import pytest

from prompts import load_data
from tasks.backends.embedded.language.arguments import chosen_argument
from tasks.backends.embedded.language.instructor import PATTERNS
from tasks.backends.embedded.language.realization import Writer
from tasks.backends.embedded.language.scene_facts import FactLimits, gather_facts
from tasks.records.records import EditType
from tasks.roles.questions import InstructQuestion
from tests.tasks.roles.role_questions import unseen
from tests.tasks.stages.instruction.example_scenes import cups, target


def _chosen(edit_type, argument, seed=0, index=1):
    goal = target(cups(), index)
    question = InstructQuestion(
        subject="s", picture=unseen(), boxed=unseen(), target=goal, edit_type=edit_type, argument=argument
    )
    facts = gather_facts(goal, FactLimits(weak=0.2, named=0.8, color_share=0.7))
    return chosen_argument(question, facts, Writer(patterns=load_data(PATTERNS), seed=seed, key="k"))


@pytest.mark.parametrize(
    ("argument", "thing", "place"),
    [
        ("another cup to the left", "another cup", "to the left of"),
        ("another cup to the right of it", "another cup", "to the right of"),
        ("a dog in front of it", "a dog", "in front of"),
        ("bow tie", "bow tie", "next to"),
        ("hat on", "hat", "on"),
    ],
)
def test_the_place_of_an_addition_stands_apart_from_the_thing(argument, thing, place):
    found = _chosen(EditType.ADD, argument)
    assert (found.text, found.thing, found.place) == (argument, thing, place)


def test_a_chosen_color_is_unlike_the_present_one():
    chosen = {_chosen(EditType.COLOR, "", seed).text for seed in range(40)}
    assert len(chosen) > 1
    assert not chosen & {"red", "orange", "pink"}
