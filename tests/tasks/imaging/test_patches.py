"""Novelty: a made-up thing is novel, a continued texture and a copied thing are not."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.imaging.patches import describe, grid, nearest, novel_share
from tests.tasks.stages.editing.drawn_scene import SHAPE, disc

HOLE = disc(160, 120, 40)
NOTHING = np.zeros(SHAPE, bool)


def test_texture_that_goes_on_is_not_novel(ground: np.ndarray) -> None:
    assert novel_share(ground, HOLE, NOTHING, 8.0) == 0


def test_a_made_up_thing_is_novel_by_its_share_of_the_hole(ground: np.ndarray) -> None:
    ground[disc(160, 120, 20)] = (200, 120, 40)
    share = novel_share(ground, HOLE, NOTHING, 8.0)
    assert 0.2 < share < 0.5


def test_a_copied_thing_is_novel_only_when_its_model_is_to_be_avoided(ground: np.ndarray) -> None:
    model, copy = disc(260, 120, 18), disc(160, 120, 18)
    ground[model] = (200, 120, 40)
    ground[copy] = (200, 120, 40)
    assert novel_share(ground, HOLE, NOTHING, 8.0) < 0.02
    assert novel_share(ground, HOLE, disc(260, 120, 24), 8.0) > 0.1


def test_without_surroundings_nothing_is_novel(ground: np.ndarray) -> None:
    assert novel_share(ground, np.ones(SHAPE, bool), NOTHING, 8.0) == 0


def test_the_nearest_patch_of_a_patch_is_itself(ground: np.ndarray) -> None:
    described = describe(ground)
    where = grid(np.ones(SHAPE, bool), 400)
    patches = described[where[:, 0], where[:, 1]]
    apart = np.abs(patches[nearest(patches, patches)] - patches).max()
    assert apart == 0


@pytest.mark.parametrize("most", [50, 500, 10**6])
def test_a_grid_is_thinned_to_about_the_asked_number(most: int) -> None:
    found = grid(HOLE, most)
    assert len(found) <= most * 1.3
    assert HOLE[found[:, 0], found[:, 1]].all()
