"""A jacket over a shirt of its hue is two garments; folds, shade and prints are not. All pictures are drawn."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.backends.embedded.perception.cloth_tones import two_tone_edge
from tasks.backends.embedded.perception.garments import GarmentOptions
from tasks.imaging.color_names import to_rgb

SIDE = 300
WHOLE = np.ones((SIDE, SIDE), bool)
LIMIT = GarmentOptions().max_two_tone_edge


def _cloth(light: np.ndarray) -> np.ndarray:
    """A cloth of a weak blue in the given light (H, W), with grain."""
    grain = np.random.default_rng(0).normal(0, 1.5, light.shape)
    return to_rgb(np.stack([light + grain, np.full_like(light, -1), np.full_like(light, -5)], axis=2))


def _folds(level: float, depth: float) -> np.ndarray:
    x = np.linspace(0, 6 * np.pi, SIDE)
    return np.tile(level + depth * np.sin(x), (SIDE, 1))


def _open_jacket() -> np.ndarray:
    light = _folds(50, 6)
    light[:, 100:200] = _folds(78, 4)[:, 100:200]
    return light


def test_a_shirt_under_an_open_jacket_is_another_cloth() -> None:
    assert two_tone_edge(_cloth(_open_jacket()), WHOLE) > LIMIT


@pytest.mark.parametrize("depth", [4.0, 12.0, 22.0])
def test_folds_are_no_second_cloth(depth: float) -> None:
    assert two_tone_edge(_cloth(_folds(55, depth)), WHOLE) <= LIMIT


def test_light_from_the_side_is_no_second_cloth() -> None:
    light = np.tile(np.linspace(80, 25, SIDE), (SIDE, 1))
    assert two_tone_edge(_cloth(light), WHOLE) == 0


def test_a_print_is_too_small_to_be_a_garment() -> None:
    light = _folds(75, 4)
    light[120:180, 120:180] = 20
    assert two_tone_edge(_cloth(light), WHOLE) == 0


def test_the_garment_is_measured_and_not_what_is_beside_it() -> None:
    mask = WHOLE.copy()
    mask[:, 100:200] = False
    assert two_tone_edge(_cloth(_open_jacket()), mask) == 0
    assert two_tone_edge(_cloth(_open_jacket()), np.zeros_like(WHOLE)) == 0
