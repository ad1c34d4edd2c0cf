"""The hole covers the object and its rim, spares the neighbors, and fades only inside itself."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.imaging.geometry import box_of
from tasks.imaging.masks import dilate
from tasks.records.records import Box
from tasks.stages.editing.removal import (
    dilation_px,
    removal_alpha,
    removal_hole,
    removal_window,
    with_shadow,
)
from tasks.stages.editing.settings import RemovalSettings

BOX = Box(x0=60, y0=40, x1=120, y1=140)
SHAPE = (200, 220)


def _mask(box: Box = BOX, shape: tuple[int, int] = SHAPE) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[box.y0 + 30 : box.y1, box.x0 + 10 : box.x1 - 10] = True
    return mask


def test_the_hole_covers_what_the_mask_missed_inside_the_box() -> None:
    hole = removal_hole(_mask(), [BOX], np.zeros(SHAPE, bool), RemovalSettings(box_share=0.7))
    assert hole[_mask()].all()
    assert hole[42, 90], "the head that the mask left out"


def test_the_hole_of_share_zero_is_the_dilated_hull_alone() -> None:
    hole = removal_hole(_mask(), [BOX], np.zeros(SHAPE, bool), RemovalSettings(outline="hull", shadow=0.0))
    assert not hole[42, 90]
    assert hole[69, 90], "the rim around the mask"


def test_the_hole_reaches_farther_down_than_up() -> None:
    settings = RemovalSettings(box_share=1.0, shadow=1.0)
    found = box_of(removal_hole(_mask(), [BOX], np.zeros(SHAPE, bool), settings))
    radius = dilation_px(BOX, SHAPE, settings)
    assert BOX.y0 - found.y0 == radius
    assert found.y1 - BOX.y1 == 2 * radius


def test_lama_gets_a_hole_close_to_the_mask_with_a_margin_by_the_pictures_size() -> None:
    mask = _mask()
    mask[90:110, 85:95] = False  # a gap, such as between arm and body
    mask[70:80, 80:100] = False  # a notch in the outline
    settings = RemovalSettings(
        outline="mask",
        box_share=0.0,
        dilation_of="picture",
        dilation=0.015,
        min_dilation_px=2,
        max_dilation_px=31,
        shadow=0.5,
    )
    assert dilation_px(BOX, SHAPE, settings) == 3  # 1.5 % of 200
    assert dilation_px(BOX, (1500, 2250), settings) == 22
    hole = removal_hole(mask, [BOX], np.zeros(SHAPE, bool), settings)
    found = box_of(hole)
    assert (found.x0, found.x1) == (70 - 3, 110 + 3)
    assert (found.y0, found.y1) == (70 - 3, 140 + 3 + 2)
    assert hole[90:110, 85:95].all(), "a gap is filled"
    assert not hole[72, 90], "a notch is not: the hull would fill it"


def test_a_neighbor_is_not_filled() -> None:
    neighbor = np.zeros(SHAPE, bool)
    neighbor[100:150, 115:160] = True
    hole = removal_hole(_mask(), [BOX], neighbor, RemovalSettings())
    assert not hole[neighbor & ~dilate(_mask(), 2)].any()


def test_the_rim_of_a_neighbor_that_touches_is_filled_as_well() -> None:
    neighbor = np.zeros(SHAPE, bool)
    neighbor[100:150, 110:160] = True
    hole = removal_hole(_mask(), [BOX], neighbor, RemovalSettings())
    assert hole[105:135, 110].all(), "their colors are mixed there"
    assert not hole[105:135, 113:].any()


def test_two_objects_far_apart_leave_the_ground_between_them() -> None:
    second = Box(x0=150, y0=40, x1=190, y1=140)
    mask = _mask() | _mask(second)
    settings = RemovalSettings(outline="hull", box_share=0.7)
    hole = removal_hole(mask, [BOX, second], np.zeros(SHAPE, bool), settings)
    assert hole[mask].all()
    assert not hole[90, 136]


def test_an_empty_mask_still_gives_the_box() -> None:
    hole = removal_hole(np.zeros(SHAPE, bool), [BOX], np.zeros(SHAPE, bool), RemovalSettings(box_share=0.7))
    assert hole[90, 90]


@pytest.mark.parametrize("side", [4, 100, 5000])
def test_the_rim_stays_within_its_bounds(side: int) -> None:
    settings = RemovalSettings()
    radius = dilation_px(Box(x0=0, y0=0, x1=side, y1=side), SHAPE, settings)
    assert settings.min_dilation_px <= radius <= settings.max_dilation_px


def test_the_window_has_context_and_keeps_to_the_picture() -> None:
    window = removal_window(BOX, 220, 200, RemovalSettings(min_window_margin_px=30, window_margin=0.1))
    assert window == Box(x0=30, y0=10, x1=150, y1=170)


def test_the_filling_is_whole_over_the_object_and_nothing_outside_the_hole() -> None:
    settings = RemovalSettings()
    hole = removal_hole(_mask(), [BOX], np.zeros(SHAPE, bool), settings)
    alpha = removal_alpha(hole, dilation_px(BOX, SHAPE, settings), _mask())
    assert (alpha[_mask()] == 1).all()
    assert (alpha[~hole] == 0).all()
    assert 0 < alpha[hole].min() < 1


def test_a_hole_at_the_frame_is_filled_up_to_the_frame() -> None:
    hole = np.zeros((40, 40), bool)
    hole[:20, :20] = True
    assert removal_alpha(hole, 8, np.zeros_like(hole))[0, 0] == 1


def test_the_object_does_not_show_through_the_blend_beside_a_neighbor() -> None:
    neighbor = np.zeros(SHAPE, bool)
    neighbor[60:150, 110:160] = True
    settings = RemovalSettings()
    hole = removal_hole(_mask(), [BOX], neighbor, settings)
    alpha = removal_alpha(hole, dilation_px(BOX, SHAPE, settings), _mask())
    assert (alpha[_mask()] == 1).all(), "up to the very pixel beside the neighbor"


def test_a_shadow_joins_the_hole_with_room_for_its_blend() -> None:
    hole, shadow = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    hole[60:100, 60:100] = True
    shadow[80:110, 95:110] = True
    grown = with_shadow(hole, shadow, 6)
    assert grown[80:110, 95:112].all()
    assert not grown[:50].any()
    assert (grown | ~hole).all()
    assert np.array_equal(with_shadow(hole, np.zeros(SHAPE, bool), 6), hole)
