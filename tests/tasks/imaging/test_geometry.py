"""Boxes and run-length masks."""

import numpy as np
import pytest

from tasks.imaging.geometry import (
    box_of,
    clip,
    containment,
    enlarge,
    from_rle,
    grow,
    intersection,
    iou,
    quarter_views,
    run_lengths,
    to_rle,
)
from tasks.records.records import Box, Rle


def box(x0, y0, x1, y1):
    return Box(x0=x0, y0=y0, x1=x1, y1=y1)


def test_overlap_of_two_boxes_is_counted_in_whole_pixels():
    assert intersection(box(0, 0, 4, 4), box(2, 2, 6, 6)) == 4
    assert iou(box(0, 0, 4, 4), box(2, 2, 6, 6)) == pytest.approx(4 / 28)
    assert containment(box(1, 1, 3, 3), box(0, 0, 4, 4)) == 1.0


def test_boxes_that_only_touch_share_no_pixel():
    assert intersection(box(0, 0, 4, 4), box(4, 0, 8, 4)) == 0
    assert iou(box(0, 0, 0, 0), box(0, 0, 0, 0)) == 0.0


def test_clipping_and_growing_stay_inside_the_picture():
    assert clip(box(-5, -5, 500, 3), 100, 50) == box(0, 0, 100, 3)
    assert clip(box(200, 200, 300, 300), 100, 50).area == 0
    assert grow(box(1, 1, 3, 3), 5, 10, 6) == box(0, 0, 8, 6)


def test_enlarging_at_a_border_shifts_the_box_and_keeps_its_size():
    assert enlarge(box(0, 0, 10, 10), 2.0, 0, 100, 100) == box(0, 0, 20, 20)
    assert enlarge(box(95, 40, 100, 45), 1.0, 32, 100, 100) == box(68, 26, 100, 58)
    assert enlarge(box(0, 0, 90, 90), 3.0, 0, 100, 100) == box(0, 0, 100, 100)


def test_a_mask_survives_the_trip_through_run_lengths():
    rng = np.random.default_rng(0)
    for shape in ((1, 1), (7, 3), (40, 61)):
        mask = rng.random(shape) < 0.3
        rle = to_rle(mask)
        assert (rle.height, rle.width) == shape
        np.testing.assert_array_equal(from_rle(rle), mask)


def test_the_tight_box_of_a_mask_is_half_open():
    mask = np.zeros((10, 12), bool)
    assert box_of(mask) == box(0, 0, 0, 0)
    mask[3:5, 6:11] = True
    assert box_of(mask) == box(6, 3, 11, 5)


def test_run_lengths_are_those_of_the_mask():
    rng = np.random.default_rng(3)
    for density in (0.0, 0.001, 0.2, 0.5, 1.0):
        mask = rng.random((70, 90)) < density
        changes = np.flatnonzero(np.diff(mask.T.ravel().astype(int), prepend=0))
        expected = np.diff(np.concatenate(([0], changes, [mask.size])))
        assert np.array_equal(run_lengths(to_rle(mask).counts), expected)


def test_random_characters_never_reach_the_decoder_unless_they_add_up():
    rng = np.random.default_rng(0)
    for _ in range(3000):
        counts = "".join(map(chr, rng.integers(48, 112, int(rng.integers(0, 60)))))
        try:
            runs = run_lengths(counts)
        except ValueError:
            continue
        assert runs.min() >= 0


@pytest.mark.parametrize("counts", ["", "0", "P", "~~~", "5", "1110"])
def test_runs_that_do_not_add_up_are_an_error_and_never_a_crash(counts):
    with pytest.raises(ValueError):
        from_rle(Rle(height=4, width=4, counts=counts))


def test_quarters_overlap_and_reach_the_corners() -> None:
    views = quarter_views(1000, 500, 0.6)
    assert {(v.width, v.height) for v in views} == {(600, 300)}
    assert {(v.x0, v.y0) for v in views} == {(0, 0), (400, 0), (0, 200), (400, 200)}
