"""Soft edges follow the picture, not the mask's jagged line."""

from __future__ import annotations

import cv2
import numpy as np

from tasks.backends.embedded.painting.matting import refine_edge
from tasks.imaging.color_names import to_lab


def _soft_square() -> tuple[np.ndarray, np.ndarray]:
    """A red square with soft edges on white, and its true share in each pixel."""
    share = np.zeros((80, 80), np.float32)
    share[20:60, 20:60] = 1
    share = cv2.GaussianBlur(share, (0, 0), 1.5)
    image = share[..., None] * np.array([200, 30, 30]) + (1 - share[..., None]) * np.array([245, 245, 245])
    return image.astype(np.uint8), share


def test_deep_pixels_are_whole_and_far_pixels_free() -> None:
    image, share = _soft_square()
    alpha = refine_edge(image, share > 0.5, 4).alpha
    assert alpha[40, 40] == 1
    assert (alpha[:10] == 0).all()
    assert (alpha[:, 70:] == 0).all()


def test_the_edge_comes_closer_to_the_truth_than_the_mask() -> None:
    image, share = _soft_square()
    mask = share > 0.5
    alpha = refine_edge(image, mask, 4).alpha
    assert np.abs(alpha - share).mean() < 0.6 * np.abs(mask - share).mean()


def test_a_mask_a_little_too_small_is_grown_to_the_edge() -> None:
    image, share = _soft_square()
    small = cv2.erode((share > 0.5).astype(np.uint8), np.ones((5, 5))) > 0
    alpha = refine_edge(image, small, 4).alpha
    assert alpha[21, 40] > 0.7


def test_where_both_sides_look_alike_the_mask_decides() -> None:
    flat = np.full((60, 60, 3), 128, np.uint8)
    mask = np.zeros((60, 60), bool)
    mask[:, :30] = True
    alpha = refine_edge(flat, mask, 4).alpha
    assert alpha[30, 24] > 0.9
    assert alpha[30, 35] < 0.1
    assert 0.2 < alpha[30, 29] < 0.9


def test_an_object_out_of_focus_is_followed_beyond_the_radius_and_leaves_no_color_behind() -> None:
    share = np.zeros((120, 120), np.float32)
    share[40:80, 40:80] = 1
    share = cv2.GaussianBlur(share, (0, 0), 4)
    image = share[..., None] * np.array([230, 140, 10]) + (1 - share[..., None]) * np.array([120, 120, 120])
    edge = refine_edge(image.astype(np.uint8), share > 0.5, 4)
    outside = (share < 0.45) & (share > 0.12)
    assert edge.alpha[outside].mean() > 0.15
    # Turned gray, no more than a trace of orange may be seen around it.
    left = (1 - edge.alpha)[..., None] * edge.behind[..., 1:]
    assert np.abs(left[outside]).mean() < 4


def test_a_thing_of_the_same_color_further_out_is_left_alone() -> None:
    image, share = _soft_square()
    image[20:60, 70:80] = (200, 30, 30)
    edge = refine_edge(image, share > 0.5, 4)
    assert (edge.alpha[20:60, 70:] == 0).all()


def test_a_pale_thing_before_white_does_not_glow() -> None:
    image = np.full((60, 80, 3), 245, np.uint8)
    image[:, :40] = 218
    mask = np.zeros((60, 80), bool)
    mask[:, :35] = True  # the outline is a little short, and what follows looks like the thing
    alpha = refine_edge(image, mask, 3).alpha
    assert (alpha[:, 40:] < 0.02).all()
    assert (alpha[:, 39:41] < 0.1).all()


def test_an_object_in_focus_keeps_its_paint_within_the_outline_where_both_sides_look_alike() -> None:
    image = np.full((180, 140, 3), 235, np.uint8)
    image[:60] = 120  # above, the two sides differ, and the picture tells how sharp the edge is
    mask = np.zeros((180, 140), bool)
    mask[20:150, 30:90] = True
    image[mask] = 231
    alpha = refine_edge(image, mask, 6).alpha
    assert (alpha[100:150, 93:] < 0.02).all()
    assert (alpha[153:] < 0.02).all()
    assert (alpha[100:148, 32:88] > 0.98).all()


def test_what_looks_like_the_object_behind_a_dark_line_stays() -> None:
    image = np.full((90, 120, 3), 240, np.uint8)
    image[20:60, 20:100] = (150, 110, 90)
    image[60:62, 20:100] = 15
    image[62:66, 20:100] = (150, 110, 90)
    mask = np.zeros((90, 120), bool)
    mask[20:60, 20:100] = True
    alpha = refine_edge(image, mask, 4).alpha
    assert (alpha[64:, 30:90] < 0.1).all()


def test_a_thing_that_stands_out_by_hue_is_cut_from_a_ground_of_many_tones() -> None:
    share = np.zeros((120, 120), np.float32)
    share[:, :60] = 1
    share = cv2.GaussianBlur(share, (0, 0), 3)
    tones = np.linspace(20, 200, 120)[:, None, None].repeat(120, axis=1).repeat(3, axis=2)
    image = share[..., None] * np.array([230, 150, 20]) + (1 - share[..., None]) * tones
    alpha = refine_edge(image.astype(np.uint8), share > 0.5, 5).alpha
    band = (share > 0.1) & (share < 0.9)
    band[:20] = band[100:] = False
    assert np.abs(alpha - share)[band].mean() < 0.12


def test_a_mask_over_the_whole_picture_and_a_tiny_one_are_themselves() -> None:
    image, _ = _soft_square()
    whole = np.ones((80, 80), bool)
    assert (refine_edge(image, whole, 4).alpha == 1).all()
    dot = np.zeros((80, 80), bool)
    dot[40, 40] = True
    alpha = refine_edge(image, dot, 4).alpha
    assert 0 < alpha[40, 40] <= 1
    assert alpha[alpha > 0.01].size < 30


def test_the_ground_keeps_its_color_where_the_object_has_no_share() -> None:
    image, share = _soft_square()
    image[20:60, 64:70] = (235, 225, 245)  # a strip of another tint just beyond the edge
    edge = refine_edge(image, share > 0.5, 4)
    free = edge.alpha < 0.005
    assert np.abs(edge.behind - to_lab(image))[free].max() < 0.5
