"""The embedded editor changes the object, leaves the rest alone and says what it can't do."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.backends.embedded.painting.editor import ClassicalEditor
from tasks.imaging.color_names import dominant_color
from tasks.records.errors import Reason, SampleError
from tasks.records.records import EditType
from tasks.roles.picture import Picture
from tasks.roles.questions import EditQuestion


def _question(edit_type: EditType, argument: str, *, empty: bool = False) -> EditQuestion:
    image = np.random.default_rng(4).integers(110, 150, (90, 110, 3), dtype=np.uint8)
    mask = np.zeros((90, 110), bool)
    mask[25:65, 30:80] = True
    image[mask] = np.clip(
        np.array([190, 50, 40]) + np.random.default_rng(1).normal(0, 6, (mask.sum(), 1)), 0, 255
    )
    return EditQuestion(
        subject="block",
        picture=Picture.of_pixels(image),
        label="cup",
        mask=np.zeros_like(mask) if empty else mask,
        edit_type=edit_type,
        argument=argument,
        instruction="Do it.",
        seed=1,
    )


@pytest.mark.parametrize("name", ["blue", "green", "black", "white", "yellow"])
def test_the_object_takes_the_color_and_the_rest_is_equal(name: str) -> None:
    question = _question(EditType.COLOR, name)
    edited = ClassicalEditor().answer_one(question)
    assert dominant_color(edited, question.mask).name == name
    assert np.array_equal(edited[:18], question.picture.rgb[:18])
    assert np.array_equal(edited[:, 90:], question.picture.rgb[:, 90:])


def test_no_rim_of_the_old_color_remains() -> None:
    question = _question(EditType.COLOR, "blue")
    edited = ClassicalEditor().answer_one(question)
    rim = edited[24:27, 35:75].astype(int)
    assert (rim[..., 0] - rim[..., 2]).max() < 45


def test_an_effect_is_applied_inside_only() -> None:
    question = _question(EditType.APPEARANCE, "black and white")
    edited = ClassicalEditor().answer_one(question)
    inside = edited[35:55, 40:70].astype(int)
    assert np.abs(inside[..., 0] - inside[..., 1]).max() <= 2
    assert np.array_equal(edited[:18], question.picture.rgb[:18])


@pytest.mark.parametrize(
    ("edit_type", "argument"),
    [(EditType.REPLACE, "dog"), (EditType.COLOR, "teal"), (EditType.APPEARANCE, "haunted")],
)
def test_what_it_does_not_offer_is_a_sample_error(edit_type: EditType, argument: str) -> None:
    with pytest.raises(SampleError, match=argument) as caught:
        ClassicalEditor().answer_one(_question(edit_type, argument))
    assert caught.value.reason is Reason.BACKEND_ERROR


def test_an_empty_mask_is_a_sample_error() -> None:
    with pytest.raises(SampleError, match="empty"):
        ClassicalEditor().answer_one(_question(EditType.COLOR, "blue", empty=True))
