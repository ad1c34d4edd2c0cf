"""A doubtful box becomes surer only where two networks name it again, and nothing else, in the window around it."""

from __future__ import annotations

import pytest

from tasks.backends.embedded.perception.box_fusion import Candidate
from tasks.backends.embedded.perception.closer_detection import confirmed
from tasks.records.records import Box
from tasks.roles.questions import Detection

HERE, ASIDE = Box(x0=10, y0=10, x1=60, y1=60), Box(x0=60, y0=10, x1=110, y1=60)
DOUBTFUL = Detection(label="chair", box=HERE, score=0.55)


def _says(network: str, score: float, label: str = "chair", box: Box = HERE) -> Candidate:
    return Candidate(network=network, label=label, box=box, score=score)


@pytest.mark.parametrize(
    ("seen", "score"),
    [
        ([_says("a", 0.7), _says("b", 0.6)], 0.88),
        ([_says("a", 0.7), _says("b", 0.6), _says("c", 0.5)], 0.88),  # more than two prove no more
        ([_says("a", 0.95)], 0.55),
        ([_says("a", 0.95), _says("a", 0.9)], 0.55),
        ([_says("a", 0.95), _says("b", 0.3)], 0.55),
        ([_says("a", 0.7), _says("b", 0.6, box=ASIDE)], 0.55),
        ([_says("a", 0.7), _says("b", 0.6), _says("c", 0.5, "bench")], 0.55),
        ([_says("a", 0.7), _says("b", 0.6), _says("c", 0.5, "bench", ASIDE)], 0.88),
        ([], 0.55),
    ],
)
def test_a_box_is_confirmed_by_two_networks(seen: list[Candidate], score: float) -> None:
    found = confirmed(DOUBTFUL, seen, same_iou=0.5)
    assert (found.label, found.box) == ("chair", HERE)
    assert found.score == pytest.approx(score)


def test_a_closer_look_takes_nothing_away() -> None:
    sure = Detection(label="chair", box=HERE, score=0.89)
    assert confirmed(sure, [_says("a", 0.45), _says("b", 0.45)], same_iou=0.5) == sure
