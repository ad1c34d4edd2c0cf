"""Masks are refined, parted and measured; all pictures are drawn."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from tasks.backends.embedded.perception import box_masks, segmenter
from tasks.backends.embedded.perception.box_masks import BoxMask, better, draw, in_picture
from tasks.backends.embedded.perception.mask_bounds import (
    SegmenterOptions,
    least_box_agreement,
    nearly_passes,
)
from tasks.backends.embedded.perception.mask_measures import (
    color_distance,
    edge_ratio,
    fill_holes,
    inner_point,
    slenderness,
    solidity,
    stability,
)
from tasks.backends.embedded.perception.mask_refinement import refine
from tasks.backends.embedded.perception.sam2 import Features, Proposals
from tasks.backends.embedded.perception.segmenter import own_kind_share, part_masks
from tasks.imaging.geometry import box_of
from tasks.imaging.masks import mask_iou
from tasks.records.measuring import measure
from tasks.records.records import Box
from tasks.roles.picture import Picture
from tasks.roles.questions import Detection, SegmentQuestion


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


def _found(**values: float | None) -> BoxMask:
    return BoxMask(
        **{
            "mask": _square(10, 2, 2, 8, 8),
            "quality": 0.97,
            "stability": 0.95,
            "repeat": 0.98,
            "whole": 1.0,
            **values,
        }
    )


@pytest.mark.parametrize(
    ("values", "nearly"),
    [
        ({}, False),
        ({"mask_stability": 0.86}, True),
        ({"mask_stability": 0.86, "mask_own_kind_share": 0.1}, True),
        ({"mask_stability": 0.6}, False),
        ({"mask_own_kind_share": 0.5}, False),
        ({"mask_stability": 0.8, "mask_contested_share": 0.3}, False),
    ],
)
def test_only_what_nearly_passes_is_looked_at_again(values: dict[str, float], nearly: bool) -> None:
    checks = [
        measure("mask_stability", values.get("mask_stability", 0.95), low=0.92),
        measure("mask_own_kind_share", values.get("mask_own_kind_share", 0.0), low=0, high=0.002),
        measure("mask_contested_share", values.get("mask_contested_share", 0.0), high=0.15),
    ]
    assert nearly_passes(checks) == nearly


def test_the_better_of_two_looks_is_kept_and_told_how_far_they_agree() -> None:
    box = Box(x0=2, y0=2, x1=8, y1=8)
    first, closer = _found(stability=0.8), _found(mask=_square(10, 2, 2, 8, 7))
    assert better(first, closer, box).mask is closer.mask
    assert better(first, replace(closer, quality=0.5), box).mask is first.mask
    assert better(first, closer, box).agreement == pytest.approx(30 / 36)


def test_a_mask_of_a_window_lies_at_its_place_in_the_picture() -> None:
    placed = in_picture(_found(), Box(x0=20, y0=30, x1=30, y1=40), (60, 50, 3))
    assert placed.mask.shape == (60, 50)
    assert box_of(placed.mask) == Box(x0=22, y0=32, x1=28, y1=38)


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
    limits, doubtful = SegmenterOptions(), _found(repeat=0.9)
    labels = ("cup", "vase", "laptop", "person")
    assert [least_box_agreement(doubtful, label, True, limits) for label in labels] == [
        0.86,
        0.86,
        0.82,
        0.72,
    ]
    # A sure mask inside the box is trusted more than the box, but for a laptop's screen.
    assert [least_box_agreement(_found(), label, True, limits) for label in labels] == [0.78, 0.78, 0.82, 0.6]
    assert [least_box_agreement(_found(), label, False, limits) for label in labels] == [
        0.86,
        0.86,
        0.82,
        0.72,
    ]


def test_a_bump_on_a_glass_lowers_its_solidity_and_a_plain_outline_keeps_it() -> None:
    glass = _square(120, 30, 20, 80, 100)
    assert solidity(glass) == pytest.approx(1.0)
    bump = glass.copy()
    bump[70:84, 80:92] = True
    assert solidity(bump) < SegmenterOptions().min_solidity < solidity(glass)
    assert solidity(np.zeros((8, 8), bool)) == 0.0


class _Improving:
    """Answers with a ragged mask first, and with the whole thing once its mask is given back."""

    def __init__(self) -> None:
        self.given: list[bool] = []

    def propose(
        self,
        features: Features,
        box: object = None,
        inside: object = (),
        outside: object = (),
        previous: np.ndarray | None = None,
    ) -> Proposals:
        self.given.append(previous is not None)
        logits = np.full((3, 64, 64), -8.0, np.float32)
        logits[:, 16:48, 16 : 48 if previous is not None else 36] = 8.0
        return Proposals(logits=logits, quality=np.array([0.9, 0.8, 0.7], np.float32))


@pytest.mark.parametrize(("again", "right"), [(0, 144), (1, 192), (2, 192)])
def test_a_mask_is_given_back_to_the_network_as_often_as_asked(
    again: int, right: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = _Improving()
    monkeypatch.setattr(box_masks, "sam2", lambda: network)
    features = Features(height=256, width=256, tensors={})
    picture = np.full((256, 256, 3), 90, np.uint8)
    found = draw(picture, features, Box(x0=64, y0=64, x1=192, y1=192), 0.01, again=again)
    assert network.given == [False, *[True] * again] * 2  # for the box, and for the mask's own box
    assert abs(box_of(found.mask).x1 - right) <= 2


def test_only_candidates_are_worth_the_second_thought(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def noted(*args: object, again: int) -> BoxMask:
        asked.append(again)
        return _found()

    monkeypatch.setattr(segmenter, "draw", noted)
    backend = segmenter.Sam2Segmenter.__new__(segmenter.Sam2Segmenter)
    backend.options = SegmenterOptions(max_windows=0)
    backend._model = SimpleNamespace(encode=lambda image: None)  # type: ignore[assignment]
    boxes = [Box(x0=1, y0=1, x1=8, y1=8), Box(x0=2, y0=2, x1=9, y1=9)]
    question = SegmentQuestion(
        subject="s",
        picture=Picture.of_pixels(np.zeros((10, 10, 3), np.uint8)),
        detections=tuple(Detection(label="cup", box=box, score=0.9) for box in boxes),
        candidates=(1,),
    )
    assert len(backend.answer_one(question)) == 2
    assert asked == [0, box_masks.AGAIN]


def test_a_jug_is_too_slender_for_a_cup_and_a_handle_makes_it_no_wider() -> None:
    most = SegmenterOptions().max_cup_slenderness
    mug, jug = _square(200, 40, 60, 120, 160), _square(200, 40, 10, 120, 180)
    handle = _square(200, 120, 80, 170, 140) & ~_square(200, 120, 95, 150, 125)
    assert slenderness(mug) == slenderness(mug | handle) == pytest.approx(100 / 80)
    assert slenderness(mug | handle) < most < slenderness(jug | handle)
    assert slenderness(np.zeros((20, 20), bool)) == 0
