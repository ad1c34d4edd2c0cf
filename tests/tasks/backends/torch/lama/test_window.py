"""Windows reach the network at a size it takes, and only the hole comes back."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.backends.torch.lama.window import fit_window


def _window(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    image = np.random.default_rng(3).integers(0, 256, (height, width, 3), np.uint8)
    hole = np.zeros((height, width), bool)
    hole[height // 3 : height // 2, width // 3 : 2 * width // 3] = True
    return image, hole


@pytest.mark.parametrize(("height", "width"), [(64, 64), (61, 90), (7, 33), (1, 8)])
def test_sides_become_multiples_of_eight_by_reflection(height: int, width: int) -> None:
    image, hole = _window(height, width)
    window = fit_window(image, hole, 1024)
    rows, columns = window.small_hole.shape
    assert (rows % 8, columns % 8) == (0, 0)
    assert 0 <= rows - height < 8
    assert 0 <= columns - width < 8
    assert np.array_equal(window.small[:height, :width], image)
    if rows > height > 1:
        assert np.array_equal(window.small[height, :width], image[height - 2])
        assert np.array_equal(window.small_hole[height, :width], hole[height - 2])


def test_a_long_window_is_scaled_down_and_its_hole_covers_every_pixel_that_it_touches() -> None:
    image, hole = _window(300, 700)
    window = fit_window(image, hole, 320)
    assert window.content == (137, 320)
    assert window.small_hole.shape == (144, 320)
    alone = fit_window(np.repeat(hole[..., None], 3, axis=2).astype(np.uint8) * 255, hole, 320)
    assert not alone.small[~alone.small_hole].any(), "no color of the object is left outside the hole"
    assert fit_window(image, hole, 701).content == (300, 700), "no window is scaled up"


@pytest.mark.parametrize("limit", [96, 1024])
def test_outside_the_hole_the_window_is_as_it_was_to_the_bit(limit: int) -> None:
    image, hole = _window(150, 210)
    window = fit_window(image, hole, limit)
    filled = window.with_filling(np.full((*window.small_hole.shape, 3), 77, np.uint8))
    assert np.array_equal(filled[~hole], image[~hole])
    assert (filled[hole] == 77).all()
