"""Recoloring reaches the asked name, keeps shading and highlights, and leaves other materials alone."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.backends.embedded.painting.recolor import MAX_LIFT, PAINTS, recolor
from tasks.imaging.color_names import dominant_color, to_lab, to_rgb


def _shaded(lab: tuple[float, float, float], size: int = 48, swing: float = 12.0) -> np.ndarray:
    """A surface lit from one side: lightness swings about that of ``lab``."""
    surface = np.empty((size, size, 3), np.float32)
    surface[...] = lab
    surface[..., 0] += np.linspace(-swing, swing, size)[None]
    return to_rgb(surface)


ALL = np.ones((48, 48), bool)


@pytest.mark.parametrize("name", sorted(PAINTS))
@pytest.mark.parametrize("start", [(55.0, 30.0, 25.0), (45.0, 5.0, -30.0), (60.0, 0.0, 3.0)])
def test_a_middling_surface_becomes_the_asked_color(name: str, start: tuple[float, float, float]) -> None:
    painted = recolor(_shaded(start, swing=8), ALL, name)
    found = dominant_color(painted)
    assert found.name == name
    assert found.share > 0.6


@pytest.mark.parametrize("name", ["red", "blue", "green", "yellow"])
def test_the_shading_keeps_its_order(name: str) -> None:
    light = to_lab(recolor(_shaded((60.0, 5.0, 5.0)), ALL, name))[24, :, 0]
    assert (np.diff(light[2:-2]) > -0.8).all()
    assert light[-1] - light[0] > 10


def test_a_dark_thing_is_not_made_to_glow() -> None:
    painted = to_lab(recolor(_shaded((10.0, 0.0, 0.0), swing=3), ALL, "yellow"))
    assert np.median(painted[..., 0]) <= 10 + MAX_LIFT + 1


def test_a_highlight_stays_white() -> None:
    image = _shaded((45.0, 50.0, 30.0), swing=5)
    image[20:26, 20:26] = (255, 255, 255)
    painted = to_lab(recolor(image, ALL, "blue"))
    shine = painted[22, 22]
    assert shine[0] > 90
    assert np.hypot(shine[1], shine[2]) < 20


def test_a_label_of_another_color_keeps_it() -> None:
    image = _shaded((50.0, 55.0, 35.0), swing=4)
    image[10:20, 10:30] = (40, 90, 200)
    painted = recolor(image, ALL, "green")
    assert dominant_color(painted[12:18, 12:28]).name == "blue"
    assert dominant_color(painted[30:]).name == "green"


def _chair() -> np.ndarray:
    """A seat of dark cloth over legs of wood."""
    image = _shaded((34.0, -9.0, -11.0), swing=4)
    image[36:] = _shaded((60.0, 14.0, 34.0), swing=4)[36:]
    return image


def test_legs_of_wood_stay_wood_under_a_painted_seat() -> None:
    image = _chair()
    painted = recolor(image, ALL, "green")
    assert dominant_color(painted[:32]).name == "green"
    assert np.abs(painted[40:].astype(int) - image[40:]).max() <= 2


def test_cloth_is_dyed_whole_with_its_darkest_folds() -> None:
    image = _shaded((50.0, 4.0, -30.0), swing=5)
    image[10:24, 10:40] = to_rgb(np.full((14, 30, 3), (12.0, 2.0, -20.0), np.float32))
    dyed = to_lab(recolor(image, ALL, "green", whole=True))[12:22, 12:38]
    assert (dyed[..., 1] < 0).all()


def test_an_unknown_color_is_an_error() -> None:
    with pytest.raises(KeyError):
        recolor(_shaded((50.0, 0.0, 0.0)), ALL, "teal")
