"""Growing, shrinking, agreement and pieces of masks; all masks are drawn."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.imaging.masks import clear_of_frame, dilate, erode, large_pieces, largest_piece, mask_iou


def _square(side: int, x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
    mask = np.zeros((side, side), bool)
    mask[y0:y1, x0:x1] = True
    return mask


def test_a_mask_grows_by_a_disc_and_shrinks_back() -> None:
    square = _square(60, 20, 20, 40, 40)
    grown = dilate(square, 5)
    assert grown[20:40, 15:45].all()
    assert not grown[:, :15].any()
    assert not grown[15, 15], "a disc rounds corners"
    assert np.array_equal(erode(grown, 5), square)
    assert np.array_equal(dilate(square, 0), square)


def test_the_frame_is_no_border_when_a_mask_shrinks() -> None:
    assert erode(np.ones((20, 20), bool), 3).all()
    assert clear_of_frame((20, 30, 3), 4).sum() == 12 * 22


def test_agreement_is_intersection_over_union() -> None:
    left, right = _square(40, 0, 0, 20, 20), _square(40, 10, 0, 30, 20)
    assert mask_iou(left, right) == pytest.approx(1 / 3)
    assert mask_iou(left, left) == 1
    assert mask_iou(np.zeros((4, 4), bool), np.zeros((4, 4), bool)) == 0


def test_the_largest_piece_and_its_share() -> None:
    two = _square(100, 0, 0, 30, 30) | _square(100, 50, 50, 60, 60)
    piece, share = largest_piece(two)
    assert np.array_equal(piece, _square(100, 0, 0, 30, 30))
    assert share == pytest.approx(0.9)
    assert largest_piece(np.zeros((5, 5), bool))[1] == 0


def test_large_pieces_and_their_share() -> None:
    three = _square(100, 0, 0, 30, 30) | _square(100, 50, 50, 60, 60) | _square(100, 80, 80, 81, 81)
    pieces, share = large_pieces(three, 0.05)
    assert np.array_equal(pieces, _square(100, 0, 0, 30, 30) | _square(100, 50, 50, 60, 60))
    assert share == pytest.approx(1000 / 1001)
    assert large_pieces(np.zeros((5, 5), bool), 0.05)[1] == 0


def test_pieces_hang_together_over_diagonal_neighbors() -> None:
    mask = np.zeros((10, 10), bool)
    mask[0, 0] = mask[1, 1] = mask[2, 2] = mask[9, 9] = True
    assert largest_piece(mask)[1] == 0.75
