"""The shadow on the ground around a thing: dark right at the foot, and faded where another thing ends it."""

from __future__ import annotations

import numpy as np

from tasks.backends.embedded.painting.copies.ground import ground_around
from tasks.imaging.masks import dilate
from tasks.records.records import Box
from tests.tasks.backends.embedded.painting.copies.drawn_floor import HEIGHT, WIDTH, Drawn, photograph, shade

CUP = Drawn("cup", 320, 250)
WINDOW = Box(x0=200, y0=100, x1=460, y1=340)


def _ground(image: np.ndarray, others: np.ndarray | None = None):
    nothing = np.zeros((HEIGHT, WIDTH), bool)
    found = ground_around(image, CUP.mask(), nothing if others is None else others, WINDOW)
    assert found is not None
    shadow = np.ones((HEIGHT, WIDTH), np.float32)
    shadow[WINDOW.y0 : WINDOW.y1, WINDOW.x0 : WINDOW.x1] = found.shadow
    return found, shadow


def test_a_shadow_that_ends_in_the_open_is_whole() -> None:
    image, _ = photograph([CUP])
    found, shadow = _ground(image)
    assert not found.cut
    core = (shade(CUP) < 0.7) & ~dilate(CUP.mask(), 1)
    assert (shadow[core] < 0.85).mean() > 0.8


def test_where_another_thing_grazes_a_shadow_it_fades_out() -> None:
    image, _ = photograph([CUP])
    rim = (shade(CUP) < 0.93) & ~CUP.mask()
    tip = int(np.flatnonzero(rim.any(axis=0)).max())
    thing = np.zeros((HEIGHT, WIDTH), bool)
    thing[200:300, tip + 7 : tip + 40] = True
    found, shadow = _ground(image, thing)
    assert not found.cut, "it loses its last pixels only"
    row = shadow[CUP.foot, tip - 3 : tip + 2]
    assert (np.diff(row) > 0).all()
    assert row[-2] > 0.9 > row[0], "without a hard end"


def test_a_shadow_that_runs_on_under_another_thing_is_cut() -> None:
    image, _ = photograph([CUP])
    thing = np.zeros((HEIGHT, WIDTH), bool)
    thing[200:300, 362:420] = True
    assert (shade(CUP)[200:300, 362:] < 0.93).any()
    assert _ground(image, thing)[0].cut


def test_the_ground_is_as_dark_right_at_the_foot_as_it_is() -> None:
    image, _ = photograph([CUP])
    gap = dilate(CUP.mask(), 2) & ~CUP.mask()
    gap[:250] = False
    image[gap] = (12, 11, 10)  # hardly any light gets under the thing
    _, shadow = _ground(image)
    assert np.median(shadow[gap & ~dilate(CUP.mask(), 1)]) < 0.2
