"""The main surface of a mask is one paint in light and in shade, whatever its colors are called."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.imaging.color_names import dominant_color, to_lab, to_rgb
from tasks.imaging.surfaces import clear_part, main_surface

SIZE = 80
ALL = np.ones((SIZE, SIZE), bool)


def _lit(lab: tuple[float, float, float], low: float, high: float) -> np.ndarray:
    """One paint under light that falls from left to right: L + 16, a and b scale alike."""
    light = np.linspace(high, low, SIZE, dtype=np.float32)[None, :, None]
    picture = np.empty((SIZE, SIZE, 3), np.float32)
    picture[...] = lab
    picture[..., :1] = (picture[..., :1] + 16) * light - 16
    picture[..., 1:] *= light
    return picture


@pytest.mark.parametrize("lab", [(80, 0, 2), (60, 18, 64), (45, 60, 40), (40, 5, -40)])
def test_light_and_shade_of_one_paint_are_one_surface_though_it_has_several_names(lab) -> None:
    picture = to_rgb(_lit(lab, low=0.55, high=1.1))
    found = main_surface(picture, ALL)
    assert found.share > 0.95
    assert found.unclear < 0.02
    if lab[0] == 80:
        assert dominant_color(picture).share < 0.8


def test_legs_of_another_material_are_not_of_the_seat() -> None:
    picture = _lit((40, -9, -11), low=0.7, high=1.1)
    picture[60:] = _lit((62, 14, 34), low=0.7, high=1.1)[60:]
    found = main_surface(to_rgb(picture), ALL)
    assert found.share == pytest.approx(60 / SIZE, abs=0.02)
    assert found.unclear < 0.03
    weight = clear_part(to_rgb(picture), ALL)
    assert weight is not None
    assert weight[:56].min() > 0.9
    assert weight[64:].max() < 0.1


def test_shade_of_the_seats_color_on_a_leg_is_not_of_the_seat_and_a_rim_in_another_light_is() -> None:
    picture = _lit((40, -9, -11), low=0.9, high=1.0)
    picture[:2] = (52, -2, -24)
    picture[60:] = _lit((62, 14, 34), low=0.9, high=1.0)[60:]
    picture[68:74, 40:46] = (38, -9, -11)
    weight = clear_part(to_rgb(picture), ALL)
    assert weight is not None
    assert weight[:56].min() > 0.9
    assert weight[64:].max() < 0.1


def test_one_paint_has_no_part() -> None:
    assert clear_part(to_rgb(_lit((60, 18, 64), low=0.6, high=1)), ALL) is None


def test_coffee_is_not_of_its_cup() -> None:
    picture = _lit((85, 0, 2), low=0.7, high=1.0)
    picture[:30] = (30, 12, 20)
    assert main_surface(to_rgb(picture), ALL).share < 0.7


def test_black_print_on_white_is_another_surface_and_gray_shade_is_not() -> None:
    white = np.full((SIZE, SIZE, 3), (90, 0, 0), np.float32)
    white[50:] = (45, 0, 0)
    assert main_surface(to_rgb(white), ALL).share > 0.95
    white[50:] = (10, 0, 0)
    assert main_surface(to_rgb(white), ALL).share == pytest.approx(50 / SIZE, abs=0.02)


def test_a_highlight_belongs_to_the_surface() -> None:
    picture = _lit((40, 55, 35), low=0.8, high=1.0)
    picture[30:36, 30:36] = (97, 0, 0)
    assert main_surface(to_rgb(picture), ALL).share > 0.98


def test_a_fade_between_two_materials_is_unclear() -> None:
    share = np.linspace(0, 1, SIZE, dtype=np.float32)[:, None, None]
    picture = share * np.array((50, 30, 20), np.float32) + (1 - share) * np.array((50, -20, -10), np.float32)
    picture = np.broadcast_to(picture, (SIZE, SIZE, 3)).astype(np.float32)
    assert main_surface(to_rgb(picture), ALL).unclear > 0.05


def test_only_pixels_of_the_mask_count_and_one_is_enough() -> None:
    picture = to_rgb(_lit((60, 18, 64), low=1, high=1))
    picture[:40] = (0, 0, 255)
    mask = ALL.copy()
    mask[:40] = False
    assert main_surface(picture, mask).share == 1
    mask[:] = False
    mask[50, 50] = True
    single = main_surface(picture, mask)
    assert single.share == 1
    assert single.lab == pytest.approx(tuple(to_lab(picture)[50, 50]), abs=0.1)


def test_an_empty_mask_is_an_error() -> None:
    with pytest.raises(ValueError, match="empty"):
        main_surface(np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), bool))


def test_the_same_pixels_give_the_same_surface() -> None:
    picture = to_rgb(_lit((50, 20, -30), low=0.5, high=1.2))
    assert main_surface(picture, ALL) == main_surface(picture.copy(), ALL.copy())
