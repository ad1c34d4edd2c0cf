"""What the classifier holds for something else keeps its place and loses its score."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from tasks.backends.embedded.second_opinion import DOUBTED, doubt_labels
from tasks.records import Box
from tasks.roles.protocols import Detection

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
    cup, bottle = doubt_labels(IMAGE, [_found("bottle", 0.93), _found("cup", 0.9)], Objects("bottle"))
    assert (bottle.label, bottle.box, bottle.score) == ("bottle", HERE, DOUBTED)
    assert cup.score == 0.9


def test_a_weak_detection_is_not_worth_asking_about():
    witness = Objects("bottle")
    assert doubt_labels(IMAGE, [_found("bottle", 0.4)], witness)[0].score == 0.4
    assert witness.asked == []
