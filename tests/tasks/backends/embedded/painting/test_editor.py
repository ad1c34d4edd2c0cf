"""The embedded editor changes the object, leaves the rest alone and says what it can't do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tasks.backends.embedded.painting.editor import ClassicalEditor
from tasks.backends.embedded.painting.migan_inpainter import MiganInpainter, MiganOptions
from tasks.imaging.color_names import dominant_color
from tasks.records.errors import Reason, SampleError
from tasks.records.records import Box, EditType
from tasks.roles.picture import Picture
from tasks.roles.questions import EditQuestion
from tests.tasks.backends.embedded.painting.copies.drawn_floor import Drawn, about, photograph
from tests.tasks.stages.instruction.example_scenes import cups, target


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
        source=Picture.of_pixels(image),
        crop=Box(x0=0, y0=0, x1=110, y1=90),
        target=target(cups(), 1),
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


def test_a_copy_comes_back_as_the_crop_that_was_asked_for() -> None:
    image, scene = photograph([Drawn("cup", 320, 250)])
    grounded = about(scene)
    crop = Box(x0=200, y0=100, x1=600, y1=400)
    question = EditQuestion(
        subject="cup",
        picture=Picture.of_pixels(image).crop(crop),
        label="cup",
        mask=Drawn("cup", 320, 250).mask()[100:400, 200:600],
        edit_type=EditType.ADD,
        argument="another cup to the right",
        instruction="Add another cup to the right of the cup.",
        source=Picture.of_pixels(image),
        crop=crop,
        target=grounded,
    )
    edited = ClassicalEditor().answer_one(question)
    assert edited.shape == (300, 400, 3)
    changed = (edited != question.picture.rgb).any(axis=2)
    assert changed.any()
    assert not changed[:, :150].any(), "the target and what is left of it stay"


def test_what_is_replaced_is_filled_by_the_network_that_the_process_shares() -> None:
    thing, other = Drawn("cup", 320, 250), Drawn("vase", 120, 250, width=40, height=70, color="blue")
    image, scene = photograph([thing, other])
    crop = Box(x0=60, y0=60, x1=600, y1=400)
    question = EditQuestion(
        subject="cup",
        picture=Picture.of_pixels(image).crop(crop),
        label="cup",
        mask=thing.mask()[60:400, 60:600],
        edit_type=EditType.REPLACE,
        argument="blue vase",
        instruction="Replace the cup with a blue vase.",
        source=Picture.of_pixels(image),
        crop=crop,
        target=about(scene),
    )
    edited = ClassicalEditor().answer_one(question)
    placed = replace(other, x=320).mask()[60:400, 60:600]
    assert dominant_color(edited, placed).name == "blue"
    assert not ((edited[..., 0] > 140) & (edited[..., 1] < 90)).any(), "nothing of the red cup is left"
    assert MiganInpainter(MiganOptions())._session is MiganInpainter(MiganOptions())._session
