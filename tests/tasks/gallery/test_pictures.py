"""The gallery's pictures, on arrays that can be checked by eye."""

from __future__ import annotations

import numpy as np

from tasks.gallery.pictures import (
    LONG_SIDE,
    crop_around,
    crop_difference,
    crop_outline,
    difference,
    encode,
    fit,
    fit_crop,
    mark,
    sample_pictures,
)
from tasks.imaging.pixels import decode_rgb
from tasks.records.records import Box

GRAY = np.full((40, 60, 3), 100, np.uint8)
CROP = Box(x0=5, y0=5, x1=25, y1=25)


def allowed():
    mask = np.zeros((40, 60), bool)
    mask[10:20, 10:20] = True
    return mask


def test_a_single_changed_pixel_outside_is_counted():
    edited = GRAY.copy()
    edited[10:20, 10:15] = 200
    edited[39, 59, 2] += 1
    pictures = sample_pictures(GRAY, GRAY, edited, crop=CROP, mask=allowed(), allowed=allowed())
    assert pictures.changed_outside == 1
    assert pictures.changed_inside == 0.5
    assert [name for name, _ in pictures.jpegs] == [
        "source",
        "grounded",
        "edited",
        "difference",
        "before",
        "target",
        "after",
        "change",
    ]


def test_the_difference_is_white_where_nothing_changed_and_black_from_64_levels():
    largest = np.zeros((40, 60), np.uint8)
    largest[30, 30], largest[30, 31] = 64, 8
    picture = difference(largest, np.zeros((40, 60), bool))
    assert picture[30, 30].tolist() == [0, 0, 0]
    assert picture[30, 31].tolist() == [223, 223, 223]
    assert (picture == 255).all(axis=2).sum() == 40 * 60 - 2


def test_the_allowed_regions_outline_is_blue():
    picture = difference(np.zeros((40, 60), np.uint8), allowed())
    assert picture[10, 15].tolist() == [40, 90, 220]


def test_the_difference_of_a_crop_is_enlarged_with_a_thin_outline():
    edited = GRAY.copy()
    edited[12:18, 12:18] = 200
    picture = crop_difference(GRAY, edited, CROP, allowed())
    assert picture.shape == fit_crop(GRAY[5:25, 5:25]).shape == (80, 80, 3)
    assert picture[40, 40].tolist() == [0, 0, 0]
    assert picture[4, 4].tolist() == [255, 255, 255]
    assert picture[20, 40].tolist() == [40, 90, 220]
    assert (picture == (40, 90, 220)).all(axis=2)[40].sum() <= 8


def test_the_target_of_a_crop_is_outlined_in_red_and_white_and_not_tinted():
    ring = allowed()
    ring[13:17, 13:17] = False
    picture = crop_outline(GRAY, CROP, ring)
    assert picture.shape == fit_crop(GRAY[5:25, 5:25]).shape
    row = [tuple(pixel) for pixel in picture[40].tolist()]
    red = [x for x, pixel in enumerate(row) if pixel == (230, 30, 30)]
    # The ring's left edge, its hole's left and right edge, and its right edge.
    assert [any(abs(x - edge) <= 2 for x in red) for edge in (20, 32, 48, 60)] == [True] * 4
    assert all((255, 255, 255) in row[x - 4 : x + 5] for x in red)
    assert {row[2], row[26], row[40], row[78]} == {(100, 100, 100)}
    assert (GRAY == 100).all()


def test_a_target_without_an_edit_is_shown_with_a_margin_inside_the_picture():
    assert crop_around(allowed()) == Box(x0=8, y0=8, x1=22, y1=22)
    corner = np.zeros((40, 60), bool)
    corner[:8, 52:] = True
    assert crop_around(corner) == Box(x0=50, y0=0, x1=60, y1=10)
    assert crop_around(np.zeros((40, 60), bool)).area == 0


def test_the_mask_is_half_red_and_the_rest_untouched():
    picture = mark(GRAY, allowed(), [])
    assert picture[15, 15].tolist() == [165, 65, 65]
    assert picture[0, 0].tolist() == [100, 100, 100]
    assert GRAY[15, 15].tolist() == [100, 100, 100]


def test_large_pictures_shrink_small_ones_stay_and_small_crops_grow():
    assert fit(np.zeros((1200, 1600, 3), np.uint8)).shape == (600, LONG_SIDE, 3)
    assert fit(GRAY).shape == GRAY.shape
    assert fit_crop(GRAY).shape == (160, 240, 3)
    assert fit_crop(np.zeros((960, 480, 3), np.uint8)).shape == (480, 240, 3)


def test_jpegs_decode_to_about_the_same_colors():
    assert np.abs(decode_rgb(encode(GRAY)).astype(int) - 100).max() <= 2
