"""Boxes that a referrer points at, and the objects they mean."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tasks.records.records import Box, Distractor
from tasks.roles.questions import Referents
from tasks.stages.instruction.referents import objects_meant
from tests.tasks.stages.instruction.example_scenes import scene, thing

LEFT, RIGHT, WEAK = (100, 100, 200, 200), (400, 100, 500, 200), (700, 100, 800, 200)
SCENE = scene([thing("cup", LEFT, "red"), thing("cup", RIGHT, "red")])


def box(x0: int, y0: int, x1: int, y1: int) -> Box:
    return Box(x0=x0, y0=y0, x1=x1, y1=y1)


def meant(*boxes: Box, min_iou: float = 0.5, whole=SCENE) -> tuple[int, ...]:
    return objects_meant(Referents(boxes=boxes), whole, min_iou)


@pytest.mark.parametrize(
    ("boxes", "objects"),
    [
        ((box(*LEFT),), (0,)),
        ((box(*RIGHT), box(*LEFT)), (0, 1)),
        ((box(*LEFT), box(105, 95, 205, 195)), (0,)),
        ((), ()),
    ],
)
def test_a_box_means_the_object_that_it_covers(boxes, objects):
    assert meant(*boxes) == objects


def test_a_box_at_half_of_the_union_still_counts_and_less_does_not():
    half = box(100, 100, 200, 150)
    assert meant(half) == (0,)
    assert meant(half, min_iou=0.51) == (2,)


def test_a_box_over_something_that_nobody_detected_is_never_the_target():
    assert meant(box(*LEFT), box(700, 400, 800, 500)) == (0, 2)


def test_a_box_over_a_weak_detection_means_that():
    weak = Distractor(label="cup", box=box(*WEAK), score=0.2)
    assert meant(box(*WEAK), whole=replace(SCENE, distractors=(weak,))) == (2,)


def test_numbers_are_taken_as_they_are():
    assert objects_meant(Referents(objects=(1,)), SCENE, 0.5) == (1,)
