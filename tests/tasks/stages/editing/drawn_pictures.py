"""A drawn scene on a textured ground, and plans about its objects."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tasks.records.records import EditPlan
from tests.tasks.stages.editing.drawn_scene import PAINTS, disc, draw_ground, make_plan, shaded


@pytest.fixture
def ground() -> np.ndarray:
    """Grainy gray-green ground, (240, 320, 3) uint8."""
    return draw_ground()


@pytest.fixture
def picture(ground: np.ndarray) -> np.ndarray:
    """The ground with a red ball (160, 120) and a blue one near it (225, 125), both of radius 26 and 18."""
    image = ground.copy()
    shaded(image, disc(160, 120, 26), PAINTS["red"])
    shaded(image, disc(225, 125, 18), PAINTS["blue"])
    return image


@pytest.fixture
def plan_for() -> Callable[..., EditPlan]:
    """(mask, edit type, argument, label) -> a plan in the scene of the two balls."""
    return make_plan
