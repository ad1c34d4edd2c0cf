"""Windows show a thing with its context, are shared by near things, and are none where nothing would be gained."""

from __future__ import annotations

import pytest

from tasks.backends.embedded.perception.closer_windows import (
    MARGIN,
    MAX_STRETCH,
    MIN_GAIN,
    closer_window,
    gain,
    moved,
    plan_windows,
)
from tasks.imaging.geometry import containment
from tasks.records.records import Box

WIDTH, HEIGHT = 1280, 853


def _at(x: int, y: int, w: int, h: int) -> Box:
    return Box(x0=x, y0=y, x1=x + w, y1=y + h)


@pytest.mark.parametrize(
    "box",
    [
        _at(600, 400, 40, 40),
        _at(0, 0, 90, 60),
        _at(1180, 700, 100, 153),
        _at(300, 200, 60, 420),
        _at(100, 600, 500, 40),
    ],
)
def test_a_window_shows_the_thing_and_its_context_and_is_no_strip(box: Box) -> None:
    window = closer_window(box, WIDTH, HEIGHT)
    assert window is not None
    reach = round(MARGIN * max(box.width, box.height))
    shown = Box(
        x0=max(0, box.x0 - reach),
        y0=max(0, box.y0 - reach),
        x1=min(WIDTH, box.x1 + reach),
        y1=min(HEIGHT, box.y1 + reach),
    )
    assert containment(shown, window) == 1
    assert gain(window, WIDTH, HEIGHT) >= MIN_GAIN
    assert 1 / (MAX_STRETCH + 0.01) <= window.width / window.height <= MAX_STRETCH + 0.01


def test_smaller_things_are_seen_larger() -> None:
    gains = [
        gain(window, WIDTH, HEIGHT)
        for side in (60, 150, 300)
        if (window := closer_window(_at(500, 300, side, side), WIDTH, HEIGHT)) is not None
    ]
    assert len(gains) == 3
    assert gains == sorted(gains, reverse=True)
    assert gains[0] > 3


def test_there_is_no_closer_look_at_what_fills_the_picture() -> None:
    assert closer_window(_at(100, 60, 1000, 700), WIDTH, HEIGHT) is None


def test_near_things_share_a_window_and_far_ones_do_not() -> None:
    boxes = {3: _at(500, 300, 80, 200), 5: _at(590, 300, 80, 200), 7: _at(100, 600, 60, 60)}
    planned = plan_windows(boxes, WIDTH, HEIGHT, most=3)
    assert sorted(planned.values()) == [(3, 5), (7,)]
    for window, numbers in planned.items():
        assert all(containment(boxes[number], window) == 1 for number in numbers)


def test_the_number_of_windows_is_bounded_and_those_with_most_things_stay() -> None:
    boxes = {0: _at(100, 600, 60, 60), 1: _at(500, 300, 80, 200), 2: _at(590, 300, 80, 200)}
    assert list(plan_windows(boxes, WIDTH, HEIGHT, most=1).values()) == [(1, 2)]
    assert plan_windows(boxes, WIDTH, HEIGHT, most=0) == {}


def test_the_order_of_the_boxes_changes_no_window() -> None:
    boxes = {
        0: _at(100, 600, 60, 60),
        1: _at(500, 300, 80, 200),
        2: _at(590, 300, 80, 200),
        3: _at(900, 100, 50, 70),
    }
    assert plan_windows(boxes, WIDTH, HEIGHT, most=3) == plan_windows(
        dict(reversed(boxes.items())), WIDTH, HEIGHT, most=3
    )


def test_a_box_keeps_its_size_in_a_window() -> None:
    assert moved(_at(500, 300, 80, 200), _at(400, 250, 400, 400)) == _at(100, 50, 80, 200)
