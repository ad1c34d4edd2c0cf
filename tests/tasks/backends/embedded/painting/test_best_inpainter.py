"""The inpainter of two takes the network's filling only where lines must go on and nothing was made up."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from tasks.backends.embedded.painting.best_inpainter import BestOfTwoInpainter
from tasks.backends.one_by_one import OneByOne
from tasks.records.records import ModelIdentity
from tasks.records.settings_base import Settings
from tasks.roles.picture import Picture
from tasks.roles.questions import InpaintQuestion

HOLE = np.zeros((120, 160), bool)
HOLE[35:85, 55:105] = True


class Answering(OneByOne[InpaintQuestion, np.ndarray]):
    """Answers with a given picture and counts how often it was asked."""

    Options: ClassVar[type[Settings]] = Settings
    answering: ClassVar[frozenset[str]] = frozenset()
    reproducible = True
    wire = 1

    def __init__(self, picture: np.ndarray) -> None:
        self.picture = picture
        self.asked: list[int] = []

    @classmethod
    def identity_of(cls, options: Settings) -> ModelIdentity:
        return ModelIdentity(role="inpainter", backend="given", model="given", revision="1", digest="none")

    def answer_one(self, question: InpaintQuestion) -> np.ndarray:
        self.asked.append(question.seed)
        return self.picture


def _stripes() -> np.ndarray:
    rows = (np.arange(120) // 10 % 2 * 120 + 60).astype(np.uint8)
    return np.broadcast_to(rows[:, None, None], (120, 160, 3)).copy()


def _choose(picture: np.ndarray, invented: np.ndarray, attempt: int = 0) -> tuple[np.ndarray, Answering]:
    network, copied = Answering(invented), np.full_like(picture, 1)
    pixels = Picture.of_pixels(picture)
    question = InpaintQuestion(subject="window", picture=pixels, hole=HOLE, seed=7, attempt=attempt)
    best = BestOfTwoInpainter(copying=Answering(copied), network=network)
    return best.answer_one(question), network


def test_where_lines_run_into_the_hole_a_faithful_network_is_taken() -> None:
    answer, _ = _choose(_stripes(), _stripes())
    assert np.array_equal(answer, _stripes())


def test_a_network_that_makes_things_up_is_not_taken() -> None:
    invented = _stripes()
    invented[50:70, 70:90] = (210, 40, 30)
    answer, _ = _choose(_stripes(), invented)
    assert (answer == 1).all()


def test_in_plain_surroundings_the_network_is_not_even_asked() -> None:
    plain = np.full((120, 160, 3), 120, np.uint8)
    answer, network = _choose(plain, plain)
    assert (answer == 1).all()
    assert not network.asked


def test_a_second_attempt_gives_the_other_filling() -> None:
    invented = _stripes()
    invented[50:70, 70:90] = (210, 40, 30)
    plain = np.full((120, 160, 3), 120, np.uint8)
    for picture, network in ((_stripes(), _stripes()), (_stripes(), invented), (plain, plain)):
        first, second = (_choose(picture, network, attempt)[0] for attempt in (0, 1))
        assert {(first == 1).all(), (second == 1).all()} == {True, False}
        assert np.array_equal(_choose(picture, network, 2)[0], first)
