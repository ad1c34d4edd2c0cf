"""Logits become labels: by span as a plain loop would, classically as Grounded-SAM does."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tasks.backends.torch.grounding_dino.captions import Caption  # noqa: E402
from tasks.backends.torch.grounding_dino.scores import (  # noqa: E402
    corners,
    label_by_span,
    label_by_tokens,
    span_scores,
)

CAT_DOG = Caption(
    names=("cat", "traffic light"),
    text="cat. traffic light.",
    ids=(101, 50, 1012, 60, 61, 1012, 102),
    spans=((1, 2), (3, 5)),
)
WORDS = {50: "cat", 60: "traffic", 61: "light"}


def decode(ids) -> str:
    return " ".join(WORDS[token] for token in ids)


def logit(chance: float) -> float:
    return math.log(chance / (1 - chance))


def rows(*chances: list[float]):
    return torch.tensor([[logit(c) for c in row] for row in chances])


def test_span_scores_equal_a_plain_loop() -> None:
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn((40, 64), generator=generator) * 4
    logits[:, 30:] = -math.inf
    spans = [(1, 2), (3, 7), (8, 9), (10, 29)]
    found = span_scores(logits, spans)
    expected = [
        [max(1 / (1 + math.exp(-logits[q, t].item())) for t in range(first, end)) for first, end in spans]
        for q in range(40)
    ]
    assert np.allclose(found.numpy(), expected, atol=1e-6)


def test_the_best_name_of_a_query_labels_its_box() -> None:
    nothing = 0.01
    logits = rows(
        [0.9, 0.6, 0.9, 0.2, 0.5, 0.9, 0.9],  # cat, whatever special tokens say
        [nothing, 0.1, nothing, 0.1, 0.7, nothing, nothing],  # the second word alone names the whole
        [nothing, 0.2, nothing, 0.1, 0.1, nothing, nothing],  # too weak
    )
    boxes = torch.tensor([[0.5, 0.5, 0.2, 0.4]] * 3)
    found = label_by_span(logits, boxes, CAT_DOG, 0.25)
    assert found.labels == ("cat", "traffic light")
    assert np.allclose(found.scores, [0.6, 0.7])
    assert np.allclose(found.boxes, [[0.4, 0.3, 0.6, 0.7]] * 2)


def test_a_score_at_the_threshold_is_enough() -> None:
    logits = torch.zeros((1, 7))  # all 0.5
    assert label_by_span(logits, torch.zeros((1, 4)), CAT_DOG, 0.5).labels == ("cat",)


def test_the_classical_way_merges_and_cuts_names_and_drops_what_has_none() -> None:
    nothing = 0.01
    logits = rows(
        [nothing, 0.6, 0.9, 0.1, 0.5, nothing, nothing],
        [nothing, 0.1, nothing, 0.1, 0.4, nothing, nothing],
        [0.9, 0.1, nothing, 0.1, 0.1, 0.9, nothing],
        [nothing, 0.2, nothing, 0.1, 0.1, nothing, nothing],
    )
    found = label_by_tokens(logits, torch.zeros((4, 4)), CAT_DOG, 0.25, 0.2, decode)
    assert found.labels == ("cat light", "light")
    assert np.allclose(found.scores, [0.9, 0.4])


def test_no_query_passes() -> None:
    low = torch.full((5, 7), -9.0)
    for found in (
        label_by_span(low, torch.zeros((5, 4)), CAT_DOG, 0.25),
        label_by_tokens(low, torch.zeros((5, 4)), CAT_DOG, 0.25, 0.2, decode),
    ):
        assert (found.labels, found.boxes.shape, found.scores.shape) == ((), (0, 4), (0,))


def test_corners_of_a_box() -> None:
    assert corners(torch.tensor([[0.5, 0.4, 1.0, 0.2]])).tolist() == [pytest.approx([0.0, 0.3, 1.0, 0.5])]
