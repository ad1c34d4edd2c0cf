"""What every tagger, detector and segmenter owes its callers, asked of the packaged ones on real photographs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from tasks.backends.assets import PHOTOGRAPHS, AssetCache, asset_table, default_cache_folder
from tasks.imaging.arrays import Image
from tasks.imaging.geometry import box_of, iou
from tasks.records.records import Box
from tasks.records.settings_base import RoleSettings
from tasks.roles.backends import describe_role, load_role
from tasks.roles.questions import Detection, Detector, Segmenter, Tagger

pytestmark = pytest.mark.assets

NAMES = ("cup-of-coffee-on-table-in-cafe-2.jpg", "home-office-laptop-organizer-and-cup-of-coffee.jpg")


@pytest.fixture(scope="module")
def pictures() -> list[Image]:
    """A cup beside a laptop, and a desk with a laptop, 768 pixels wide so that a test takes seconds."""
    cache = AssetCache(default_cache_folder())
    found = []
    for name in NAMES:
        image = cv2.imread(str(cache.path(PHOTOGRAPHS["demo"][0], name)), cv2.IMREAD_COLOR_RGB)
        found.append(cv2.resize(image, (768, 512), interpolation=cv2.INTER_AREA))
    return found


@pytest.fixture(scope="module", params=["efficientnet-lite3"])
def tagger(request: pytest.FixtureRequest) -> Tagger:
    return load_role("tagger", RoleSettings(backend=request.param))


@pytest.fixture(scope="module", params=["coco-pair"])
def detector(request: pytest.FixtureRequest) -> Detector:
    return load_role("detector", RoleSettings(backend=request.param))


@pytest.fixture(scope="module", params=["sam2-tiny"])
def segmenter(request: pytest.FixtureRequest) -> Segmenter:
    return load_role("segmenter", RoleSettings(backend=request.param))


@pytest.fixture
def threads() -> Iterator[None]:
    before = cv2.getNumThreads()
    yield
    cv2.setNumThreads(before)


@pytest.mark.parametrize(
    ("role", "backend"),
    [("tagger", "efficientnet-lite3"), ("detector", "coco-pair"), ("segmenter", "sam2-tiny")],
)
def test_a_backend_says_who_it_is_before_and_after_loading(role: str, backend: str) -> None:
    described = describe_role(role, RoleSettings(backend=backend))
    assert described.role == role
    assert described.backend == backend
    assert "@" in described.revision
    assert len(described.digest) >= 64
    assert load_role(role, RoleSettings(backend=backend)).identity == described


def test_tags_name_what_is_there_best_first(tagger: Tagger, pictures: list[Image]) -> None:
    tags = tagger.tag(pictures)
    assert len(tags) == len(pictures)
    assert {"cup", "laptop"} & {t.name for t in tags[0]}
    for found in tags:
        scores = [t.score for t in found]
        assert scores == sorted(scores, reverse=True)
        assert all(0 <= s <= 1 for s in scores)


def test_detections_are_sorted_inside_the_picture_and_right(
    detector: Detector, pictures: list[Image]
) -> None:
    found = detector.detect(pictures, [[], []])
    for image, boxes in zip(pictures, found, strict=True):
        height, width = image.shape[:2]
        assert [d.score for d in boxes] == sorted((d.score for d in boxes), reverse=True)
        for d in boxes:
            assert 0 <= d.box.x0 < d.box.x1 <= width
            assert 0 <= d.box.y0 < d.box.y1 <= height
            assert 0 < d.score <= 1
    assert "cup" in {d.label for d in found[0] if d.score > 0.7}
    assert "laptop" in {d.label for d in found[1] if d.score > 0.7}


def test_detections_depend_on_nothing_but_the_picture(
    detector: Detector, pictures: list[Image], threads: None
) -> None:
    together = detector.detect(pictures, [[], []])
    cv2.setNumThreads(2)
    backwards = detector.detect(pictures[::-1], [["laptop"], ["cup"]])
    cv2.setNumThreads(1)
    alone = [detector.detect([image], [[]])[0] for image in pictures]
    assert together == backwards[::-1] == alone


def test_a_blank_picture_has_no_confident_object(detector: Detector) -> None:
    (found,) = detector.detect([np.full((64, 48, 3), 200, np.uint8)], [[]])
    assert not [d for d in found if d.score > 0.5]


def test_masks_fit_their_boxes_and_leave_out_what_stands_in_front(
    detector: Detector, segmenter: Segmenter, pictures: list[Image]
) -> None:
    boxes = [d for d in detector.detect(pictures[1:], [[]])[0] if d.score > 0.7]
    (found,) = segmenter.segment(pictures[1:], [boxes], [[]])
    assert len(found) == len(boxes)
    for detection, segmentation in zip(boxes, found, strict=True):
        assert segmentation.mask.shape == pictures[1].shape[:2]
        assert segmentation.mask.dtype == np.bool_
        assert 0 <= segmentation.score <= 1
        assert len({c.name for c in segmentation.checks}) == len(segmentation.checks) > 0
        if detection.label in ("vase", "laptop"):
            assert iou(box_of(segmentation.mask), detection.box) > 0.7
            assert all(c.passed for c in segmentation.checks), segmentation.checks


def test_masks_depend_on_nothing_but_picture_and_boxes(
    segmenter: Segmenter, pictures: list[Image], threads: None
) -> None:
    boxes = [_at(400, 150, 620, 330), _at(190, 60, 260, 290)]
    cv2.setNumThreads(2)
    first = segmenter.segment(pictures, [[_at(520, 130, 710, 330)], boxes], [[], []])[1]
    cv2.setNumThreads(1)
    second = segmenter.segment([pictures[1]], [boxes[::-1]], [[]])[0][::-1]
    for a, b in zip(first, second, strict=True):
        assert np.array_equal(a.mask, b.mask)
        assert a.checks == b.checks


def test_no_box_no_mask(segmenter: Segmenter, pictures: list[Image]) -> None:
    assert segmenter.segment(pictures, [[], []], [[], []]) == [(), ()]


def test_a_box_around_nothing_fails_a_check(segmenter: Segmenter, pictures: list[Image]) -> None:
    wall = _at(500, 5, 700, 90)
    ((found,),) = segmenter.segment([pictures[1]], [[wall]], [[]])
    assert not all(c.passed for c in found.checks)


def test_the_two_collections_share_no_photograph() -> None:
    demo, counting = (
        {member for name in names for member in asset_table()[name].members} for names in PHOTOGRAPHS.values()
    )
    assert len(demo) >= 30
    assert len(counting) >= 12
    assert not demo & counting
    assert not {Path(m).name for m in demo} & {Path(m).name for m in counting}


def _at(x0: int, y0: int, x1: int, y1: int) -> Detection:
    return Detection(label="thing", box=Box(x0=x0, y0=y0, x1=x1, y1=y1), score=0.9)
