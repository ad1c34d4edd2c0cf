"""Composites change only the allowed pixels."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.records.edit_types import Region, spec_of
from tasks.records.records import Box, EditType
from tasks.stages.editing.compositing import alpha_for, change_map, composite, correct_tint, feathered
from tasks.stages.editing.settings import CompositeSettings

SETTINGS = CompositeSettings()
CROP = Box(x0=20, y0=10, x1=120, y1=90)


@pytest.fixture
def source() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (100, 150, 3), dtype=np.uint8)


def _disc(height: int = 80, width: int = 100, radius: int = 20) -> np.ndarray:
    y, x = np.mgrid[0:height, 0:width]
    return (x - width / 2) ** 2 + (y - height / 2) ** 2 < radius**2


@pytest.mark.parametrize("edit_type", list(EditType))
def test_outside_the_allowed_pixels_the_picture_is_equal_to_the_bit(
    source: np.ndarray, edit_type: EditType
) -> None:
    patch = np.random.default_rng(2).integers(0, 256, (80, 100, 3), dtype=np.uint8)
    alpha = alpha_for(_disc(), np.zeros((80, 100), bool), spec_of(edit_type).region, SETTINGS)
    edited, allowed = composite(source, patch, CROP, alpha)
    assert np.array_equal(edited[~allowed], source[~allowed])
    assert not allowed[:10].any()
    assert not allowed[:, :20].any()
    assert (edited[allowed] != source[allowed]).any()


def test_the_source_itself_is_never_changed(source: np.ndarray) -> None:
    before = source.copy()
    composite(source, np.zeros((80, 100, 3), np.uint8), CROP, np.ones((80, 100), np.float32))
    assert np.array_equal(source, before)


def test_full_alpha_takes_the_patch_and_half_alpha_the_mean() -> None:
    source = np.full((4, 4, 3), 100, np.uint8)
    patch = np.full((4, 4, 3), 200, np.uint8)
    alpha = np.array([[1, 1, 0.5, 0]] * 4, np.float32)
    edited, allowed = composite(source, patch, Box(x0=0, y0=0, x1=4, y1=4), alpha)
    assert edited[0, :, 0].tolist() == [200, 200, 150, 100]
    assert allowed[0].tolist() == [True, True, True, False]


def test_a_patch_of_another_size_is_an_error(source: np.ndarray) -> None:
    with pytest.raises(ValueError, match="size"):
        composite(source, np.zeros((79, 100, 3), np.uint8), CROP, np.ones((79, 100), np.float32))


def test_feathering_ends_at_zero_within_its_width() -> None:
    region = np.zeros((5, 30), bool)
    region[:, :10] = True
    row = feathered(region, 4)[2]
    assert (row[:10] == 1).all()
    assert (np.diff(row[9:15]) < 0).all()
    assert (row[14:] == 0).all()


def test_growing_edits_reach_the_crop_but_not_its_border() -> None:
    alpha = alpha_for(_disc(), np.zeros((80, 100), bool), Region.CROP, SETTINGS)
    assert alpha[40, 50] == 1
    assert (alpha[0] == 0).all()
    assert (alpha[:, -1] == 0).all()


def test_replacing_covers_both_the_mask_and_the_changed_region() -> None:
    changed = np.zeros((80, 100), bool)
    changed[10:20, 60:90] = True
    alpha = alpha_for(_disc(), changed, Region.CHANGED, SETTINGS)
    assert (alpha[_disc() | changed] == 1).all()


def test_the_change_map_finds_the_edit_and_ignores_faint_noise() -> None:
    source = np.full((60, 60, 3), 120, np.uint8)
    patch = source + np.random.default_rng(0).integers(0, 3, source.shape, dtype=np.uint8)
    patch[20:40, 20:40] = (200, 30, 30)
    changed = change_map(source, patch, SETTINGS)
    assert changed[25:35, 25:35].all()
    assert not changed[:12].any()


def test_a_tint_over_the_whole_patch_is_taken_back() -> None:
    source = np.random.default_rng(0).integers(60, 200, (60, 60, 3), dtype=np.uint8)
    patch = np.clip(source * np.array([1.04, 1.0, 0.97]), 0, 255).astype(np.uint8)
    changed = np.zeros((60, 60), bool)
    changed[20:40, 20:40] = True
    corrected = correct_tint(source, patch, changed, SETTINGS)
    assert np.abs(corrected.astype(int) - source).mean() < 1.5 < np.abs(patch.astype(int) - source).mean()


def test_an_untinted_patch_is_returned_as_it_is() -> None:
    source = np.full((40, 40, 3), 90, np.uint8)
    patch = source.copy()
    patch[10:20, 10:20] = 200
    changed = np.zeros((40, 40), bool)
    changed[10:20, 10:20] = True
    assert correct_tint(source, patch, changed, SETTINGS) is patch
