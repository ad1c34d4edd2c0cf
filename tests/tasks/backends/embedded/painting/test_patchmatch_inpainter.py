"""The embedded inpainter fills from the surroundings, never from what to avoid, and the same each time."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.backends.embedded.painting.patchmatch_inpainter import PatchMatchInpainter, PatchMatchOptions
from tasks.records.errors import Reason, SampleError
from tasks.roles.picture import Picture
from tasks.roles.questions import InpaintQuestion

FAST = PatchMatchOptions(work_side_px=96, patch_radius=2)


def _stripes(height: int = 90, width: int = 120) -> np.ndarray:
    rows = (np.arange(height) // 5 % 2 * 80 + 80).astype(np.uint8)
    return np.broadcast_to(rows[:, None, None], (height, width, 3)).copy()


def _ask(image: np.ndarray, hole: np.ndarray, seed: int = 1, avoid: np.ndarray | None = None) -> np.ndarray:
    question = InpaintQuestion(
        subject="window", picture=Picture.of_pixels(image), hole=hole, seed=seed, avoid=avoid
    )
    return PatchMatchInpainter(FAST).answer_one(question)


def _hole(image: np.ndarray) -> np.ndarray:
    hole = np.zeros(image.shape[:2], bool)
    hole[30:60, 45:75] = True
    return hole


def test_stripes_go_on_through_the_hole() -> None:
    truth = _stripes()
    damaged = truth.copy()
    hole = _hole(damaged)
    damaged[hole] = (255, 0, 0)
    filled = _ask(damaged, hole)
    error = np.abs(filled[hole].astype(int) - truth[hole]).mean()
    assert error < 20


def test_pixels_outside_the_hole_are_untouched() -> None:
    image = np.random.default_rng(0).integers(0, 256, (200, 260, 3), dtype=np.uint8)
    hole = np.zeros((200, 260), bool)
    hole[80:120, 100:160] = True
    filled = _ask(image, hole)
    assert filled.shape == image.shape
    assert np.array_equal(filled[~hole], image[~hole])


def test_nothing_is_copied_from_what_to_avoid() -> None:
    rng = np.random.default_rng(2)
    image = rng.integers(90, 130, (90, 120, 3), dtype=np.uint8)
    avoid = np.zeros((90, 120), bool)
    avoid[25:65, 78:115] = True
    image[avoid] = (250, 20, 20)
    filled = _ask(image, _hole(image), avoid=avoid)
    inside = filled[35:55, 50:68].astype(int)
    assert (inside[..., 0] - inside[..., 1]).max() < 60


def test_a_window_with_nothing_to_copy_from_is_a_sample_error() -> None:
    image = np.full((60, 60, 3), 90, np.uint8)
    hole = np.ones((60, 60), bool)
    hole[:2] = False
    with pytest.raises(SampleError) as caught:
        _ask(image, hole)
    assert caught.value.reason is Reason.REGION_TOO_LARGE


def test_a_gradient_wall_is_continued_without_a_tone_step() -> None:
    ramp = np.linspace(120, 180, 120, dtype=np.float32)[None, :, None]
    wall = np.clip(np.broadcast_to(ramp, (90, 120, 3)), 0, 255).astype(np.uint8)
    damaged = wall.copy()
    hole = _hole(damaged)
    damaged[hole] = 0
    filled = _ask(damaged, hole)
    assert np.abs(filled[hole].astype(int) - wall[hole]).mean() < 8
