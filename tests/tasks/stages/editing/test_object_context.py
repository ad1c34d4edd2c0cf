"""Pixels around an object are distinguished from its ground by color, relative to the ground's own variance."""

from __future__ import annotations

import numpy as np

from tasks.imaging.masks import dilate
from tasks.stages.editing.object_context import classify_context

SHAPE = (160, 200)


def _object() -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[60:100, 70:120] = True
    return mask


def _ground(spread: float) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, spread, (*SHAPE, 1))
    return np.clip(150 + noise, 0, 255).astype(np.uint8).repeat(3, axis=2)


def _around(image: np.ndarray, blocked: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    mask = _object()
    image[mask] = (200, 40, 40)
    found = classify_context(
        image, mask, dilate(mask, 8), np.zeros(SHAPE, bool) if blocked is None else blocked, 16
    )
    return found.shadow, found.thing


def test_plain_ground_holds_nothing() -> None:
    shadow, thing = _around(_ground(3))
    assert not shadow.any()
    assert not thing.any()


def test_a_darker_gray_is_a_shadow_and_a_blue_one_a_thing() -> None:
    image = _ground(3)
    image[100:112, 70:120] = 105
    image[60:100, 50:64] = (40, 60, 190)
    shadow, thing = _around(image)
    assert shadow[104:110, 75:115].mean() > 0.9
    assert thing[64:96, 52:62].mean() > 0.9
    assert not (shadow & thing).any()


def test_a_part_of_the_object_that_its_mask_missed_is_not_a_thing() -> None:
    image = _ground(3)
    image[70:90, 124:132] = (200, 40, 40)
    _, thing = _around(image)
    assert not thing.any()


def test_on_a_busy_ground_a_darker_patch_does_not_stand_out() -> None:
    rng = np.random.default_rng(1)
    blocks = rng.integers(40, 220, (20, 25)).repeat(8, axis=0).repeat(8, axis=1)
    image = blocks[..., None].repeat(3, axis=2).astype(np.uint8)
    image[104:112, 80:96] = 90
    shadow, _ = _around(image)
    assert shadow.mean() < 0.01


def test_a_named_neighbor_is_neither() -> None:
    image = _ground(3)
    blocked = np.zeros(SHAPE, bool)
    blocked[60:100, 124:140] = True
    image[blocked] = (40, 60, 190)
    shadow, thing = _around(image, blocked)
    assert not (shadow | thing)[blocked].any()
    assert not thing.any()


def test_an_object_that_fills_the_picture_has_no_context() -> None:
    whole = np.ones(SHAPE, bool)
    found = classify_context(_ground(3), whole, whole, ~whole, 16)
    assert not found.shadow.any()
    assert not found.thing.any()
