"""Parts and their wholes: whose shirt it is."""

from dataclasses import replace

import numpy as np
import pytest

from tasks.imaging.geometry import box_of
from tasks.records.errors import Reason
from tasks.records.records import Box
from tasks.records.settings_base import RoleSettings
from tasks.roles.questions import Detection, Segmentation
from tasks.stages.grounding.parts import Whole, are_part_and_whole, choose_wholes, possible_wholes
from tasks.stages.grounding.scene import describe_objects
from tasks.stages.grounding.settings import GroundingSettings, PartSettings, PartTable
from tasks.stages.grounding.suppression import Entity
from tests.tasks.stages.answering import answered
from tests.tasks.stages.grounding.test_stage import Pictures, item, stage
from tests.tasks.stages.grounding.toy_scene import paint

SETTINGS = PartSettings()
SIZE = (200, 300)


def found(label, x0, y0, x1, y1):
    return Detection(label=label, score=0.9, box=Box(x0=x0, y0=y0, x1=x1, y1=y1))


def filled(detection, cut=0):
    """The detection's box as a mask, without its rightmost ``cut`` columns."""
    mask, box = np.zeros(SIZE, bool), detection.box
    mask[box.y0 : box.y1, box.x0 : box.x1 - cut] = True
    return mask


LEFT, RIGHT = found("person", 10, 10, 60, 180), found("person", 50, 10, 120, 180)
SHIRT, BALL = found("shirt", 12, 50, 58, 100), found("sports ball", 20, 60, 40, 80)


def test_labels_are_part_and_whole_in_either_order_and_nothing_else():
    assert are_part_and_whole("shirt", "person", SETTINGS.tables)
    assert are_part_and_whole("person", "shirt", SETTINGS.tables)
    assert not are_part_and_whole("shirt", "trousers", SETTINGS.tables)
    assert not are_part_and_whole("person", "person", SETTINGS.tables)
    assert not are_part_and_whole("sports ball", "person", SETTINGS.tables)


def test_a_part_lies_mostly_in_the_box_of_its_whole():
    outside = found("shirt", 40, 50, 180, 100)
    assert possible_wholes([LEFT, SHIRT, BALL], SETTINGS) == [(), (0,), ()]
    assert possible_wholes([LEFT, outside], SETTINGS) == [(), ()]


def test_masks_decide_between_two_boxes():
    detections = [LEFT, RIGHT, found("shirt", 50, 50, 60, 100)]
    masks = [filled(LEFT, cut=15), filled(RIGHT), filled(detections[2])]
    assert choose_wholes(detections, masks, SETTINGS)[2] == Whole(index=1, contested=False)


def test_a_part_is_contested_where_two_wholes_hold_it_or_none_does():
    detections = [LEFT, RIGHT, found("shirt", 50, 50, 60, 100)]
    both = [filled(LEFT), filled(RIGHT), filled(detections[2])]
    assert choose_wholes(detections, both, SETTINGS)[2].contested
    neither = [filled(LEFT, cut=45), filled(SHIRT)]
    assert choose_wholes([LEFT, SHIRT], neither, SETTINGS)[1] == Whole(index=0, contested=True, holds=False)


def test_the_object_names_its_whole_and_has_the_box_of_its_mask():
    role = RoleSettings(backend="blocks")
    settings = GroundingSettings(
        tagger=role, detector=role, segmenter=role, judge=role, target={"max_fill": 1.0}
    )
    entities = [Entity(detection=d, rival="", rival_score=0.0, group=False) for d in (LEFT, SHIRT)]
    masks = [filled(LEFT, cut=2), filled(SHIRT, cut=6)]
    drawn = [Segmentation(mask=mask, score=0.9, method="drawn", checks=()) for mask in masks]
    image = np.full((*SIZE, 3), (200, 30, 30), np.uint8)
    person, shirt = describe_objects(entities, drawn, image, settings)
    assert (person.part_of, person.box) == (None, LEFT.box)
    assert (shirt.part_of, shirt.box) == (0, box_of(masks[1]))
    assert shirt.not_a_target == ""
    unclear = [drawn[0], Segmentation(mask=filled(SHIRT) & ~masks[0], score=0.9, method="drawn", checks=())]
    assert describe_objects(entities, unclear, image, settings)[1].not_a_target == "contested_part"


@pytest.mark.parametrize(
    ("others", "mask_score", "reason"),
    [((), 0.9, "lacks_a_part"), ((RIGHT,), 0.9, ""), ((), 0.5, "")],  # nobody else's shirt, and a sure one
)
def test_a_mask_of_a_person_without_their_shirt_is_no_target(others, mask_score, reason):
    role = RoleSettings(backend="blocks")
    settings = GroundingSettings(
        tagger=role, detector=role, segmenter=role, judge=role, target={"max_fill": 1.0}
    )
    shirt = found("shirt", 52, 50, 58, 100)  # in both boxes, if there are two
    detections = (LEFT, shirt, *others)
    entities = [Entity(detection=d, rival="", rival_score=0.0, group=False) for d in detections]
    masks = [filled(LEFT) & ~filled(shirt), *(filled(d) for d in (shirt, *others))]
    masks[2:] = [mask & ~filled(shirt) for mask in masks[2:]]
    drawn = [Segmentation(mask=mask, score=0.9, method="drawn", checks=()) for mask in masks]
    drawn[1] = replace(drawn[1], score=mask_score)
    image = np.full((*SIZE, 3), (200, 30, 30), np.uint8)
    assert describe_objects(entities, drawn, image, settings)[0].not_a_target == reason


@pytest.mark.parametrize("own", [False, True])
def test_a_thing_and_its_part_are_one_entity_of_the_scene(own):
    # A book in a cup, as a part of it or not.
    picture = paint([("cup", 40, 50, 200, 200), ("book", 80, 90, 60, 60)])
    tables = {} if own else {"toys": PartTable(wholes=("cup",), parts=("book",))}
    (outcome,) = answered(stage(parts={"tables": tables}), [item("p")], Pictures(p=picture))
    assert (outcome.reason is Reason.TOO_FEW_ENTITIES) == (not own)
