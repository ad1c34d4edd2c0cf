"""Effects do what their words say, keep the picture's size, and are seen."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.backends.embedded.painting.effects import EFFECTS, MOSAIC_BLOCKS
from tasks.imaging.color_names import to_lab

COLORFUL = np.random.default_rng(3).integers(0, 256, (24, 28, 3), dtype=np.uint8).repeat(3, 0).repeat(3, 1)
ALL = np.ones(COLORFUL.shape[:2], bool)


@pytest.mark.parametrize("name", sorted(EFFECTS))
def test_an_effect_changes_a_colorful_picture_visibly_and_keeps_its_size(name: str) -> None:
    result = EFFECTS[name].apply(COLORFUL, ALL)
    assert result.shape == COLORFUL.shape
    assert result.dtype == np.uint8
    assert np.linalg.norm(to_lab(result) - to_lab(COLORFUL), axis=2).mean() > 10


@pytest.mark.parametrize("name", ["black and white", "pencil sketch"])
def test_colorless_effects_leave_no_color(name: str) -> None:
    lab = to_lab(EFFECTS[name].apply(COLORFUL, ALL))
    assert np.hypot(lab[..., 1], lab[..., 2]).max() < 3


def test_black_and_white_keeps_lightness() -> None:
    result = EFFECTS["black and white"].apply(COLORFUL, ALL)
    assert np.abs(to_lab(result)[..., 0] - to_lab(COLORFUL)[..., 0]).mean() < 1


def test_a_mosaic_has_blocks_sized_by_the_target() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (150, 170, 3), dtype=np.uint8)
    mask = np.zeros((150, 170), bool)
    mask[5 : 5 + 10 * MOSAIC_BLOCKS, 5:50] = True
    result = EFFECTS["pixelated"].apply(picture, mask)
    assert (result[:10, :10] == result[0, 0]).all()
    assert len(np.unique(result[mask][:, 0])) <= 15 * 5


def test_a_mosaic_mixes_only_the_targets_own_pixels() -> None:
    picture = np.zeros((60, 60, 3), np.uint8)
    mask = np.zeros((60, 60), bool)
    mask[7:53, 9:51] = True
    picture[mask] = (200, 100, 50)
    result = EFFECTS["pixelated"].apply(picture, mask)
    assert (result[mask] == (200, 100, 50)).all()


def test_sepia_is_brown_and_not_gray() -> None:
    lab = to_lab(EFFECTS["sepia"].apply(np.full((9, 9, 3), 128, np.uint8), np.ones((9, 9), bool)))
    assert lab[..., 2].mean() > 15


def test_a_sketch_is_drawn_in_strokes_that_show_on_a_plain_gray_thing() -> None:
    plain = np.full((120, 120, 3), 128, np.uint8)
    mask = np.zeros((120, 120), bool)
    mask[20:100, 20:100] = True
    light = to_lab(EFFECTS["pencil sketch"].apply(plain, mask))[..., 0][mask]
    assert light.std() > 3


def test_a_sketch_of_a_dark_thing_leaves_paper_between_the_strokes() -> None:
    dark = np.random.default_rng(1).integers(5, 60, (120, 120, 1), dtype=np.uint8).repeat(3, 2)
    light = to_lab(EFFECTS["pencil sketch"].apply(dark, np.ones((120, 120), bool)))[..., 0]
    assert np.percentile(light, 90) > 70


def test_a_sketch_of_a_white_thing_on_white_keeps_its_outline() -> None:
    picture = np.full((200, 220, 3), 240, np.uint8)
    mask = np.zeros((200, 220), bool)
    mask[40:160, 50:170] = True
    drawn = to_lab(EFFECTS["pencil sketch"].apply(picture, mask))[..., 0]
    rim, inner = drawn[41:43, 60:160], drawn[80:120, 90:130]
    assert rim.mean() < inner.mean() - 20
    whole = EFFECTS["pencil sketch"].apply(picture, np.ones_like(mask))
    assert to_lab(whole)[2, :, 0].mean() > rim.mean() + 20  # the frame is no outline
