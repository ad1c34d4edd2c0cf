"""Soft edges follow the picture, not the mask's jagged line."""

from __future__ import annotations

import cv2
import numpy as np

from tasks.editing.matting import refine_alpha


def _soft_square() -> tuple[np.ndarray, np.ndarray]:
    """A red square with soft edges on white, and its true share in each pixel."""
    share = np.zeros((80, 80), np.float32)
    share[20:60, 20:60] = 1
    share = cv2.GaussianBlur(share, (0, 0), 1.5)
    image = share[..., None] * np.array([200, 30, 30]) + (1 - share[..., None]) * np.array([245, 245, 245])
    return image.astype(np.uint8), share


def test_deep_pixels_are_whole_and_far_pixels_free() -> None:
    image, share = _soft_square()
    alpha = refine_alpha(image, share > 0.5, 4)
    assert alpha[40, 40] == 1
    assert (alpha[:12] == 0).all()
    assert (alpha[:, 68:] == 0).all()


def test_the_edge_comes_closer_to_the_truth_than_the_mask() -> None:
    image, share = _soft_square()
    mask = share > 0.5
    alpha = refine_alpha(image, mask, 4)
    assert np.abs(alpha - share).mean() < 0.6 * np.abs(mask - share).mean()


def test_a_mask_a_little_too_small_is_grown_to_the_edge() -> None:
    image, share = _soft_square()
    small = cv2.erode((share > 0.5).astype(np.uint8), np.ones((5, 5))) > 0
    alpha = refine_alpha(image, small, 4)
    assert alpha[21, 40] > 0.7


def test_where_both_sides_look_alike_the_mask_decides() -> None:
    flat = np.full((60, 60, 3), 128, np.uint8)
    mask = np.zeros((60, 60), bool)
    mask[:, :30] = True
    alpha = refine_alpha(flat, mask, 4)
    assert alpha[30, 24] > 0.9
    assert alpha[30, 35] < 0.1
    assert 0.2 < alpha[30, 29] < 0.9
