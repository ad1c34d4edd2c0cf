"""The grounding stage over drawn blocks."""

import io
from functools import partial

import numpy as np
import pytest
from PIL import Image as Pillow

from tasks.imaging.geometry import from_rle, to_rle
from tasks.records.errors import Reason, SampleError
from tasks.records.outcomes import BlobRef, StageInput
from tasks.records.records import Box, MaskHint
from tasks.records.settings_base import RoleSettings
from tasks.stages.grounding.settings import GroundingSettings
from tasks.stages.grounding.stage import GroundingAsks, ground
from tests.tasks.stages.answering import answered
from tests.tasks.stages.grounding.toy_scene import (
    BlockDetector,
    BlockSegmenter,
    BlockTagger,
    LeftHalfJudge,
    paint,
    source,
)

ROLE = RoleSettings(backend="blocks")


class Pictures:
    """Returns arrays by blob path; a missing path means that the blob changed since ingest."""

    def __init__(self, **arrays):
        self.arrays = arrays

    def rgb(self, ref):
        if ref.path not in self.arrays:
            raise SampleError(Reason.SOURCE_CHANGED, "digest differs")
        return self.arrays[ref.path]

    def data(self, ref):
        return b""


def stage(segmenter=None, **changes):
    target = {"max_fill": 1.0, **changes.pop("target", {})}  # blocks fill their boxes
    settings = GroundingSettings(
        tagger=ROLE, detector=ROLE, segmenter=ROLE, judge=ROLE, target=target, **changes
    )
    ask = GroundingAsks(
        tagger=BlockTagger(), detector=BlockDetector(), segmenter=segmenter or BlockSegmenter(), judge=LeftHalfJudge()
    )  # fmt: skip
    return partial(ground, ask=ask, settings=settings, seed=7)


def item(path, **kwargs):
    ref = BlobRef(path=path, offset=0, length=1, sha256="0" * 64)
    record = source(**kwargs)
    return StageInput(id=record.sid, record=record, blobs={"source.jpg": ref})


SCENE = paint(
    [("cup", 40, 50, 60, 60), ("cup", 400, 60, 60, 60), ("book", 200, 250, 80, 50), ("cup", 590, 5, 10, 10)]
)


def test_a_scene_becomes_objects_distractors_and_judged_targets():
    (outcome,) = answered(stage(target={"max_targets": 5}), [item("p")], Pictures(p=SCENE))
    assert outcome.reason is None
    scene = outcome.children[0].record.scene
    assert [(o.label, o.box.x0) for o in scene.objects] == [("cup", 40), ("book", 200), ("cup", 400)]
    assert [o.color for o in scene.objects] == ["red", "blue", "red"]
    assert [(d.label, d.box.x0) for d in scene.distractors] == [("cup", 590)]
    verdicts = {c.record.objects[0].box.x0: c.reason for c in outcome.children}
    assert verdicts == {40: None, 200: None, 400: Reason.EASY_TARGET}
    assert sorted(c.id for c in outcome.children) == [f"{'a' * 26}-t{n}" for n in range(3)]


def test_the_blobs_are_the_mask_and_the_red_picture_of_that_target():
    (outcome,) = answered(stage(), [item("p")], Pictures(p=SCENE))
    (child,) = outcome.children
    blobs = {b.name: b.data for b in child.blobs}
    mask = np.asarray(Pillow.open(io.BytesIO(blobs["mask.png"])))
    np.testing.assert_array_equal(mask == 255, from_rle(child.record.mask))
    assert set(np.unique(mask)) == {0, 255}
    red = np.asarray(Pillow.open(io.BytesIO(blobs["grounded.jpg"])).convert("RGB")).astype(int)
    assert red.shape == SCENE.shape
    inside, outside = from_rle(child.record.mask), np.ones(SCENE.shape[:2], bool)
    box = child.record.objects[0].box
    outside[box.y0 - 8 : box.y1 + 8, box.x0 - 8 : box.x1 + 8] = False
    tinted = (SCENE.astype(int) + np.array([255, 0, 0])) / 2
    assert np.abs(red - tinted)[inside].mean() < 12  # the box line overlaps the rim
    assert np.abs(red - SCENE.astype(int))[outside].mean() < 2


@pytest.mark.parametrize(
    ("picture", "changes", "reason"),
    [
        (paint([("cup", 40, 50, 60, 60)]), {}, Reason.TOO_FEW_ENTITIES),
        (paint([("cup", 40, 50, 20, 20), ("book", 200, 90, 20, 20)]), {}, Reason.NO_TARGET),
        (paint([("cup", 40, 50, 40, 200), ("cup", 100, 50, 40, 200)]), {}, Reason.MASK_NOT_PRECISE),
    ],
)
def test_each_way_to_refuse_a_photograph_or_target_has_its_reason(picture, changes, reason):
    (outcome,) = answered(stage(**changes), [item("p")], Pictures(p=picture))
    assert reason in {outcome.reason, *(c.reason for c in outcome.children)}


def test_a_changed_source_fails_alone():
    outcomes = answered(stage(), [item("gone", sid="b" * 26), item("p")], Pictures(p=SCENE))
    assert [o.reason for o in outcomes] == [Reason.SOURCE_CHANGED, None]


def test_masks_shipped_with_the_photograph_serve_the_boxes_they_fit():
    shipped = np.zeros((400, 600), bool)
    shipped[52:108, 42:98] = True
    hint = MaskHint(
        box=Box(x0=42, y0=52, x1=98, y1=108), mask=to_rle(shipped), predicted_iou=0.97, stability=0.98
    )
    (outcome,) = answered(stage(target={"max_targets": 5}), [item("p", hints=(hint,))], Pictures(p=SCENE))
    methods = {o.box.x0: o.mask_method for o in outcome.children[0].record.scene.objects}
    assert methods == {40: "shipped", 200: "exact", 400: "exact"}


def test_a_photograph_is_grounded_alike_alone_and_in_company():
    other = paint([("plant", 100, 100, 80, 80), ("cup", 300, 200, 50, 50)])
    together = answered(stage(), [item("q", sid="b" * 26), item("p")], Pictures(p=SCENE, q=other))[1]
    alone = answered(stage(), [item("p")], Pictures(p=SCENE))[0]
    assert together == alone


def test_no_mask_is_segmented_if_no_object_can_be_a_target():
    segmenter = BlockSegmenter()
    (outcome,) = answered(
        stage(segmenter, target={"exclude_labels": ("cup", "book")}), [item("p")], Pictures(p=SCENE)
    )
    assert (outcome.reason, outcome.detail) == (Reason.NO_TARGET, "")
    assert [(m.name, m.value, m.decides) for m in outcome.measured] == [("excluded_label", 3.0, False)]
    assert segmenter.asked == 0


def test_one_object_that_could_be_a_target_has_the_whole_scene_segmented():
    segmenter = BlockSegmenter()
    (outcome,) = answered(
        stage(segmenter, target={"exclude_labels": ("cup",)}), [item("p")], Pictures(p=SCENE)
    )
    assert outcome.reason is None
    assert segmenter.asked == 3


def test_the_segmenter_is_told_which_masks_may_become_targets():
    segmenter = BlockSegmenter()
    answered(stage(segmenter, target={"exclude_labels": ("cup",)}), [item("p")], Pictures(p=SCENE))
    assert set(segmenter.candidates) == {"book"}
