"""A removal where the ground is even passes; elsewhere it is refused, mostly before anything is filled."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from tasks.records.errors import Reason
from tasks.records.outcomes import Outcome
from tasks.records.records import EditPlan, EditType
from tests.tasks.stages.answering import GivenAsk
from tests.tasks.stages.editing.drawn_scene import PAINTS, SHAPE, disc, make_plan, shaded
from tests.tasks.stages.editing.planted_stage import (
    EVERY_GATE,
    RED,
    assert_refused_alone,
    only_child,
    replace_gates,
    run,
)

ROWS, COLUMNS = np.mgrid[0 : SHAPE[0], 0 : SHAPE[1]]


def with_ball(ground: np.ndarray) -> np.ndarray:
    image = ground.copy()
    shaded(image, RED, PAINTS["red"])
    return image


def lighter(ground: np.ndarray, by: np.ndarray) -> np.ndarray:
    """The ground with ``by`` (H, W), in gray levels, added."""
    return np.clip(ground.astype(np.float32) + by[..., None], 0, 255).astype(np.uint8)


def spot(x: int, y: int, wide: float, tall: float) -> np.ndarray:
    """A soft spot, 1 in its middle, (H, W)."""
    return np.exp(-(((COLUMNS - x) / wide) ** 2) - ((ROWS - y) / tall) ** 2).astype(np.float32)


def removed(
    ground: np.ndarray, fill: np.ndarray | None = None, *, image: np.ndarray | None = None, **bounds: float
) -> Outcome:
    """The ball taken out of the ``image``, with what is behind it in the ``fill``."""
    return run(
        with_ball(ground) if image is None else image,
        make_plan(RED, EditType.REMOVE, others=()),
        fill=ground if fill is None else fill,
        settings=replace_gates(EVERY_GATE, **bounds),
    )


def grass() -> np.ndarray:
    """Two hues in short blades, darker toward the top."""
    random = np.random.default_rng(3)
    blades = cv2.GaussianBlur(random.normal(0, 1, SHAPE), (0, 0), sigmaX=0.8, sigmaY=1.6)[..., None]
    base = np.array([96, 134, 60]) + blades * np.array([34, 34, 16])
    return lighter(np.clip(base, 0, 255).astype(np.uint8), 0.1 * (ROWS - 120))


def test_a_thing_on_textured_grass_with_its_shadow_is_removed() -> None:
    ground = grass()
    image = lighter(ground, -40 * spot(180, 148, 24, 5))
    shaded(image, RED, PAINTS["red"])
    child = only_child(removed(ground, image=image))
    assert child.reason is None, child.measured


def test_a_straight_border_between_two_even_surfaces_may_pass_behind_it(ground: np.ndarray) -> None:
    horizon = lighter(ground, np.where(ROWS < 112, 55, 0))
    child = only_child(removed(horizon, max_busy=1.0))
    assert child.reason is None, child.measured


def test_a_border_that_the_filling_bends_is_refused(ground: np.ndarray) -> None:
    horizon = lighter(ground, np.where(ROWS < 112, 55, 0))
    bent = lighter(ground, np.where(112 - 18 * spot(160, 112, 14, 99) > ROWS, 55, 0))
    child = only_child(removed(horizon, bent, max_busy=1.0, max_shadow_left=9.0, max_cut=1.0))
    assert_refused_alone(child, Reason.SHADOW_LEFT)


@pytest.mark.parametrize(
    "pattern",
    [
        pytest.param(30 * np.sin(COLUMNS / 5.0), id="curtain"),
        pytest.param(np.where((COLUMNS // 24 + ROWS // 24) % 2, 22.0, -22.0), id="tiles"),
        pytest.param(24 * np.sin((COLUMNS + ROWS) / 9.0) * np.cos(ROWS / 14.0), id="folds"),
    ],
)
def test_on_uneven_ground_nothing_is_filled(ground: np.ndarray, pattern: np.ndarray) -> None:
    def fill(question: object) -> np.ndarray:
        raise AssertionError("nobody fills it")

    image = with_ball(lighter(ground, pattern))
    plan = make_plan(RED, EditType.REMOVE, others=())
    outcome = run(image, plan, inpainter=GivenAsk("inpainter", fill), settings=EVERY_GATE)
    assert outcome.reason is Reason.UNEVEN_GROUND
    assert [m.name for m in outcome.measured] == ["even_ground_share"]


def test_among_other_things_nothing_is_filled(ground: np.ndarray, plan_for: Callable[..., EditPlan]) -> None:
    crowd = (disc(120, 160, 20), disc(160, 172, 16), disc(205, 150, 18), disc(118, 88, 16))
    image = with_ball(ground)
    for mask in crowd:
        shaded(image, mask, PAINTS["blue"])
    plan = plan_for(RED, EditType.REMOVE, others=tuple(("blue ball", mask) for mask in crowd))
    assert run(image, plan, fill=ground, settings=EVERY_GATE).reason is Reason.UNEVEN_GROUND


LEFT = {
    "reflection below it": 26 * spot(160, 148, 16, 7),
    "shade at its edge": -24 * spot(134, 134, 10, 10),
    "smear": 22 * spot(160, 116, 14, 14),
}


@pytest.mark.parametrize("what", LEFT)
def test_what_is_left_on_even_ground_is_refused_by_this_gate_alone(ground: np.ndarray, what: str) -> None:
    table = (0.2 * ground + 0.8 * ground.mean((0, 1))).astype(np.uint8)
    image, stained = with_ball(table), lighter(table, LEFT[what])
    # What lies beyond the hole is in the photograph as well.
    image[~RED] = stained[~RED]
    others = {
        "max_shadow_left": 9.0,
        "max_novel": 1.0,
        "max_busy": 1.0,
        "max_trace": 1.0,
        "max_seam_share": 1.0,
    }
    child = only_child(removed(table, stained, image=image, **others))
    assert_refused_alone(child, Reason.SHADOW_LEFT)
    assert [m.name for m in child.measured] == ["remains_share"]
    assert only_child(removed(table, stained, image=image, max_remains=1.0, **others)).reason is None
