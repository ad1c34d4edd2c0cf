"""The detector's own suppression: clipped, no duplicates, no groups, no whole pictures; quarters are merged."""

from __future__ import annotations

import numpy as np

from tasks.backends.torch.grounding_dino.boxes import Suppression, in_view, overlaps, suppress
from tasks.backends.torch.grounding_dino.scores import LabeledBoxes
from tasks.imaging.geometry import containment, iou
from tasks.records.records import Box
from tasks.roles.questions import Detection
from tasks.stages.grounding.suppression import split_detections

WIDTH, HEIGHT = 1000, 800
LIMITS = Suppression(iou=0.5, across_labels=True, groups=True, max_share=0.9)

Row = tuple[str, float, tuple[int, int, int, int]]


def chosen(*rows: Row, limits: Suppression = LIMITS) -> list[Row]:
    """Label, score and corners of what is left."""
    found = suppress(
        np.array([corners for _, _, corners in rows], np.int64).reshape(-1, 4),
        np.array([score for _, score, _ in rows]),
        tuple(label for label, _, _ in rows),
        width=WIDTH,
        height=HEIGHT,
        limits=limits,
    )
    return [(d.label, d.score, (d.box.x0, d.box.y0, d.box.x1, d.box.y1)) for d in found]


def labeled(*boxes: list[float]) -> LabeledBoxes:
    return LabeledBoxes(
        boxes=np.array(boxes),
        scores=np.full(len(boxes), 0.5),
        labels=tuple(f"b{i}" for i in range(len(boxes))),
    )


CUP: Row = ("cup", 0.8, (100, 100, 200, 200))
SAME_CUP: Row = ("cup", 0.6, (105, 100, 205, 200))
MUG: Row = ("mug", 0.7, (100, 105, 200, 205))


def test_overlaps_equal_those_of_the_project() -> None:
    rng = np.random.default_rng(0)
    first = rng.integers(0, 60, (12, 2))
    corners = np.concatenate([first, first + rng.integers(1, 40, (12, 2))], axis=1)
    boxes = [Box(x0=x0, y0=y0, x1=x1, y1=y1) for x0, y0, x1, y1 in corners.tolist()]
    ious, shares = overlaps(corners)
    assert np.allclose(ious, [[iou(a, b) for b in boxes] for a in boxes])
    assert np.allclose(shares, [[containment(a, b) for b in boxes] for a in boxes])


def test_the_better_box_of_one_thing_stays() -> None:
    assert chosen(SAME_CUP, CUP) == [CUP]


def test_labels_compete_or_grounding_sees_the_rival() -> None:
    assert chosen(SAME_CUP, MUG, CUP) == [CUP]
    alike = Suppression(iou=0.5, across_labels=False, groups=True, max_share=0.9)
    assert chosen(SAME_CUP, MUG, CUP, limits=alike) == [CUP, MUG]


def test_a_box_of_the_whole_picture_goes_and_suppresses_nothing() -> None:
    large: Row = ("room", 0.9, (0, 0, 700, 800))
    whole: Row = ("room", 0.95, (0, 0, 1000, 730))
    assert chosen(whole, large) == [large]


def test_a_group_goes_its_members_stay() -> None:
    people: Row = ("person", 0.9, (0, 0, 400, 400))
    members: list[Row] = [("person", 0.6, (10, 10, 150, 390)), ("person", 0.5, (200, 10, 390, 390))]
    assert chosen(people, *members) == members
    assert chosen(people, members[0]) == [people, members[0]], "one inside is no group"
    others: list[Row] = [("dog", score, corners) for _, score, corners in members]
    assert chosen(people, *others) == [people, *others], "members have the group's label"
    kept = Suppression(iou=0.5, across_labels=True, groups=False, max_share=0.9)
    assert chosen(people, *members, limits=kept) == [people, *members]


def test_two_boxes_around_one_thing_are_no_group() -> None:
    person: Row = ("person", 0.9, (0, 0, 400, 400))
    head: Row = ("person", 0.6, (100, 10, 200, 110))
    same_head: Row = ("person", 0.5, (105, 10, 205, 110))
    assert chosen(person, head, same_head) == [person, head]


def test_order_does_not_matter() -> None:
    rows = [CUP, SAME_CUP, MUG, ("cup", 0.8, (400, 100, 500, 200)), ("cup", 0.8, (300, 500, 400, 600))]
    assert chosen(*rows) == chosen(*rows[::-1])


def test_nothing_is_left_of_nothing() -> None:
    assert chosen() == []


def test_grounding_takes_what_is_left_as_it_is() -> None:
    rng = np.random.default_rng(5)
    rows: list[Row] = []
    for _ in range(60):
        x0, y0 = (int(v) for v in rng.integers(0, 700, 2))
        width, height = (int(v) for v in rng.integers(20, 400, 2))
        box = (x0, y0, min(WIDTH, x0 + width), min(HEIGHT, y0 + height))
        rows.append((str(rng.choice(["cup", "dog"])), float(rng.uniform(0.4, 1)), box))
    left = chosen(*rows)
    detections = [
        Detection(label=label, score=score, box=Box(x0=c[0], y0=c[1], x1=c[2], y1=c[3]))
        for label, score, c in left
    ]
    entities, distractors = split_detections(
        detections,
        width=WIDTH,
        height=HEIGHT,
        object_score=0.35,
        nms_iou=LIMITS.iou,
        max_box_share=LIMITS.max_share,
        max_objects=100,
    )
    assert len(rows) > len(left) > 10
    assert (len(entities), distractors) == (len(left), [])
    assert not any(entity.rival or entity.group for entity in entities)


def test_boxes_are_scaled_rounded_and_clipped() -> None:
    whole = Box(x0=0, y0=0, x1=WIDTH, y1=HEIGHT)
    found, corners = in_view(labeled([-0.1, 0.25, 0.5, 1.2], [0.5, 0.5, 0.5, 0.7]), whole, WIDTH, HEIGHT)
    assert corners.tolist() == [[0, 200, 500, 800]]
    assert found.labels == ("b0",), "a box without width is none"


def test_a_box_cut_by_an_inner_border_of_its_quarter_goes() -> None:
    top_left = Box(x0=0, y0=0, x1=600, y1=480)
    found, corners = in_view(
        labeled([0, 0, 0.5, 0.5], [0.6, 0.2, 0.99, 0.4], [0.2, 0.6, 0.4, 0.995], [0.9, 0.9, 0.97, 0.97]),
        top_left,
        WIDTH,
        HEIGHT,
    )
    assert found.labels == ("b0", "b3")
    assert corners.tolist() == [[0, 0, 300, 240], [540, 432, 582, 466]]
    bottom_right = Box(x0=400, y0=320, x1=1000, y1=800)
    found, corners = in_view(labeled([0.01, 0.5, 0.3, 0.6], [0.5, 0.5, 1, 1]), bottom_right, WIDTH, HEIGHT)
    assert (found.labels, corners.tolist()) == (("b1",), [[700, 560, 1000, 800]])
