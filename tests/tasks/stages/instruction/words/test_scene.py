"""Order and rows of things."""

from __future__ import annotations

from tasks.records.records import Box
from tasks.stages.instruction.words.scene import Peers, Thing, rank_range, rows, usual_starts, word_scene
from tests.tasks.stages.instruction import example_scenes


def thing(x: int, y: int = 0, width: int = 10, height: int = 10) -> Thing:
    return Thing(label="cup", box=Box(x0=x, y0=y, x1=x + width, y1=y + height), area=width * height)


def test_ranks_count_from_the_named_side() -> None:
    things = (thing(0), thing(20), thing(40))
    peers = Peers(sure=things, maybe=())
    assert rank_range(things[0], peers, "left") == (1, 1)
    assert rank_range(things[0], peers, "right") == (3, 3)


def test_unsure_things_widen_the_range() -> None:
    things = (thing(0), thing(20), thing(40))
    peers = Peers(sure=(things[2],), maybe=things[:2])
    assert rank_range(things[2], peers, "left") == (1, 3)


def test_things_above_each_other_may_be_counted_either_way() -> None:
    things = (thing(0), thing(1, 50), thing(40))
    peers = Peers(sure=things, maybe=())
    assert rank_range(things[1], peers, "left") == (1, 2)


def test_rows_are_clusters_from_the_top() -> None:
    things = [thing(20, 50), thing(0, 2), thing(20, 0), thing(0, 52)]
    assert [[(each.box.x0, each.box.y0) for each in row] for row in rows(things)] == [
        [(0, 2), (20, 0)],
        [(0, 52), (20, 50)],
    ]
    assert rows([]) == []


def test_things_are_counted_along_the_way_they_are_strung_out() -> None:
    assert usual_starts([thing(0), thing(50), thing(100)]) == ("left", "right")
    assert usual_starts([thing(0), thing(0, 50), thing(0, 100)]) == ("top", "bottom")
    assert len(usual_starts([thing(0), thing(50, 50)])) == 4


def test_a_grounded_target_becomes_a_scene_of_words() -> None:
    whole = example_scenes.scene(
        [example_scenes.thing("cup", (0, 0, 10, 20), "red"), example_scenes.thing("dog", (20, 0, 40, 10))],
        weak=(("cup", (50, 0, 60, 10), 0.2),),
    )
    found = word_scene(example_scenes.target(whole, 1))
    assert (found.width, found.height) == (example_scenes.WIDTH, example_scenes.HEIGHT)
    assert found.label == "dog"
    assert found.things[0].color == "red"
    assert [each.label for each in found.weak] == ["cup"]
