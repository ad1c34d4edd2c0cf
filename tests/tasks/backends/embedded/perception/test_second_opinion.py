"""What the classifier holds for something else keeps its place and loses its score; what it sees, too, gains."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from tasks.backends.embedded.perception.label_witness import words_for
from tasks.backends.embedded.perception.second_opinion import DOUBTED, OUTVOTED, WELL_KNOWN, review_labels
from tasks.records.records import Box
from tasks.roles.questions import Detection

IMAGE = np.zeros((100, 100, 3), np.uint8)
HERE = Box(x0=10, y0=10, x1=50, y1=50)


@dataclass
class Objects:
    """A witness that objects to one label, and remembers what it was asked."""

    to: str
    asked: list[str] = field(default_factory=list)

    def support(self, image, label, box):
        return 0.0

    def objection(self, image, label, box):
        self.asked.append(label)
        return 0.7 if label == self.to else 0.1


def _found(label, score):
    return Detection(label=label, box=HERE, score=score)


def test_only_what_is_objected_to_loses_its_score():
    cup, bottle = review_labels(IMAGE, [_found("bottle", 0.93), _found("cup", 0.9)], Objects("bottle"))
    assert (bottle.label, bottle.box, bottle.score) == ("bottle", HERE, DOUBTED)
    assert cup.score == 0.9


def test_a_weak_detection_is_not_worth_asking_about():
    witness = Objects("bottle")
    assert review_labels(IMAGE, [_found("bottle", 0.4)], witness)[0].score == 0.4
    assert witness.asked == []


def _at(label, x0, y0, x1, y1, score=0.9):
    return Detection(label=label, box=Box(x0=x0, y0=y0, x1=x1, y1=y1), score=score)


def test_a_vase_with_a_plant_in_it_may_be_a_flower_pot():
    plant, vase = _at("potted plant", 5, 0, 90, 60), _at("vase", 30, 50, 60, 95)
    found = {d.label: d.score for d in review_labels(IMAGE, [plant, vase], Objects("nothing"))}
    assert found == {"potted plant": 0.9, "vase": DOUBTED}


def test_a_vase_beside_or_above_a_plant_is_a_vase():
    vase = _at("vase", 30, 10, 60, 55)
    for plant in (_at("potted plant", 58, 0, 95, 60), _at("potted plant", 20, 40, 70, 95)):
        assert vase in review_labels(IMAGE, [plant, vase], Objects("nothing"))


def test_what_the_classifier_knows_at_sight_needs_its_word():
    umbrella = _found("umbrella", 0.9)
    assert review_labels(IMAGE, [umbrella], Objects("nothing"))[0].score == DOUBTED

    assert review_labels(IMAGE, [umbrella], Sees("nothing")) == (umbrella,)


class Sees(Objects):
    """A witness that supports every label."""

    def support(self, image, label, box):
        return 0.4


def test_a_faint_detection_that_the_classifier_sees_too_becomes_a_sure_one():
    (cup,) = review_labels(IMAGE, [_found("cup", 0.45)], Sees("nothing"))
    assert cup.score == pytest.approx(1 - 0.55 * 0.6)


def test_neither_noise_nor_what_is_sure_already_is_raised():
    found = (_found("cup", 0.7), _found("cup", 0.3))
    assert review_labels(IMAGE, found, Sees("nothing")) == found


def test_the_classifier_that_named_a_glass_does_not_raise_it_too():
    found = (_found("drinking glass", 0.45),)
    assert review_labels(IMAGE, found, Sees("nothing")) == found


def test_a_laptops_keyboard_is_not_raised_and_one_of_its_own_is():
    laptop, inside, beside = (
        _at("laptop", 0, 0, 60, 60),
        _at("keyboard", 5, 30, 55, 58, 0.5),
        _at("keyboard", 62, 30, 98, 58, 0.5),
    )
    scores = {d.box.x0: d.score for d in review_labels(IMAGE, [laptop, inside, beside], Sees("nothing"))}
    assert scores[5] == 0.5
    assert scores[62] > 0.6


@pytest.mark.parametrize("label", ["shoe", "handbag", "bus", "bed", "toilet"])
def test_what_gloves_armrests_stalls_books_and_stools_pass_for_is_doubted(label):
    (found,) = review_labels(IMAGE, [_found(label, 0.66)], Objects("nothing"))
    assert found.score == DOUBTED


def test_every_label_that_needs_the_classifiers_word_has_classes_for_it():
    assert all(words_for(label) for label in WELL_KNOWN)


@dataclass
class Supports:
    """A witness with one answer per label and no objection."""

    by_label: dict[str, float]

    def support(self, image, label, box):
        return self.by_label[label]

    def objection(self, image, label, box):
        return 0.0


@pytest.mark.parametrize(
    ("car", "truck", "place", "outvoted"),
    [
        (0.93, 0.04, (12, 10, 50, 50), True),
        (0.93, 0.2, (12, 10, 50, 50), False),  # it may be a truck
        (0.4, 0.04, (12, 10, 50, 50), False),  # nobody knows
        (0.93, 0.04, (60, 10, 98, 50), False),  # another thing
    ],
)
def test_of_two_names_of_one_thing_the_one_that_the_classifier_never_says_gives_way(
    car, truck, place, outvoted
):
    found = [_found("car", 0.95), _at("truck", *place, score=0.89)]
    scores = {d.label: d.score for d in review_labels(IMAGE, found, Supports({"car": car, "truck": truck}))}
    assert scores == {"car": 0.95, "truck": OUTVOTED if outvoted else 0.89}
