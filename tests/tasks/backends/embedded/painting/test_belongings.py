"""What goes with a person who is removed, and what makes a removal too doubtful to be offered."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tasks.backends.embedded.painting.belongings import (
    belongings_of,
    boxes_of_belongings,
    doubtful_belongings,
    parts_of,
)
from tasks.imaging.geometry import to_rle
from tasks.records.records import GroundedTarget, Scene
from tests.tasks.stages.instruction.example_scenes import HEIGHT, WIDTH, scene, target, thing

PERSON = ("person", (400, 200, 520, 600))


def with_masks(whole: Scene) -> Scene:
    """The scene with a full box as the mask of each thing."""
    objects = []
    for item in whole.objects:
        mask = np.zeros((HEIGHT, WIDTH), bool)
        mask[item.box.y0 : item.box.y1, item.box.x0 : item.box.x1] = True
        objects.append(replace(item, mask=to_rle(mask)))
    return replace(whole, objects=tuple(objects))


def _with(label: str, box: tuple[int, int, int, int], **changes: object) -> GroundedTarget:
    whole = with_masks(scene([thing(*PERSON), thing(label, box)]))
    objects = (whole.objects[0], replace(whole.objects[1], **changes))
    return target(replace(whole, objects=objects), 0)


@pytest.mark.parametrize(
    ("label", "box"),
    [
        ("backpack", (500, 260, 560, 380)),
        ("umbrella", (380, 170, 540, 260)),
        ("tennis racket", (510, 380, 570, 470)),
        ("cell phone", (515, 300, 535, 330)),
        ("bicycle", (380, 380, 640, 640)),
    ],
)
def test_what_a_person_carries_or_rides_goes_along(label: str, box: tuple[int, int, int, int]) -> None:
    grounded = _with(label, box)
    assert belongings_of(grounded) == (1,)
    assert doubtful_belongings(grounded) == ()


@pytest.mark.parametrize(
    ("label", "box"),
    [
        ("chair", (500, 260, 560, 380)),
        ("dog", (500, 500, 560, 600)),
        ("backpack", (700, 260, 760, 380)),
        ("handbag", (545, 260, 575, 300)),
    ],
)
def test_other_things_and_what_stands_apart_stay(label: str, box: tuple[int, int, int, int]) -> None:
    assert belongings_of(_with(label, box)) == ()


def test_a_thing_has_no_belongings() -> None:
    whole = with_masks(scene([thing("chair", PERSON[1]), thing("backpack", (500, 260, 560, 380))]))
    assert belongings_of(target(whole, 0)) == ()


def test_a_belonging_with_a_doubtful_mask_goes_along_if_it_is_small() -> None:
    small = _with("skateboard", (420, 580, 500, 620), mask_score=0.6)
    assert (belongings_of(small), doubtful_belongings(small)) == ((1,), ())
    large = _with("backpack", (440, 260, 560, 380), mask_score=0.6)
    assert (belongings_of(large), doubtful_belongings(large)) == ((), ("backpack",))
    faint = _with("skateboard", (420, 580, 500, 620), mask_score=0.6, score=0.5)
    assert (belongings_of(faint), doubtful_belongings(faint)) == ((), ("skateboard",))


def test_a_belonging_known_by_a_weak_box_only_goes_along_with_its_box_if_it_is_small() -> None:
    weak = (("handbag", (490, 350, 560, 450), 0.3),)
    alone = target(with_masks(scene([thing(*PERSON)], weak=weak)), 0)
    assert doubtful_belongings(alone) == ()
    assert boxes_of_belongings(alone) == (alone.scene.distractors[0].box,)
    pair = target(with_masks(scene([thing(*PERSON), thing("person", (550, 200, 670, 600))], weak=weak)), 0)
    assert (doubtful_belongings(pair), boxes_of_belongings(pair)) == (("handbag",), ())


def test_a_large_belonging_known_by_a_weak_box_only_is_doubtful() -> None:
    weak = (("suitcase", (450, 420, 560, 600), 0.3),)
    whole = with_masks(scene([thing(*PERSON)], weak=weak))
    assert doubtful_belongings(target(whole, 0)) == ("suitcase",)
    inside = (("tie", (440, 250, 470, 350), 0.3),)
    assert doubtful_belongings(target(with_masks(scene([thing(*PERSON)], weak=inside)), 0)) == ()
    faint = (("handbag", (490, 350, 560, 450), 0.1),)
    assert doubtful_belongings(target(with_masks(scene([thing(*PERSON)], weak=faint)), 0)) == ()


def test_shoes_go_with_their_wearer_however_rough_their_masks() -> None:
    grounded = _with("shoe", (440, 570, 500, 605), mask_score=0.4)
    assert (belongings_of(grounded), doubtful_belongings(grounded)) == ((1,), ())
    weak = (("shoe", (440, 570, 500, 640), 0.3),)
    assert doubtful_belongings(target(with_masks(scene([thing(*PERSON)], weak=weak)), 0)) == ()


def test_what_may_be_another_persons_is_doubtful() -> None:
    whole = with_masks(
        scene(
            [thing(*PERSON), thing("person", (560, 200, 680, 600)), thing("suitcase", (510, 480, 570, 600))]
        )
    )
    assert doubtful_belongings(target(whole, 0)) == ("suitcase",)


def test_parts_go_with_their_owner() -> None:
    whole = with_masks(scene([thing(*PERSON), thing("shirt", (410, 280, 510, 400))]))
    objects = (whole.objects[0], replace(whole.objects[1], part_of=0))
    grounded = target(replace(whole, objects=objects), 0)
    assert parts_of(grounded) == (1,)
    assert belongings_of(grounded) == ()
