"""Why an object does not qualify as a target."""

import numpy as np
import pytest

from tasks.imaging.geometry import to_rle
from tasks.records.records import Box, Measurement
from tasks.records.settings_base import RoleSettings
from tasks.roles.questions import Detection, Segmentation
from tasks.stages.grounding.scene import describe_object, fits_a_target, union_mask
from tasks.stages.grounding.settings import GroundingSettings
from tasks.stages.grounding.suppression import Entity
from tests.tasks.stages.grounding.toy_scene import source

ROLE = RoleSettings(backend="blocks")
IMAGE = np.full((200, 200, 3), (200, 30, 30), np.uint8)


def why(
    box=(50, 50, 110, 110), score=0.9, mask_score=0.9, cut=None, paint=None, checks=(), target=None, **entity
):
    settings = GroundingSettings(tagger=ROLE, detector=ROLE, segmenter=ROLE, judge=ROLE, target=target or {})
    x0, y0, x1, y1 = box
    mask = np.zeros((200, 200), bool)
    mask[y0 + 2 : y1 - 2, x0 + 2 : x1 - 2] = True
    if cut:
        mask[cut] = False
    if paint:
        mask[paint] = True
    facts = {"rival": "", "rival_score": 0.0, "group": False, **entity}
    found = Detection(label="cup", box=Box(x0=x0, y0=y0, x1=x1, y1=y1), score=score)
    drawn = Segmentation(mask=mask, score=mask_score, method="drawn", checks=checks)
    return describe_object(0, Entity(detection=found, **facts), drawn, IMAGE, settings).not_a_target


FAILED = Measurement(name="outline", value=0.1, low=0.5)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, ""),
        ({"score": 0.1}, "low_score"),
        ({"mask_score": 0.3}, "low_mask_score"),
        ({"group": True}, "group_box"),
        ({"rival": "bowl", "rival_score": 0.85}, "contested_label"),
        ({"rival": "bowl", "rival_score": 0.5}, ""),
        ({"box": (50, 50, 60, 60)}, "area_share"),
        ({"box": (5, 5, 195, 195)}, "area_share"),
        ({"box": (50, 50, 76, 120)}, "short_side_px"),
        ({"box": (0, 0, 60, 60), "target": {"max_borders": 1}}, "borders_touched"),
        ({"box": (8, 50, 70, 110), "paint": np.s_[60:100, 0:12]}, "borders_touched"),
        ({"cut": np.s_[63:, :]}, "fill"),
        ({"cut": np.s_[75:85, :]}, "largest_component"),
        ({"checks": (FAILED,)}, "outline"),
        ({"checks": (FAILED,), "target": {"mask_checks": False}}, ""),
        ({"target": {"exclude_labels": ("cup",)}}, "excluded_label"),
    ],
)
def test_each_filter_names_itself(changes, reason):
    assert why(**changes) == reason


def test_a_target_of_two_objects_has_the_union_of_their_masks():
    a, b = np.zeros((5, 5), bool), np.zeros((5, 5), bool)
    a[0], b[4] = True, True
    np.testing.assert_array_equal(union_mask([to_rle(a), to_rle(b)]), a | b)


@pytest.mark.parametrize(
    ("box", "label", "fits"),
    [
        ((150, 150, 250, 250), "cup", True),
        ((150, 150, 170, 250), "cup", False),  # narrower than any target
        ((0, 150, 100, 250), "cup", False),  # cut by the border
        ((0, 150, 100, 250), "shirt", True),  # a part may be cut at one
    ],
)
def test_a_box_has_the_size_and_place_of_a_target_or_not(box, label, fits):
    settings = GroundingSettings(tagger=ROLE, detector=ROLE, segmenter=ROLE, judge=ROLE)
    x0, y0, x1, y1 = box
    found = Detection(label=label, box=Box(x0=x0, y0=y0, x1=x1, y1=y1), score=0.9)
    entity = Entity(detection=found, rival="", rival_score=0.0, group=False)
    assert fits_a_target(entity, source(), settings) == fits
