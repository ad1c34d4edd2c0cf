"""The embedded editor changes the object, leaves the rest alone and says what it can't do."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.backends.embedded.painting.editor import ClassicalEditor, ClassicalEditorOptions
from tasks.imaging.color_names import dominant_color
from tasks.records.errors import Reason, SampleError
from tasks.records.records import EditType
from tasks.roles.questions import EditRequest


def _request(edit_type: EditType, argument: str, *, empty: bool = False) -> EditRequest:
    image = np.random.default_rng(4).integers(110, 150, (90, 110, 3), dtype=np.uint8)
    mask = np.zeros((90, 110), bool)
    mask[25:65, 30:80] = True
    image[mask] = np.clip(
        np.array([190, 50, 40]) + np.random.default_rng(1).normal(0, 6, (mask.sum(), 1)), 0, 255
    )
    return EditRequest(
        image=image,
        mask=np.zeros_like(mask) if empty else mask,
        edit_type=edit_type,
        argument=argument,
        instruction="Do it.",
        seed=1,
    )


@pytest.mark.parametrize("name", ["blue", "green", "black", "white", "yellow"])
def test_the_object_takes_the_colour_and_the_rest_is_equal(name: str) -> None:
    request = _request(EditType.COLOR, name)
    (edited,) = ClassicalEditor().edit([request])
    assert dominant_color(edited, request.mask).name == name
    assert np.array_equal(edited[:18], request.image[:18])
    assert np.array_equal(edited[:, 90:], request.image[:, 90:])


def test_no_rim_of_the_old_colour_remains() -> None:
    request = _request(EditType.COLOR, "blue")
    (edited,) = ClassicalEditor().edit([request])
    rim = edited[24:27, 35:75].astype(int)
    assert (rim[..., 0] - rim[..., 2]).max() < 45


def test_an_effect_is_applied_inside_only() -> None:
    request = _request(EditType.APPEARANCE, "black and white")
    (edited,) = ClassicalEditor().edit([request])
    inside = edited[35:55, 40:70].astype(int)
    assert np.abs(inside[..., 0] - inside[..., 1]).max() <= 2
    assert np.array_equal(edited[:18], request.image[:18])


def test_the_answer_does_not_depend_on_the_batch() -> None:
    requests = [_request(EditType.COLOR, name) for name in ("blue", "green")]
    together = ClassicalEditor().edit(requests)
    alone = [ClassicalEditor().edit([request])[0] for request in reversed(requests)]
    assert all(np.array_equal(a, b) for a, b in zip(together, reversed(alone), strict=True))


@pytest.mark.parametrize(
    ("edit_type", "argument"),
    [(EditType.REPLACE, "dog"), (EditType.COLOR, "teal"), (EditType.APPEARANCE, "haunted")],
)
def test_what_it_does_not_offer_is_a_sample_error(edit_type: EditType, argument: str) -> None:
    with pytest.raises(SampleError, match=argument) as caught:
        ClassicalEditor().edit([_request(edit_type, argument)])
    assert caught.value.reason is Reason.BACKEND_ERROR


def test_an_empty_mask_is_a_sample_error() -> None:
    with pytest.raises(SampleError, match="empty"):
        ClassicalEditor().edit([_request(EditType.COLOR, "blue", empty=True)])


def test_who_answers_is_known_without_building_it() -> None:
    options = ClassicalEditorOptions()
    assert ClassicalEditor.describe(options) == ClassicalEditor(options).identity
