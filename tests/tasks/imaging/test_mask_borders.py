"""Masks grown and shrunk, and how often structures run into a hole."""

from __future__ import annotations

import numpy as np

from tasks.imaging.mask_borders import clear_of_frame, dilate, erode, ragged_share


def square(low: int, high: int) -> np.ndarray:
    mask = np.zeros((80, 80), bool)
    mask[low:high, low:high] = True
    return mask


def test_growing_and_shrinking_undo_each_other_on_a_large_square():
    mask = square(20, 60)
    assert dilate(mask, 5).sum() > mask.sum() > erode(mask, 5).sum()
    assert (erode(dilate(mask, 5), 5)[21:59, 21:59]).all()
    assert (dilate(mask, 0) == mask).all()


def test_the_frame_counts_as_inside_when_a_mask_shrinks():
    whole = np.ones((20, 20), bool)
    assert erode(whole, 3).all()
    assert clear_of_frame((20, 20), 3).sum() == 14 * 14


def test_stripes_that_run_into_a_hole_make_its_border_ragged_and_a_plain_ground_does_not():
    hole = square(30, 50)
    plain = np.full((80, 80, 3), 120, np.uint8)
    striped = plain.copy()
    striped[:, ::8] = striped[:, 1::8] = striped[:, 2::8] = striped[:, 3::8] = 230
    assert ragged_share(plain, hole, 9.0) == 0.0
    assert ragged_share(striped, hole, 9.0) > 0.1
    assert ragged_share(striped, np.zeros_like(hole), 9.0) == 0.0
