"""Fabrics: two colors, a pattern in the garment's size, its own light and folds; the editor keeps to the mask."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.backends.embedded.painting.fabrics import FABRICS, weave
from tasks.imaging.color_names import to_lab


def _shirt(height: int = 220, width: int = 160) -> tuple[np.ndarray, np.ndarray]:
    """A gray cloth, lit from the left, before a brown wall; and its mask."""
    picture = np.full((height + 40, width + 40, 3), (120, 90, 60), np.uint8)
    mask = np.zeros(picture.shape[:2], bool)
    mask[20:-20, 20:-20] = True
    light = np.linspace(1.2, 0.6, picture.shape[1])[None, :, None]
    return np.where(mask[..., None], (np.array([130, 130, 130]) * light).astype(np.uint8), picture), mask


@pytest.mark.parametrize("name", FABRICS)
def test_both_colors_are_seen_and_light_and_shade_stay(name: str) -> None:
    picture, mask = _shirt()
    fabric = FABRICS[name]
    woven = weave(picture, mask, fabric)
    assert woven.shape == picture.shape
    lit = woven[60:-60, 90:110].reshape(-1, 3).astype(float)  # about the median light
    for color in (fabric.ground, fabric.figure):
        assert np.abs(lit - np.array(color)).sum(axis=1).min() < 60
    left, right = (to_lab(woven[40:-40, x : x + 30])[..., 0].mean() for x in (25, 145))
    assert left > right + 5
    assert (woven == weave(picture, mask, fabric)).all()


@pytest.mark.parametrize("scale", [1, 3])
def test_the_pattern_has_the_garments_size(scale: int) -> None:
    picture, mask = _shirt(220 * scale, 160 * scale)
    column = weave(picture, mask, FABRICS["navy and white striped cotton"])[20:-20, picture.shape[1] // 2, 0]
    dark = column < column.mean()
    assert 12 <= np.count_nonzero(dark[1:] & ~dark[:-1]) <= 16


def test_folds_bend_stripes_and_a_plain_cloth_does_not() -> None:
    fabric = FABRICS["navy and white striped cotton"]
    picture, mask = _shirt()
    flat = weave(picture, mask, fabric)
    rows = np.abs(np.diff(flat[20:-20, 100].astype(int), axis=0)).sum(axis=1)
    assert rows.max() > 60
    folded = picture.copy()
    folded[20:-20, 95:105] = 190  # a lit fold
    moved = weave(folded, mask, fabric)
    brightest = [int(picture_[100:120, 100, 0].argmax()) for picture_ in (flat, moved)]
    assert brightest[0] != brightest[1]
