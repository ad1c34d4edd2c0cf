"""Referrers' numbers into indices of the scene's objects."""

from __future__ import annotations

import io
import json

import pytest
from PIL import Image as Pillow

from tasks.backends.served.pictures import SizeRule
from tasks.backends.served.referrer import ChatReferrer, ReferrerOptions
from tasks.records.errors import ConfigurationError
from tasks.records.records import Box
from tasks.records.settings_base import RoleSettings
from tasks.roles.backends import choose
from tasks.roles.chat import BadReply, ChatPicture, ChatReply
from tests.tasks.backends.served.asked import SERVED, questions
from tests.tasks.stages.instruction.example_scenes import HEIGHT, WIDTH

BACKEND = ChatReferrer(ReferrerOptions(served=SERVED))


def read(raw: str) -> tuple[int, ...]:
    return BACKEND.read(ChatReply(text=raw), BACKEND.request(questions()["referrer"])).objects


@pytest.mark.parametrize(
    ("raw", "indices"),
    [
        ('{"matches": [1]}', (0,)),
        ('{"matches": [3, 1]}', (0, 2)),
        ('{"matches": [2, 2]}', (1,)),
        ('{"matches": ["2"]}', (1,)),
        ('{"matches": []}', ()),
        ('{"Matches": [2]}', (1,)),
    ],
)
def test_numbers_are_indices_plus_one(raw, indices):
    assert read(raw) == indices


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        ('{"matches": [0]}', "out_of_range"),
        ('{"matches": [4]}', "out_of_range"),
        ('{"matches": [1.5]}', "bad_value"),
        ('{"matches": [true]}', "bad_value"),
        ('{"matches": 1}', "bad_value"),
        ('{"matches": ["first"]}', "bad_value"),
        ('{"objects": [1]}', "missing_key"),
        ('{"matches": [1], "sure": 1}', "unknown_key"),
        ("[1]", "not_json"),
        ("The first one.", "not_json"),
    ],
)
def test_anything_else_is_a_bad_reply(raw, code):
    with pytest.raises(BadReply) as caught:
        read(raw)
    assert caught.value.code == code


def test_the_schema_knows_how_many_numbers_were_drawn():
    numbers = BACKEND.request(questions()["referrer"]).schema["properties"]["matches"]
    assert (numbers["items"]["maximum"], numbers["maxItems"]) == (3, 3)


def by_boxes(frame: str, max_pixels: int | None = None) -> ChatReferrer:
    return ChatReferrer(ReferrerOptions(served=SERVED, by="boxes", frame=frame, max_pixels=max_pixels))


def boxes(raw: str, frame: str = "thousandths") -> tuple[Box, ...]:
    backend = by_boxes(frame)
    return backend.read(ChatReply(text=raw), backend.request(questions()["referrer"])).boxes


def test_thousandths_are_shares_of_the_source():
    (box,) = boxes('{"boxes": [{"bbox_2d": [100, 500, 200, 1000]}]}')
    assert box == Box(x0=WIDTH // 10, y0=HEIGHT // 2, x1=WIDTH // 5, y1=HEIGHT)


def test_pixels_are_those_of_the_picture_that_was_sent():
    backend = by_boxes("pixels")
    request = backend.request(questions()["referrer"])
    picture = next(part for part in request.parts if isinstance(part, ChatPicture))
    width, height = Pillow.open(io.BytesIO(picture.data)).size
    assert width < WIDTH, "the picture is sent smaller"
    assert (width % 28, height % 28) == (0, 0), "or the model's processor would change its size once more"
    assert f"{width} wide" in request.parts[2]
    assert f"{height} high" in request.parts[2]
    whole = json.dumps({"boxes": [{"bbox_2d": [0, 0, width, height]}]})
    (box,) = backend.read(ChatReply(text=whole), request).boxes
    assert box == Box(x0=0, y0=0, x1=WIDTH, y1=HEIGHT)
    half = json.dumps({"boxes": [{"bbox_2d": [width // 4, 0, width // 2, height]}]})
    (box,) = backend.read(ChatReply(text=half), request).boxes
    assert box == Box(x0=WIDTH // 4, y0=0, x1=WIDTH // 2, y1=HEIGHT)


@pytest.mark.parametrize(
    ("size", "most", "sent"),
    [
        ((1000, 750), 1_003_520, (1008, 756)),
        ((2250, 1500), 1_003_520, (1204, 812)),
        ((10, 300), 1_003_520, (28, 308)),
        ((1000, 750), 200_000, (504, 364)),
    ],
)
def test_a_picture_is_sent_at_the_size_that_the_models_processor_would_choose(size, most, sent):
    """Sizes of Qwen2.5-VL's published rule (`smart_resize`, multiples of 28), worked out by hand."""
    assert SizeRule.of(most, "jpeg", 28).size_of(*size) == sent


def test_what_reaches_past_the_border_is_cut_at_it():
    assert boxes('{"boxes": [{"bbox_2d": [-50, 900, 100, 1200]}]}') == (
        Box(x0=0, y0=round(HEIGHT * 0.9), x1=WIDTH // 10, y1=HEIGHT),
    )


@pytest.mark.parametrize(
    ("raw", "count"),
    [
        ('{"boxes": []}', 0),
        ('{"boxes": [{"bbox_2d": ["100", "200", "300", 400.5], "label": "cup"}]}', 1),
        ('```json\n{"boxes": [{"bbox_2d": [1, 2, 30, 40]}, {"bbox_2d": [50, 2, 80, 40]}]}\n```', 2),
    ],
)
def test_boxes_are_read_as_models_write_them(raw, count):
    assert len(boxes(raw)) == count


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        ('{"boxes": [{"bbox_2d": [1, 2, 3]}]}', "bad_value"),
        ('{"boxes": [[1, 2, 3, 4]]}', "bad_value"),
        ('{"boxes": [{"bbox_2d": [300, 2, 100, 4]}]}', "bad_value"),
        ('{"boxes": [{"bbox_2d": [1, 2, 3, true]}]}', "bad_value"),
        ('{"boxes": [{"bbox_2d": [1, 2, "x", 4]}]}', "bad_value"),
        ('{"boxes": [{"bbox_2d": [1, 2, 3, NaN]}]}', "out_of_range"),
        ('{"boxes": [{"bbox_2d": [1200, 0, 1400, 400]}]}', "out_of_range"),
        ('{"matches": [1]}', "missing_key"),
        ('{"boxes": [{"bbox_2d": [1, 2, 30, 40], "sure": 1}]}', "unknown_key"),
        ("the left cup", "not_json"),
        (json.dumps({"boxes": [{"bbox_2d": [n, 2, 30 + n, 40]} for n in range(21)]}), "bad_value"),
    ],
)
def test_bad_boxes_are_bad_replies(raw, code):
    with pytest.raises(BadReply) as caught:
        boxes(raw)
    assert caught.value.code == code


def test_boxes_are_asked_for_on_the_plain_photograph():
    by_marks = BACKEND.request(questions()["referrer"]).parts[1]
    by_box = by_boxes("thousandths").request(questions()["referrer"]).parts[1]
    assert "marks" in by_marks.recipe["picture"]
    assert by_box.recipe["picture"] == {"blob": "ab" * 32}


def test_the_frame_of_boxes_is_never_guessed():
    settings = RoleSettings(backend="chat", run="vlm", options={"by": "boxes"})
    with pytest.raises(
        ConfigurationError, match=r"x\.options\.frame: .*'pixels' \(Qwen2\.5-VL\) or 'thousandths'"
    ):
        choose("referrer", settings, "x", SERVED)
