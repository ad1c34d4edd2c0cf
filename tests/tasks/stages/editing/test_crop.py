"""Crops are enlarged by type, stay inside the picture and never become strips."""

from __future__ import annotations

from tasks.imaging.geometry import union_box
from tasks.records.records import Box, EditType
from tasks.stages.editing.crop import crop_box
from tasks.stages.editing.settings import CropSettings

SETTINGS = CropSettings(min_side_px=64)


def test_a_crop_is_the_box_scaled_about_its_center() -> None:
    box = Box(x0=400, y0=300, x1=600, y1=500)
    crop = crop_box(box, EditType.COLOR, 1000, 1000, SETTINGS)
    assert crop == Box(x0=370, y0=270, x1=630, y1=530)


def test_an_edit_that_grows_gets_more_room_than_one_that_does_not() -> None:
    box = Box(x0=400, y0=300, x1=600, y1=500)
    sides = [
        crop_box(box, t, 1000, 1000, SETTINGS).width for t in (EditType.COLOR, EditType.REPLACE, EditType.ADD)
    ]
    assert sides == sorted(set(sides))


def test_a_crop_at_the_corner_is_shifted_and_not_shrunk() -> None:
    crop = crop_box(Box(x0=0, y0=0, x1=100, y1=100), EditType.COLOR, 1000, 1000, SETTINGS)
    assert crop == Box(x0=0, y0=0, x1=130, y1=130)


def test_a_small_target_gets_the_least_side_and_a_thin_one_no_strip() -> None:
    small = crop_box(Box(x0=50, y0=50, x1=60, y1=60), EditType.COLOR, 1000, 1000, SETTINGS)
    thin = crop_box(Box(x0=500, y0=100, x1=510, y1=500), EditType.COLOR, 1000, 1000, SETTINGS)
    assert (small.width, small.height) == (64, 64)
    assert thin.height == 520
    assert thin.width == 260


def test_a_crop_that_is_most_of_the_picture_becomes_the_picture() -> None:
    crop = crop_box(Box(x0=10, y0=10, x1=90, y1=90), EditType.COLOR, 100, 100, SETTINGS)
    assert crop == Box(x0=0, y0=0, x1=100, y1=100)


def test_a_crop_never_exceeds_a_picture_smaller_than_the_least_side() -> None:
    crop = crop_box(Box(x0=5, y0=5, x1=15, y1=15), EditType.ADD, 40, 30, SETTINGS)
    assert (crop.x0, crop.y0) >= (0, 0)
    assert crop.x1 <= 40
    assert crop.y1 <= 30


def test_the_union_box_holds_every_box() -> None:
    boxes = [Box(x0=5, y0=9, x1=8, y1=12), Box(x0=1, y0=10, x1=6, y1=20)]
    assert union_box(boxes) == Box(x0=1, y0=9, x1=8, y1=20)


def test_a_crop_is_widened_to_an_editors_grid_where_the_picture_has_room() -> None:
    grid = CropSettings(min_side_px=64, multiple_px=16)
    crop = crop_box(Box(x0=400, y0=300, x1=600, y1=500), EditType.COLOR, 1000, 1000, grid)
    assert crop == Box(x0=364, y0=264, x1=636, y1=536)
    corner = crop_box(Box(x0=900, y0=900, x1=1000, y1=1000), EditType.COLOR, 1000, 1000, grid)
    assert corner == Box(x0=856, y0=856, x1=1000, y1=1000)
    narrow = crop_box(Box(x0=20, y0=300, x1=60, y1=400), EditType.COLOR, 90, 1000, grid)
    assert (narrow.width, narrow.height % 16) == (80, 0)
    assert crop_box(Box(x0=0, y0=100, x1=70, y1=250), EditType.COLOR, 75, 1000, grid).width == 75
