"""The seeded choice of targets."""

import numpy as np

from tasks.imaging.geometry import to_rle
from tasks.records.records import Box, SceneObject
from tasks.stages.grounding.targets import choose_targets


def thing(index, label, x0, why="", part_of=None):
    mask = np.zeros((50, 400), bool)
    mask[10:20, x0 : x0 + 10] = True
    return SceneObject(
        index=index, label=label, box=Box(x0=x0, y0=10, x1=x0 + 10, y1=20), mask=to_rle(mask), score=0.9,
        mask_score=0.9, mask_method="drawn", area=100, color="red", color_share=1.0, lab=(50.0, 60.0, 40.0),
        checks=(), not_a_target=why, part_of=part_of,
    )  # fmt: skip


def draw(objects, seed=0, sid="s", max_targets=1, groups=False):
    return choose_targets(objects, sid=sid, seed=seed, max_targets=max_targets, groups=groups)


def test_only_objects_without_a_reason_against_them_are_chosen():
    objects = [thing(0, "cup", 0, "tiny"), thing(1, "cup", 50), thing(2, "cup", 100, "cut_off")]
    assert draw(objects, max_targets=5) == [(1,)]
    assert draw([thing(0, "cup", 0, "tiny")]) == []


def test_the_choice_depends_only_on_seed_and_photograph():
    objects = [thing(i, "cup", 30 * i) for i in range(8)]
    assert draw(objects, seed=3) == draw(list(objects), seed=3)
    assert len({tuple(draw(objects, seed=s)) for s in range(20)}) > 3
    assert len({tuple(draw(objects, sid=str(s))) for s in range(20)}) > 3


def test_another_object_does_not_reshuffle_the_rest():
    objects = [thing(i, "cup", 30 * i) for i in range(6)]
    before = draw(objects, max_targets=6)
    after = draw([*objects, thing(6, "cup", 300)], max_targets=7)
    assert [t for t in after if t != (6,)] == before


def test_pairs_of_one_class_are_chosen_only_if_enabled():
    objects = [thing(0, "cup", 0), thing(1, "cup", 50), thing(2, "dog", 100)]
    assert all(len(t) == 1 for t in draw(objects, max_targets=9))
    drawn = draw(objects, max_targets=9, groups=True)
    assert (0, 1) in drawn
    assert {t for t in drawn if len(t) == 2} == {(0, 1)}


def test_garments_and_persons_are_both_chosen_where_both_qualify():
    people = [thing(i, "person", 30 * i) for i in range(4)]
    shirts = [thing(4 + i, "shirt", 200 + 30 * i, part_of=i) for i in range(4)]
    for seed in range(20):
        drawn = draw([*people, *shirts], seed=seed, max_targets=2)
        assert len({index >= 4 for (index,) in drawn}) == 2
    assert draw(people, max_targets=2) == draw(
        [*people, thing(4, "shirt", 200, "low_score", 0)], max_targets=2
    )


def test_two_garments_make_no_pair():
    shirts = [thing(0, "shirt", 0, part_of=2), thing(1, "shirt", 50, part_of=2), thing(2, "person", 100, "x")]
    assert {len(t) for t in draw(shirts, max_targets=9, groups=True)} == {1}
