"""Color names agree with what people call the colors of everyday things."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.imaging.color_names import (
    NAMES,
    dominant_color,
    name_color,
    name_indices,
    share_of_color,
    to_lab,
    to_rgb,
)

EVERYDAY = {
    "white": [(250, 250, 248), (216, 220, 214), (238, 232, 220)],
    "black": [(12, 12, 14), (35, 32, 30), (20, 24, 34)],
    "gray": [(128, 128, 128), (90, 95, 98), (150, 150, 145)],
    "red": [(200, 20, 30), (150, 10, 20), (230, 60, 50)],
    "orange": [(255, 140, 0), (230, 110, 30), (200, 85, 10)],
    "brown": [(90, 55, 30), (140, 95, 60), (185, 145, 105)],
    "yellow": [(250, 220, 40), (240, 200, 70), (255, 250, 130)],
    "green": [(40, 140, 50), (120, 140, 80), (30, 70, 45)],
    "blue": [(70, 90, 120), (30, 60, 200), (120, 190, 230), (20, 30, 80)],
    "purple": [(110, 40, 130), (150, 120, 190), (70, 30, 90)],
    "pink": [(255, 170, 190), (240, 90, 160), (190, 20, 100)],
}


def _flat(rgb: tuple[int, int, int], size: int = 8) -> np.ndarray:
    return np.full((size, size, 3), rgb, np.uint8)


@pytest.mark.parametrize(("name", "rgb"), [(n, c) for n, colors in EVERYDAY.items() for c in colors])
def test_everyday_colors_get_the_name_people_use(name: str, rgb: tuple[int, int, int]) -> None:
    lab = to_lab(_flat(rgb))[0, 0]
    assert name_color((float(lab[0]), float(lab[1]), float(lab[2]))) == name


def test_every_color_of_the_cube_has_exactly_one_name() -> None:
    axis = np.arange(0, 256, 15, dtype=np.uint8)
    cube = np.stack(np.meshgrid(axis, axis, axis), axis=-1).reshape(1, -1, 3)
    indices = name_indices(to_lab(cube))
    assert indices.shape == (1, cube.shape[1])
    assert set(indices.ravel().tolist()) == set(range(len(NAMES)))


def test_the_share_counts_only_pixels_under_the_mask() -> None:
    picture = _flat((200, 20, 30), 10)
    picture[:, 5:] = (30, 60, 200)
    mask = np.zeros((10, 10), bool)
    mask[:, 2:6] = True
    found = dominant_color(picture, mask)
    assert (found.name, found.share) == ("red", 0.75)


def test_a_color_between_two_names_is_not_clear() -> None:
    border = to_rgb(np.full((4, 4, 3), (78.5, 0.0, 0.0), np.float32))
    assert dominant_color(border).clear_share == 0.0
    assert dominant_color(_flat((250, 250, 250))).clear_share == 1.0


def test_the_mean_color_leaves_out_pixels_of_other_names() -> None:
    picture = _flat((250, 250, 250), 10)
    picture[:2] = (0, 0, 0)
    assert dominant_color(picture).lab[0] > 95


def test_an_empty_mask_is_an_error() -> None:
    with pytest.raises(ValueError, match="empty"):
        dominant_color(_flat((1, 2, 3)), np.zeros((8, 8), bool))


def test_rgb_survives_the_way_to_lab_and_back() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    assert np.abs(to_rgb(to_lab(picture)).astype(int) - picture).max() <= 1


def _lit_and_shaded(lab: tuple[float, float, float], dimmed: float) -> np.ndarray:
    """A surface whose right two fifths lie in shade: L + 16, a and b scaled alike."""
    picture = np.empty((40, 50, 3), np.float32)
    picture[:] = lab
    picture[:, 30:] = np.array([(lab[0] + 16) * dimmed - 16, lab[1] * dimmed, lab[2] * dimmed])
    return to_rgb(picture)


def test_the_shade_of_a_color_counts_as_that_color() -> None:
    surface, whole = _lit_and_shaded((70, 38, -2), 0.62), np.ones((40, 50), bool)
    assert name_color(tuple(to_lab(surface)[20, 45])) != "pink"  # type: ignore[arg-type]
    assert dominant_color(surface, whole).share == pytest.approx(0.6)
    assert share_of_color(surface, whole, "pink") == pytest.approx(1.0)


@pytest.mark.parametrize("beside", [(45, 38, -38), (38, 58, 38), (20, 0, 0)])
def test_another_color_is_no_shade_of_it(beside: tuple[float, float, float]) -> None:
    picture = np.empty((40, 50, 3), np.float32)
    picture[:], picture[:, 30:] = (70, 38, -2), beside
    assert share_of_color(to_rgb(picture), np.ones((40, 50), bool), "pink") == pytest.approx(0.6)


def test_the_color_must_be_the_most_frequent_and_white_has_no_shade() -> None:
    whole = np.ones((40, 50), bool)
    assert share_of_color(_lit_and_shaded((70, 38, -2), 0.62), whole, "purple") == 0
    assert share_of_color(_lit_and_shaded((92, 0, 2), 0.5), whole, "white") == pytest.approx(0.6)
