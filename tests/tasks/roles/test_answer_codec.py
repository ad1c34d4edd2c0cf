"""Answers survive being spelled, for every role."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest

from tasks.records.canonical import canonical_json
from tasks.records.errors import DataFault
from tasks.records.records import Box, Measurement, Tag
from tasks.roles.answer_codec import IMAGE_BLOB, decode_answer, encode_answer
from tasks.roles.questions import ROLES, Detection, Referents, TargetVerdict, TextVerdict
from tests.tasks.roles.drawn_answers import draw_answer, same


@pytest.mark.parametrize("role", ROLES)
def test_every_answer_of_a_role_comes_back_as_it_was(role):
    rng = random.Random(role)
    for _ in range(100):
        answer = draw_answer(role, rng)
        encoded = encode_answer(role, answer)
        value = json.loads(canonical_json(encoded.value))
        assert same(decode_answer(role, value, encoded.blobs, "p"), answer)


def test_the_spelling_of_answers_does_not_move_with_the_records():
    value = encode_answer(
        "detector", (Detection(label="cup", box=Box(x0=1, y0=2, x1=3, y1=4), score=0.5),)
    ).value
    assert value == [{"label": "cup", "box": [1, 2, 3, 4], "score": 0.5}]
    verdict = TextVerdict(agreement=0.5, measurements=(Measurement(name="p", value=0.5, low=0.2),))
    assert encode_answer("text_judge", verdict).value == {
        "agreement": 0.5,
        "measurements": [{"name": "p", "value": 0.5, "low": 0.2, "high": None, "decides": True, "note": ""}],
    }
    assert encode_answer("tagger", (Tag(name="cup", score=0.5),)).value == [{"name": "cup", "score": 0.5}]


def test_answers_of_earlier_versions_are_read():
    assert decode_answer("referrer", [2, 3], {}, "p") == Referents(objects=(2, 3))
    verdict = decode_answer("target_judge", {"precise": True, "hard": False, "measurements": []}, {}, "p")
    assert verdict == TargetVerdict(precise=True, hard=False, measurements=(), together=False)


def test_numbers_of_numpy_become_plain_ones():
    box = Box(x0=np.int64(1), y0=np.int32(2), x1=np.int64(3), y1=np.int64(4))
    value = encode_answer("detector", (Detection(label="cup", box=box, score=np.float32(0.5)),)).value
    assert canonical_json(value) == b'[{"box":[1,2,3,4],"label":"cup","score":0.5}]'


def test_a_number_that_json_cannot_hold_is_refused():
    with pytest.raises(ValueError):
        canonical_json(encode_answer("text_judge", TextVerdict(agreement=float("nan"))).value)


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 4), (0, 5, 3)])
def test_an_image_of_another_shape_is_refused(shape):
    with pytest.raises(ValueError, match="expected an image"):
        encode_answer("editor", np.zeros(shape, np.uint8))


@pytest.mark.parametrize(
    ("role", "value"),
    [
        ("tagger", [{"name": "cup"}]),
        ("detector", [{"label": "cup", "box": [1, 2, 3], "score": 1}]),
        (
            "segmenter",
            [{"mask": {"height": 2, "width": 2, "counts": "9"}, "score": 1, "method": "", "checks": []}],
        ),
        ("instructor", {"reasoning": {}}),
        ("rewriter", None),
        ("editor", {"height": 1, "width": 1}),
        ("nobody", {}),
    ],
)
def test_what_is_no_answer_of_the_role_is_a_fault_that_names_the_path(role, value):
    with pytest.raises(DataFault, match=r"^answers/some/path: "):
        decode_answer(role, value, {}, "answers/some/path")


def test_a_picture_of_another_size_than_the_answer_says_is_a_fault():
    encoded = encode_answer("editor", np.zeros((4, 5, 3), np.uint8))
    with pytest.raises(DataFault, match=r"shape \(4, 5, 3\)"):
        decode_answer("editor", {"height": 5, "width": 5}, encoded.blobs, "p")
    with pytest.raises(DataFault):
        decode_answer("editor", encoded.value, {IMAGE_BLOB: encoded.blobs[IMAGE_BLOB][:40]}, "p")
