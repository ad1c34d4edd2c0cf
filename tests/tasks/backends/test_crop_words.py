"""What an editor of a crop is told: the instruction, and where the target is when it is not alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tasks.backends.crop_words import crop_instruction, keeping, place_of
from tests.tasks.roles.role_questions import block, edit_question


@pytest.mark.parametrize(
    ("box", "words"),
    [
        ((50, 40, 70, 60), "in the middle"),
        ((0, 0, 20, 20), "at the upper left"),
        ((50, 0, 70, 10), "at the top"),
        ((100, 30, 120, 60), "on the right"),
        ((90, 70, 120, 90), "at the lower right"),
        ((0, 0, 120, 90), "in the middle"),
    ],
)
def test_a_place_is_named_by_thirds(box: tuple[int, int, int, int], words: str) -> None:
    assert place_of(block(*box)) == words


def test_an_empty_mask_lies_nowhere_but_has_a_key() -> None:
    assert place_of(np.zeros((9, 9), bool)) == "in the middle"


def test_a_target_alone_in_its_crop_needs_no_more_than_the_instruction() -> None:
    assert crop_instruction(edit_question()) == "Make the cup blue."


def test_among_similar_things_the_place_is_told_in_one_line() -> None:
    told = crop_instruction(replace(edit_question(), similar=2))
    assert told.startswith("Make the cup blue. This instruction was written for a larger picture")
    assert "the one that is meant is in the middle." in told
    assert "\n" not in told
    assert keeping(told).startswith(told)
