"""The ring around a hole: grain and falling light are even, structures and other things are not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tasks.imaging.even_ground import departing_area, ground_around

SHAPE = (200, 260)
ROWS, COLUMNS = np.mgrid[0 : SHAPE[0], 0 : SHAPE[1]]
HOLE = (np.abs(ROWS - 100) < 30) & (np.abs(COLUMNS - 130) < 22)
NOTHING = np.zeros(SHAPE, bool)


def gray(light: np.ndarray) -> np.ndarray:
    return np.clip(np.repeat(light[..., None], 3, axis=2), 0, 255).astype(np.uint8)


def even(image: np.ndarray, others: np.ndarray = NOTHING) -> float:
    ground = ground_around(image, HOLE, others)
    assert ground is not None
    return ground.even


def test_grain_and_light_that_falls_off_are_even() -> None:
    grain = np.random.default_rng(2).normal(0, 14, SHAPE)
    assert even(gray(120 + grain)) > 0.97
    assert even(gray(90 + 0.4 * COLUMNS + 0.002 * (ROWS - 100) ** 2)) > 0.97


def test_a_thing_in_the_hole_does_not_count() -> None:
    assert even(gray(np.where(HOLE, 20, 150))) > 0.99


@pytest.mark.parametrize("angle", [0, 35, 90])
def test_two_even_surfaces_with_a_straight_border_are_even(angle: float) -> None:
    along = (COLUMNS - 135) * np.cos(np.radians(angle)) + (ROWS - 96) * np.sin(np.radians(angle))
    assert even(gray(np.where(along > 0, 190, 70))) > 0.95


def test_stripes_and_a_third_surface_are_uneven() -> None:
    assert even(gray(120 + 40 * np.sin(COLUMNS / 4.0))) < 0.6
    assert even(gray(np.where(ROWS < 90, 200, np.where(COLUMNS < 130, 120, 40)))) < 0.8


def test_ground_behind_other_things_is_not_seen() -> None:
    image = gray(np.full(SHAPE, 130.0))
    half = COLUMNS < 130
    assert 0.3 < even(image, half & ~HOLE) < 0.6
    assert ground_around(image, HOLE, ~HOLE) is None


def test_what_departs_is_measured_in_areas_of_the_hole() -> None:
    image = gray(np.full(SHAPE, 130.0))
    ground = ground_around(image, HOLE, NOTHING)
    assert ground is not None
    assert departing_area(image, ground, 4.5) == 0.0
    quarter = HOLE & (ROWS < 100) & (COLUMNS < 130)
    smear = cv2.GaussianBlur(np.where(quarter, 90.0, 130.0), (0, 0), 2)
    assert departing_area(gray(smear), ground, 4.5) == pytest.approx(0.25, abs=0.06)


def test_a_border_in_the_filling_must_be_where_it_is_outside() -> None:
    image = gray(np.where(ROWS < 100, 190, 70))
    ground = ground_around(image, HOLE, NOTHING)
    assert ground is not None
    assert departing_area(image, ground, 4.5) < 0.01
    moved = np.where(HOLE & (ROWS < 112), 190, image[..., 0])
    assert departing_area(gray(moved), ground, 4.5) > 0.1
