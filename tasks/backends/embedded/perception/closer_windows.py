"""Which part of a picture is looked at closer: windows of a fixed grid, so that near things share one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, sqrt

from tasks.imaging.geometry import containment, grow
from tasks.records.records import Box

SIDES = (0.25, 0.35, 0.5, 0.7, 1.0)
"""Sides of windows as shares of the picture's sides."""

STEP = 0.35
"""Largest distance of neighboring windows, as a share of their side."""

MARGIN = 0.3
"""Context on each side of a box, as a share of its longer side."""

MAX_STRETCH = 1.8
"""Longest window over its shorter side: the network sees every window squeezed into a square."""

MIN_GAIN = 1.4
"""Magnification from which a window shows more than the whole picture does."""


def closer_window(box: Box, width: int, height: int) -> Box | None:
    """The smallest window of the grid that shows a box with its context; None where that is no closer look.

    It depends on the box and the picture's size alone, so that whoever asks about the thing looks at the same pixels.
    """
    shown = _with_context(box, width, height)
    columns = [_interval(shown.x0, shown.x1, width, side) for side in SIDES]
    rows = [_interval(shown.y0, shown.y1, height, side) for side in SIDES]
    x = next(i for i, interval in enumerate(columns) if interval)
    y = next(i for i, interval in enumerate(rows) if interval)
    while x + 1 < len(SIDES) and SIDES[x] * width * MAX_STRETCH < SIDES[y] * height:
        x += 1
    while y + 1 < len(SIDES) and SIDES[y] * height * MAX_STRETCH < SIDES[x] * width:
        y += 1
    left, right = columns[x] or (0, width)
    top, bottom = rows[y] or (0, height)
    window = Box(x0=left, y0=top, x1=right, y1=bottom)
    return window if gain(window, width, height) >= MIN_GAIN else None


def plan_windows(boxes: Mapping[int, Box], width: int, height: int, most: int) -> dict[Box, tuple[int, ...]]:
    """At most ``most`` windows for boxes by number, with the numbers of those to look at in each.

    The largest windows come first, and smaller things that one of them shows well are looked at in it. Where there are
    more windows than that, those with most things are kept.
    """
    own = {n: w for n, box in boxes.items() if (w := closer_window(box, width, height)) is not None}
    planned: dict[Box, list[int]] = {}
    for number in sorted(own, key=lambda n: (-own[n].area, _corners(own[n]), n)):
        shown = _with_context(boxes[number], width, height)
        shared = [w for w in planned if containment(shown, w) == 1 and w.area <= 2 * own[number].area]
        planned.setdefault(min(shared, key=lambda w: w.area, default=own[number]), []).append(number)
    ranked = sorted(planned, key=lambda w: (-len(planned[w]), -w.area, _corners(w)))
    return {window: tuple(planned[window]) for window in ranked[:most]}


def gain(window: Box, width: int, height: int) -> float:
    """How much larger the network sees things in a window than in the whole picture, per side."""
    return sqrt(width * height / window.area)


def moved(box: Box, window: Box) -> Box:
    """A box of the picture in the pixels of a window."""
    return Box(x0=box.x0 - window.x0, y0=box.y0 - window.y0, x1=box.x1 - window.x0, y1=box.y1 - window.y0)


def _with_context(box: Box, width: int, height: int) -> Box:
    return grow(box, round(MARGIN * max(box.width, box.height)), width, height)


def _interval(start: int, end: int, length: int, side: float) -> tuple[int, int] | None:
    """The interval of one side of the grid that holds start..end with equal room, None where none does."""
    size = round(side * length)
    steps = ceil((length - size) / (STEP * size)) if size < length else 0
    places = [round(i * (length - size) / steps) for i in range(steps + 1)] if steps else [0]
    holding = [place for place in places if place <= start and place + size >= end]
    middle = (start + end - size) / 2
    return min(((p, p + size) for p in holding), key=lambda i: abs(i[0] - middle), default=None)


def _corners(box: Box) -> Sequence[int]:
    return box.x0, box.y0, box.x1, box.y1
