"""From detections to entities and distractors."""

from tasks.records.records import Box
from tasks.roles.questions import Detection
from tasks.stages.grounding.settings import PartSettings
from tasks.stages.grounding.suppression import split_detections


def detection(label, score, x0, y0, x1, y1):
    return Detection(label=label, score=score, box=Box(x0=x0, y0=y0, x1=x1, y1=y1))


def split(*detections, label_scores=None, not_mistaken=None):
    return split_detections(
        detections, width=100, height=100, object_score=0.4, nms_iou=0.5, max_box_share=0.9, max_objects=10,
        label_scores=label_scores, not_mistaken=not_mistaken, parts=PartSettings().tables,
    )  # fmt: skip


def test_the_better_of_two_overlapping_boxes_stays_and_knows_its_rival():
    entities, distractors = split(detection("cat", 0.6, 0, 0, 20, 20), detection("dog", 0.9, 1, 1, 21, 21))
    assert [e.detection.label for e in entities] == ["dog"]
    assert (entities[0].rival, entities[0].rival_score) == ("cat", 0.6)
    assert distractors == []


def test_what_a_label_is_not_mistaken_for_is_no_rival_and_the_next_one_is():
    person, chair = detection("person", 0.9, 0, 0, 20, 20), detection("chair", 0.8, 1, 1, 21, 21)
    seated = {"person": ("chair",)}
    assert split(person, chair, not_mistaken=seated)[0][0].rival == ""
    dog = detection("dog", 0.5, 0, 0, 19, 20)
    assert split(person, chair, dog, not_mistaken=seated)[0][0].rival == "dog"
    # The other way around it is: a mask of the chair's box may be of who sits on it.
    better = detection("chair", 0.95, 1, 1, 21, 21)
    assert split(person, better, not_mistaken=seated)[0][0].rival == "person"


def test_a_second_box_of_the_same_label_is_not_a_rival():
    entities, _ = split(detection("dog", 0.6, 0, 0, 20, 20), detection("dog", 0.9, 1, 1, 21, 21))
    assert entities[0].rival == ""


def test_weak_boxes_away_from_entities_become_distractors():
    entities, distractors = split(detection("cup", 0.9, 0, 0, 20, 20), detection("cup", 0.2, 50, 50, 60, 60))
    assert len(entities) == 1
    assert [d.score for d in distractors] == [0.2]


def test_a_box_around_two_of_its_own_kind_is_a_group():
    entities, _ = split(
        detection("book", 0.8, 0, 0, 60, 20),
        detection("book", 0.7, 0, 0, 20, 20),
        detection("book", 0.7, 40, 0, 60, 20),
    )
    assert [e.group for e in entities if e.detection.box.width == 60] == [True]
    assert not any(e.group for e in entities if e.detection.box.width == 20)


def test_boxes_as_large_as_the_picture_and_empty_boxes_are_dropped():
    entities, distractors = split(
        detection("bed", 0.9, 0, 0, 100, 100), detection("cup", 0.9, 150, 150, 170, 170)
    )
    assert entities == []
    assert distractors == []


def test_entities_come_from_left_to_right_whatever_the_order_given():
    given = [
        detection("a", 0.9, 50, 0, 60, 9),
        detection("b", 0.5, 5, 0, 15, 9),
        detection("c", 0.7, 80, 0, 90, 9),
    ]
    assert split(*given) == split(*reversed(given))
    assert [e.detection.label for e in split(*given)[0]] == ["b", "a", "c"]


def test_a_class_with_a_bound_of_its_own_is_an_entity_only_above_it():
    found = [detection("clock", 0.8, 0, 0, 20, 20), detection("cup", 0.8, 50, 50, 60, 60)]
    entities, distractors = split(*found, label_scores={"clock": 0.9})
    assert [e.detection.label for e in entities] == ["cup"]
    assert [d.label for d in distractors] == ["clock"]


def test_a_part_and_its_whole_never_suppress_each_other_and_are_no_rivals():
    person, shirt = detection("person", 0.9, 0, 0, 20, 40), detection("shirt", 0.8, 1, 8, 20, 38)
    for given in ([person, shirt], [detection("person", 0.7, 0, 0, 20, 40), shirt]):
        entities, distractors = split(*given)
        assert [e.detection.label for e in entities] == ["person", "shirt"]
        assert not any(e.rival for e in entities)
        assert distractors == []


def test_a_weak_part_in_a_whole_is_a_distractor_and_two_names_of_one_part_are_rivals():
    _, distractors = split(detection("person", 0.9, 0, 0, 20, 40), detection("shirt", 0.2, 1, 5, 20, 38))
    assert [d.label for d in distractors] == ["shirt"]
    entities, _ = split(detection("jacket", 0.9, 0, 0, 20, 40), detection("shirt", 0.8, 1, 1, 20, 40))
    assert [(e.detection.label, e.rival) for e in entities] == [("jacket", "shirt")]
