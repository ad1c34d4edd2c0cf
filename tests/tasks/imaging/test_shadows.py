"""A cast shadow is found with the thing that casts it; other dark areas are not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tasks.imaging.shadows import attached_shadow, shade_of, shadow_area

SHAPE = (300, 400)
FOOT = (200, 200)
"""(x, y) where the thing stands."""


def _ground(color: tuple[int, int, int] = (140, 150, 120), grain: float = 6.0) -> np.ndarray:
    noise = cv2.GaussianBlur(np.random.default_rng(3).normal(0, grain, SHAPE), (0, 0), 0.8)[..., None]
    slope = np.linspace(-12, 12, SHAPE[1])[None, :, None]
    return np.clip(np.array(color) + 2 * noise + slope, 0, 255).astype(np.uint8)


def _post() -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[110 : FOOT[1], FOOT[0] - 14 : FOOT[0] + 14] = True
    return mask


def _cast(x: int = FOOT[0] + 35, y: int = FOOT[1] + 4) -> np.ndarray:
    drawn = cv2.ellipse(np.zeros(SHAPE, np.uint8), (x, y), (50, 9), 0, 0, 360, 1, -1)
    return (drawn > 0) & ~_post()


def _picture(shadow: np.ndarray, light: float = 0.5) -> np.ndarray:
    image = _ground().astype(np.float32)
    soft = cv2.GaussianBlur(shadow.astype(np.float32), (0, 0), 2.0)[..., None]
    image = image * (1 - (1 - light) * soft)
    image[_post()] = (190, 40, 50)
    return np.clip(image, 0, 255).astype(np.uint8)


def _found(image: np.ndarray, blocked: np.ndarray | None = None) -> np.ndarray:
    nothing = np.zeros(SHAPE, bool)
    return attached_shadow(image, _post(), nothing if blocked is None else blocked, reach=1.0, touch_px=5)


@pytest.mark.parametrize("light", [0.35, 0.5, 0.7])
def test_a_cast_shadow_is_found_as_a_whole(light: float) -> None:
    shadow = _cast()
    found = _found(_picture(shadow, light))
    assert found[shadow].mean() > 0.9
    assert (found & ~cv2.dilate(shadow.astype(np.uint8), np.ones((13, 13))).astype(bool)).sum() < 60


def test_a_thing_without_a_shadow_has_none() -> None:
    assert _found(_picture(np.zeros(SHAPE, bool))).sum() < 60


def test_a_shadow_that_does_not_touch_the_thing_belongs_to_another() -> None:
    apart = _cast(FOOT[0] + 110, FOOT[1] - 60)
    assert not (_found(_picture(apart)) & apart).any()


def test_a_dark_thing_of_another_hue_beside_it_is_no_shadow() -> None:
    image = _picture(np.zeros(SHAPE, bool))
    image[150:200, 214:250] = (30, 40, 120)
    assert not _found(image)[155:195, 225:245].any()


def test_the_shadow_on_a_neighbor_is_left_with_it() -> None:
    shadow, neighbor = _cast(), np.zeros(SHAPE, bool)
    neighbor[180:230, 240:300] = True
    assert not (_found(_picture(shadow), neighbor) & neighbor).any()


def test_the_light_of_the_ground_is_that_of_its_brighter_pixels() -> None:
    image, everything = _picture(_cast()), np.ones(SHAPE, bool)
    shade = shade_of(image, ~_post(), everything & ~_post())
    assert shade.core[_cast(FOOT[0] + 40)].mean() > 0.8
    assert shade.core[:60].mean() < 0.01


def test_a_shadow_that_is_left_at_a_filling_counts_with_its_area() -> None:
    fill, nothing = _post(), np.zeros(SHAPE, bool)
    shade = _cast(FOOT[0] + 8)
    image = _picture(shade)
    image[_post()] = _ground()[_post()]
    assert 0.2 * shade.sum() < shadow_area(image, fill, nothing, 3.0 * fill.sum()) < 1.2 * shade.sum()
    assert shadow_area(_ground(), fill, nothing, 3.0 * fill.sum()) == 0
