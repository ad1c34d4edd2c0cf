"""Tagger, detector and segmenter find what is on real photographs, beyond the contract of their roles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tasks.backends.assets import PHOTOGRAPHS, asset_table
from tasks.backends.embedded.perception.detector import DetectorOptions, FusedDetector
from tasks.backends.embedded.perception.garment_detection import CERTAIN
from tasks.backends.embedded.perception.garments import LABELS
from tasks.backends.embedded.perception.sam2 import Sam2
from tasks.backends.embedded.perception.segmenter import Sam2Segmenter, SegmenterOptions
from tasks.backends.embedded.perception.tagger import EfficientNetTagger, TaggerOptions
from tasks.imaging.geometry import box_of, iou
from tasks.imaging.pixels import decode_rgb
from tasks.records.records import Box
from tasks.roles.picture import Picture
from tasks.roles.questions import Detection, DetectQuestion, Segmentation, SegmentQuestion, TagQuestion
from tests.photographs import lay_out_photographs
from tests.tasks.roles.role_questions import photograph

pytestmark = pytest.mark.assets

BEHIND_AND_BEFORE = (Box(x0=217, y0=29, x1=399, y1=239), Box(x0=188, y0=123, x1=435, y1=445))
"""Two people of the demo photograph cover6; the first stands behind the second."""

SIZE = (768, 512)
"""Above the size from which the detector looks at quarters, too."""


@pytest.fixture(scope="module")
def detector() -> FusedDetector:
    return FusedDetector(DetectorOptions())


@pytest.fixture(scope="module")
def segmenter() -> Sam2Segmenter:
    return Sam2Segmenter(SegmenterOptions())


def _detect(detector: FusedDetector, picture: Picture) -> tuple[Detection, ...]:
    return detector.answer_one(DetectQuestion(subject="picture", picture=picture, names=()))


def _segment(segmenter: Sam2Segmenter, *detections: Detection) -> tuple[Segmentation, ...]:
    """About the desk."""
    question = SegmentQuestion(subject="desk", picture=photograph(1, SIZE), detections=detections)
    return segmenter.answer_one(question)


def test_identities_name_packages_and_digests() -> None:
    for identity in (
        EfficientNetTagger.identity_of(TaggerOptions()),
        FusedDetector.identity_of(DetectorOptions()),
        Sam2Segmenter.identity_of(SegmenterOptions()),
    ):
        assert "@" in identity.revision
        assert len(identity.digest) >= 64


def test_tags_name_what_is_there() -> None:
    tags = EfficientNetTagger(TaggerOptions()).answer_one(
        TagQuestion(subject="cup", picture=photograph(0, SIZE))
    )
    assert {"cup", "laptop"} & {t.name for t in tags}


def test_what_is_there_is_detected(detector: FusedDetector) -> None:
    for number, label in ((0, "cup"), (1, "laptop")):
        found = _detect(detector, photograph(number, SIZE))
        assert label in {d.label for d in found if d.score > 0.7}


def test_the_names_asked_for_change_nothing(detector: FusedDetector) -> None:
    picture = photograph(0)
    named = DetectQuestion(subject="picture", picture=picture, names=("cup", "zebra"))
    assert detector.answer_one(named) == _detect(detector, picture)


def test_a_blank_picture_has_no_confident_object(detector: FusedDetector) -> None:
    blank = Picture.of_pixels(np.full((64, 48, 3), 200, np.uint8))
    assert not [d for d in _detect(detector, blank) if d.score > 0.5]


def test_masks_fit_their_boxes_and_leave_out_what_stands_in_front(
    detector: FusedDetector, segmenter: Sam2Segmenter
) -> None:
    boxes = [d for d in _detect(detector, photograph(1, SIZE)) if d.score > 0.7]
    found = _segment(segmenter, *boxes)
    for detection, segmentation in zip(boxes, found, strict=True):
        if detection.label in ("vase", "laptop"):
            assert iou(box_of(segmentation.mask), detection.box) > 0.7
            assert all(c.passed for c in segmentation.checks), segmentation.checks


def test_masks_do_not_depend_on_the_order_of_the_boxes_and_nothing_fails_a_check(
    segmenter: Sam2Segmenter,
) -> None:
    laptop, vase, wall = _at(400, 150, 620, 330), _at(190, 60, 260, 290), _at(500, 5, 700, 90)
    first = _segment(segmenter, laptop, vase, wall)
    second = _segment(segmenter, wall, vase, laptop)[::-1]
    for a, b in zip(first, second, strict=True):
        assert np.array_equal(a.mask, b.mask)
        assert a.checks == b.checks
    assert not all(c.passed for c in first[2].checks)


def test_the_two_collections_share_no_photograph() -> None:
    demo, counting = (
        {member for name in names for member in asset_table()[name].members} for names in PHOTOGRAPHS.values()
    )
    assert len(demo) >= 40
    assert len(counting) >= 25
    assert not demo & counting
    assert not {Path(m).name for m in demo} & {Path(m).name for m in counting}


def _at(x0: int, y0: int, x1: int, y1: int) -> Detection:
    return Detection(label="thing", box=Box(x0=x0, y0=y0, x1=x1, y1=y1), score=0.9)


def test_a_garment_is_found_with_its_wearer_and_the_picture_encoded_once(
    detector: FusedDetector, segmenter: Sam2Segmenter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path,) = [p for p in lay_out_photographs("demo", tmp_path) if p.stem == "cover6"]
    picture = Picture.of_pixels(decode_rgb(path.read_bytes()))
    encoded, encode = [], Sam2._encode
    monkeypatch.setattr(Sam2, "_encode", lambda self, image: encoded.append(1) or encode(self, image))
    found = detector.answer_one(DetectQuestion(subject="p", picture=picture, names=("person", "top")))
    tops = [d for d in found if d.label == "top" and d.score == CERTAIN]
    people = [d for d in found if d.label == "person" and d.score > 0.6]
    drawn = segmenter.answer_one(SegmentQuestion(subject="p", picture=picture, detections=(*people, *tops)))
    worn = drawn[len(people) :]
    assert len(worn) >= 2
    for top, garment in zip(tops, worn, strict=True):
        area = np.count_nonzero(garment.mask)
        assert box_of(garment.mask) == top.box
        assert all(check.passed for check in garment.checks), garment.checks
        (wearer,) = [m for m in drawn[: len(people)] if np.count_nonzero(m.mask & garment.mask) > 0.9 * area]
        assert wearer.mask.sum() > 1.2 * area
    assert len(encoded) == 1


def test_a_candidate_that_nearly_passes_is_looked_at_closer_and_context_is_not(
    segmenter: Sam2Segmenter, tmp_path: Path
) -> None:
    (path,) = [p for p in lay_out_photographs("demo", tmp_path) if p.stem == "cover6"]
    picture = Picture.of_pixels(decode_rgb(path.read_bytes()))
    people = tuple(Detection(label="person", box=box, score=0.9) for box in BEHIND_AND_BEFORE)
    plain, closer = (
        segmenter.answer_one(
            SegmentQuestion(subject="p", picture=picture, detections=people, candidates=numbers)
        )
        for numbers in ((), (0,))
    )
    looks = [[c.name for c in found.checks].count("mask_looks_agreement") for found in (*plain, *closer)]
    assert looks == [0, 0, 1, 0]
    assert not all(c.passed for c in plain[0].checks)
    assert closer[0].score > plain[0].score + 0.02
    failing = [sum(not c.passed for c in found.checks) for found in (plain[0], closer[0])]
    assert failing[1] < failing[0]


def test_garments_are_looked_for_only_where_they_are_asked_for(detector: FusedDetector) -> None:
    assert not any(d.label in LABELS for d in _detect(detector, photograph(0, SIZE)))
    tags = EfficientNetTagger(TaggerOptions()).answer_one(
        TagQuestion(subject="x", picture=photograph(0, SIZE))
    )
    assert ("person" in {t.name for t in tags}) == bool({t.name for t in tags} & set(LABELS))
