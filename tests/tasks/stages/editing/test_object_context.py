"""Pixels around an object are distinguished from its ground by color, relative to the ground's own variance."""

from __future__ import annotations

import numpy as np

from tasks.imaging.masks import dilate
from tasks.stages.editing.object_context import unnamed_things

SHAPE = (160, 200)


def _object() -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[60:100, 70:120] = True
    return mask


def _ground(spread: float) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, spread, (*SHAPE, 1))
    return np.clip(150 + noise, 0, 255).astype(np.uint8).repeat(3, axis=2)


def _around(image: np.ndarray, blocked: np.ndarray | None = None) -> np.ndarray:
    mask = _object()
    image[mask] = (200, 40, 40)
    return unnamed_things(
        image, mask, dilate(mask, 8), np.zeros(SHAPE, bool) if blocked is None else blocked, 16
    )


def test_plain_ground_holds_nothing() -> None:
    assert not _around(_ground(3)).any()


def test_a_darker_gray_is_a_shadow_and_a_blue_one_a_thing() -> None:
    image = _ground(3)
    image[100:112, 70:120] = 105
    image[60:100, 50:64] = (40, 60, 190)
    thing = _around(image)
    assert not thing[102:112, 70:120].any()
    assert thing[64:96, 52:62].mean() > 0.9


def test_a_part_of_the_object_that_its_mask_missed_is_not_a_thing() -> None:
    image = _ground(3)
    image[70:90, 124:132] = (200, 40, 40)
    assert not _around(image).any()


def test_on_a_busy_ground_a_blue_patch_does_not_stand_out() -> None:
    rng = np.random.default_rng(1)
    blocks = rng.integers(40, 220, (20, 25)).repeat(8, axis=0).repeat(8, axis=1)
    image = blocks[..., None].repeat(3, axis=2).astype(np.uint8)
    image[104:112, 80:96] = (90, 90, 120)
    assert _around(image).mean() < 0.01


def test_a_named_neighbor_is_none() -> None:
    image = _ground(3)
    blocked = np.zeros(SHAPE, bool)
    blocked[60:100, 124:140] = True
    image[blocked] = (40, 60, 190)
    assert not _around(image, blocked).any()


def test_an_object_that_fills_the_picture_has_no_context() -> None:
    whole = np.ones(SHAPE, bool)
    assert not unnamed_things(_ground(3), whole, whole, ~whole, 16).any()
