"""The target judge refuses a label that its witness can't vouch for, or holds for something else."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import pytest

from tasks.backends.assets import PHOTOGRAPHS, AssetCache, default_cache_folder
from tasks.backends.embedded.perception.label_witness import ImageNetWitness
from tasks.backends.embedded.perception.target_judge import RuleTargetJudge, edge_contrast, label_confidence
from tasks.records.records import Box
from tasks.roles.picture import Picture
from tasks.roles.questions import TargetQuestion
from tests.tasks.roles.role_questions import unseen
from tests.tasks.stages.instruction.example_scenes import scene, target, thing


@dataclass
class Says:
    """A witness with fixed answers."""

    supports: float = 0.0
    objects: float = 0.0

    def support(self, image, label, box):
        return self.supports

    def objection(self, image, label, box):
        return self.objects


def _judge(score=0.9, label="bottle", **says):
    drawn = target(
        scene(
            [
                thing(label, (100, 100, 200, 300), "red", score=score),
                thing("bottle", (500, 100, 600, 300)),
                thing("couch", (300, 350, 900, 700)),
            ]
        ),
        0,
    )
    image = np.full((drawn.scene.source.height, drawn.scene.source.width, 3), 220, np.uint8)
    mask = np.zeros(image.shape[:2], bool)
    mask[100:300, 100:200] = True
    image[mask] = (180, 20, 20)
    question = TargetQuestion(
        subject=label, picture=Picture.of_pixels(image), marked=unseen(), mask=mask, target=drawn
    )
    verdict = RuleTargetJudge(witness=Says(**says)).answer_one(question)
    return verdict, {m.name: m.passed for m in verdict.measurements}


def _is_hard(drawn):
    """Whether the judge finds a target of a drawn scene hard, with a classifier that says nothing."""
    image = np.full((drawn.scene.source.height, drawn.scene.source.width, 3), 220, np.uint8)
    question = TargetQuestion(
        subject=drawn.label,
        picture=Picture.of_pixels(image),
        marked=unseen(),
        mask=np.ones(image.shape[:2], bool),
        target=drawn,
    )
    return RuleTargetJudge(witness=Says()).answer_one(question).hard


def test_a_sure_and_uncontradicted_label_is_precise():
    verdict, passed = _judge()
    assert verdict.precise
    assert all(passed.values())


@pytest.mark.parametrize(
    ("score", "supports", "precise"),
    [(0.7, 0.0, False), (0.7, 0.6, True), (0.79, 0.0, False), (0.81, 0.0, True)],
)
def test_detector_and_classifier_join_in_the_labels_confidence(score, supports, precise):
    verdict, passed = _judge(score=score, supports=supports)
    assert passed["label_confidence"] == verdict.precise == precise


@pytest.mark.parametrize(
    ("score", "supports", "precise"), [(0.89, 0.0, False), (0.89, 0.2, True), (0.91, 0.0, True)]
)
def test_of_a_chair_more_is_asked_since_knees_and_leaves_pass_for_one(score, supports, precise):
    verdict, passed = _judge(score=score, label="chair", supports=supports)
    assert passed["label_confidence"] == verdict.precise == precise


def test_a_classifier_that_is_sure_of_something_else_alone_refuses_a_sure_detection():
    verdict, passed = _judge(score=0.99, objects=0.6)
    assert not verdict.precise
    assert [name for name, ok in passed.items() if not ok] == ["label_objection"]


def test_confidence_is_that_of_two_independent_witnesses():
    assert label_confidence(0.5, 0.5) == pytest.approx(0.75)


def test_an_outline_without_a_step_has_no_contrast():
    mask = np.zeros((60, 60), bool)
    mask[20:40, 20:40] = True
    assert edge_contrast(np.full((60, 60, 3), 90, np.uint8), mask) == pytest.approx(0, abs=1e-4)


@pytest.mark.assets
def test_the_packaged_classifier_objects_where_a_label_is_wrong():
    cache = AssetCache(default_cache_folder())
    path = cache.path(PHOTOGRAPHS["demo"][0], "cup-of-coffee-on-table-in-cafe-2.jpg")
    image = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
    cup, witness = Box(x0=630, y0=185, x1=1063, y1=509), ImageNetWitness()
    assert witness.support(image, "cup", cup) > 0.8
    assert witness.objection(image, "cup", cup) == 0
    assert witness.objection(image, "vase", cup) > 0.5
    # The box of a chair may hold a cup in front of it.
    assert witness.objection(image, "chair", cup) == 0


@pytest.mark.parametrize(
    ("others", "side", "hard"),
    [
        ((), 100, False),
        (("person",), 100, True),
        (
            ("laptop", "cup"),
            100,
            True,
        ),  # nothing but its wearer is larger than the garment, which is small itself
        (("laptop",), 250, False),  # two things are no scene of several
        (("laptop", "cup"), 250, True),
    ],
)
def test_a_garment_is_hard_to_find_where_there_is_somebody_else_or_it_is_one_of_several_things(
    others, side, hard
):
    things = [
        thing("person", (100, 60, 260, 520)),
        thing("top", (110, 150, 250, 300), "red", part_of=0),
        *(thing(label, (400 + 260 * n, 100, 400 + 260 * n + side, 300)) for n, label in enumerate(others)),
    ]
    drawn = target(scene(things), 1)
    assert _is_hard(drawn) is hard


def test_a_garment_does_not_make_its_wearer_or_others_hard_to_find():
    worn = [thing("person", (100, 60, 260, 520)), thing("top", (110, 150, 250, 300), part_of=0)]
    drawn = target(scene([*worn, thing("cup", (500, 100, 540, 150))]), 2)
    assert not _is_hard(drawn)  # two things are no scene of several


@pytest.mark.parametrize(("side", "hard"), [(300, True), (440, True), (500, False)])
def test_the_largest_thing_of_a_scene_is_hard_to_find_unless_it_is_large(side, hard):
    things = [thing("chair", (100, 60, 100 + side, 60 + side))]
    things += [
        thing(label, (700 + 60 * n, 100, 740 + 60 * n, 150)) for n, label in enumerate(("cup", "bowl"))
    ]
    drawn = target(scene(things), 0)
    assert _is_hard(drawn) is hard
