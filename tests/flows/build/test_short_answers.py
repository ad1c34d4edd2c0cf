"""One-line summaries of answers."""

from __future__ import annotations

import numpy as np
import pytest

from flows.build.short_answers import in_short
from tasks.records.records import Box, Tag
from tasks.roles.questions import EditScores, Referents, TargetVerdict, TextVerdict


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((), "nothing"),
        (Referents(objects=(4,)), "object 5"),
        (Referents(boxes=(Box(x0=1, y0=2, x1=3, y1=4),)), "box 1 2 3 4"),
        (Referents(), "nothing"),
        ("Turn it blue.", "'Turn it blue.'"),
        (
            tuple(Tag(name=f"t{n}", score=0.5) for n in range(6)),
            "t0 0.50, t1 0.50, t2 0.50, t3 0.50 and 2 more",
        ),
        (np.zeros((20, 30, 3), np.uint8), "picture of 30 x 20"),
        (TargetVerdict(precise=True, hard=False, measurements=()), "mask precise, target easy"),
        (TargetVerdict(precise=False, hard=False, measurements=(), together=True), "target refused"),
        (TextVerdict(agreement=0.934), "agreement 0.93"),
        (EditScores(accuracy=4.5, seamlessness=3.0, measurements=()), "accuracy 4.5, seamlessness 3"),
    ],
)
def test_each_kind_of_answer_is_one_line(answer: object, words: str) -> None:
    assert in_short(answer) == words
