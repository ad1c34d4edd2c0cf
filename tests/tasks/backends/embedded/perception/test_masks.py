"""Masks are refined, parted and measured; all pictures are drawn."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.backends.embedded.perception.mask_measures import (
    color_distance,
    edge_ratio,
    fill_holes,
    inner_point,
    solidity,
    stability,
)
from tasks.backends.embedded.perception.mask_refinement import refine
from tasks.backends.embedded.perception.segmenter import (
    SegmenterOptions,
    _least_box_agreement,
    least_stability,
    own_kind_share,
    part_masks,
)
from tasks.imaging.masks import mask_iou
from tasks.records.records import Box


def _square(side: int, x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
    mask = np.zeros((side, side), bool)
    mask[y0:y1, x0:x1] = True
    return mask


def _picture(mask: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(0).integers(0, 12, (*mask.shape, 3))
    return (np.where(mask[..., None], (200, 60, 40), (40, 80, 160)) + noise).astype(np.uint8)


def test_a_coarse_mask_snaps_to_the_edge_of_the_thing() -> None:
    truth = _square(256, 70, 90, 181, 203)
    logits = np.full((32, 32), -4.0, np.float32)
    logits[11:25, 8:22] = 4.0
    coarse = np.kron(logits > 0, np.ones((8, 8), bool))
    refined = refine(_picture(truth), logits)
    assert mask_iou(refined, truth) > 0.97 > mask_iou(coarse, truth)


def test_an_empty_mask_stays_empty() -> None:
    assert not refine(np.zeros((64, 64, 3), np.uint8), np.full((16, 16), -3, np.float32)).any()


def test_what_lies_in_a_mask_is_in_front_unless_it_is_a_part() -> None:
    table, cup = _square(100, 0, 0, 100, 100), _square(100, 40, 40, 60, 60)
    parted = part_masks([table, cup], ["dining table", "cup"], 0.75)
    assert not (parted[0] & cup).any()
    assert np.array_equal(parted[1], cup)
    for whole, part in (("laptop", "keyboard"), ("person", "top"), ("person", "trousers")):
        assert np.array_equal(part_masks([table, cup], [whole, part], 0.75)[0], table)
    # What hangs before a garment is no part of it.
    assert not (part_masks([table, cup], ["top", "tie"], 0.75)[0] & cup).any()


def test_small_holes_are_filled_and_windows_are_not() -> None:
    ring = _square(100, 10, 10, 90, 90)
    ring[30:60, 30:60] = False
    pitted = ring.copy()
    pitted[80, 80] = False
    assert np.array_equal(fill_holes(pitted, 0.01), ring)


def test_the_inner_point_is_inside_even_of_a_bow() -> None:
    bow = _square(100, 10, 10, 90, 90) & ~_square(100, 25, 25, 90, 75)
    x, y = inner_point(bow)
    assert bow[int(y), int(x)]


def test_stability_falls_with_soft_edges() -> None:
    hard = np.where(_square(64, 16, 16, 48, 48), 9, -9).astype(np.float32)
    soft = (np.where(_square(64, 16, 16, 48, 48), 0.5, -0.5)).astype(np.float32)
    assert stability(hard) == 1
    assert stability(soft) < 0.5


@pytest.mark.parametrize(
    ("quality", "firm", "second", "passes"),
    [
        (0.95, 0.91, 0.91, True),
        (0.95, 0.89, 0.95, False),
        (0.95, 0.91, 0.89, False),
        (0.9, 0.91, 0.91, False),
        (0.9, 0.93, 0.5, True),
    ],
)
def test_only_a_sure_mask_may_have_a_soft_outline(
    quality: float, firm: float, second: float, passes: bool
) -> None:
    assert (firm >= least_stability(quality, second, SegmenterOptions())) == passes


def test_edges_and_colors_tell_a_right_outline_from_a_shifted_one() -> None:
    truth = _square(200, 60, 60, 140, 140)
    picture = _picture(truth)
    box, shifted = Box(x0=60, y0=60, x1=140, y1=140), _square(200, 80, 80, 120, 120)
    assert edge_ratio(picture, truth, box) > 2 * edge_ratio(picture, shifted, box)
    assert color_distance(picture, truth, box) > 0.8 > color_distance(picture, shifted, box)


def test_two_of_a_kind_that_touch_share_an_edge():
    left, right, far = (np.zeros((40, 80), bool) for _ in range(3))
    left[10:30, 5:25], right[10:30, 26:46], far[10:30, 60:75] = True, True, True
    masks = [left, right, far]
    assert own_kind_share(masks, ["person", "person", "person"], 0, 3) == pytest.approx(3 / 20, abs=0.06)
    assert own_kind_share(masks, ["person", "dog", "person"], 0, 3) == 0
    assert own_kind_share(masks, ["person", "person", "person"], 2, 3) == 0


def test_vessels_and_laptops_must_fill_their_boxes_more_than_others():
    limits = SegmenterOptions()
    bounds = [_least_box_agreement(label, limits) for label in ("cup", "vase", "laptop", "person")]
    assert bounds == [0.86, 0.86, 0.82, 0.72]


def test_a_bump_on_a_glass_lowers_its_solidity_and_a_plain_outline_keeps_it() -> None:
    glass = _square(120, 30, 20, 80, 100)
    assert solidity(glass) == pytest.approx(1.0)
    bump = glass.copy()
    bump[70:84, 80:92] = True
    assert solidity(bump) < SegmenterOptions().min_solidity < solidity(glass)
    assert solidity(np.zeros((8, 8), bool)) == 0.0
