"""The witness objects where a label's lookalikes, or one other class, plainly outspeak it."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.backends.embedded.perception import label_witness
from tasks.backends.embedded.perception.label_witness import ImageNetWitness, lookalikes_of, words_for
from tasks.records.records import Box

NAMES = ("notebook", "laptop", "ipod", "monitor", "screen", "groom", "espresso")
PICTURE = np.zeros((40, 60, 3), np.uint8)
BOX = Box(x0=10, y0=10, x1=40, y1=30)


class Fixed:
    """A classifier that sees the same in every crop."""

    names = NAMES

    def __init__(self, **scores: float) -> None:
        self._scores = np.array([scores.get(name, 0.0) for name in NAMES], np.float32)

    def scores(self, _crop: object) -> np.ndarray:
        return self._scores


def objection(monkeypatch: pytest.MonkeyPatch, label: str = "laptop", **scores: float) -> float:
    monkeypatch.setattr(label_witness, "imagenet_classifier", lambda: Fixed(**scores))
    return ImageNetWitness().objection(PICTURE, label, BOX)


def test_a_flat_screen_without_keyboard_is_no_laptop(monkeypatch):
    # what the classifier says of a tablet on a table
    found = objection(monkeypatch, notebook=0.09, monitor=0.2, screen=0.19, ipod=0.17)
    assert found == pytest.approx(0.56)


def test_lookalikes_beside_a_likely_label_are_no_objection(monkeypatch):
    assert objection(monkeypatch, notebook=0.4, laptop=0.07, ipod=0.21) == 0
    assert objection(monkeypatch, notebook=0.12, groom=0.3, screen=0.3) == 0


def test_one_other_class_objects_only_where_nothing_speaks_for_the_label(monkeypatch):
    assert objection(monkeypatch, espresso=0.7) == pytest.approx(0.7)
    assert objection(monkeypatch, espresso=0.7, notebook=0.08) == 0
    # a chair's box shows what stands before it
    assert objection(monkeypatch, label="chair", espresso=0.7) == 0


def test_lookalikes_are_none_of_the_words_for_the_label():
    assert lookalikes_of("laptop")
    assert not lookalikes_of("laptop") & words_for("laptop")
    assert not lookalikes_of("chair")


def test_a_phone_on_a_table_is_no_remote_control(monkeypatch):
    names = ("cellular telephone", "hand-held computer", "ipod", "remote control")
    seen = Fixed()
    seen.names, seen._scores = names, np.array([0.39, 0.14, 0.13, 0.13], np.float32)
    monkeypatch.setattr(label_witness, "imagenet_classifier", lambda: seen)
    assert ImageNetWitness().objection(PICTURE, "remote", BOX) == pytest.approx(0.66)
