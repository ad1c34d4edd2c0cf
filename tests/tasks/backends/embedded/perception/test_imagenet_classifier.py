"""The classifier looks once at a crop that several ask about."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.backends.embedded.perception import imagenet_classifier
from tasks.backends.embedded.perception.imagenet_classifier import ImageNetClassifier


class Counting:
    """A network of which each run is counted; it answers with the picture's mean in every class."""

    side = 8

    def __init__(self) -> None:
        self.runs = 0

    def run(self, picture: np.ndarray) -> list[np.ndarray]:
        self.runs += 1
        return [np.full((1, 4), picture.mean())]


@pytest.fixture
def classifier() -> ImageNetClassifier:
    bare = ImageNetClassifier.__new__(ImageNetClassifier)
    bare._model, bare._known, bare.names = Counting(), {}, ["a", "b", "c", "d"]
    return bare


def _crop(value: int) -> np.ndarray:
    return np.full((20, 30, 3), value, np.uint8)


def test_a_crop_is_looked_at_once(classifier):
    first, second, other = (classifier.scores(_crop(v)) for v in (64, 64, 128))
    assert classifier._model.runs == 2
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(other, 0.5)


def test_an_answer_that_is_kept_cannot_be_changed_by_who_asked(classifier):
    with pytest.raises(ValueError, match="read-only"):
        classifier.scores(_crop(64))[0] = 1


def test_only_so_many_answers_are_kept(classifier, monkeypatch):
    monkeypatch.setattr(imagenet_classifier, "REMEMBERED", 2)
    for value in (10, 20, 30, 10):
        classifier.scores(_crop(value))
    assert classifier._model.runs == 4
    assert len(classifier._known) == 2
