"""The project's own list of tags that name no object."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest
import yaml

from tasks.backends.torch.ram.tag_lists import NOT_OBJECTS

TAG_LIST = Path(os.environ.get("GROUNDEDIT_RAM_TAGS", "weights/ram_tag_list.txt"))
"""The published list of tags; it comes with the weights and is not part of this repository."""

OBJECTS = (
    "apple, backpack, ball, banana, bear, bed, bench, bicycle, bird, boat, book, bottle, bowl, box, bus, "
    "cake, camera, candle, car, cat, chair, chicken, clock, couch, cow, crane, cup, curtain, dog, dress, "
    "drill, elephant, fence, flower, fork, giraffe, glasses, glove, guitar, hat, helmet, horse, house, iron, "
    "jacket, kite, knife, lamp, laptop, man, microwave, mirror, motorbike, mouse, mug, orange, oven, painter, "
    "pan, person, picture, pillow, pizza, plane, plant, plate, poster, refrigerator, saw, seal, sheep, shirt, "
    "shoe, sign, sink, skateboard, smartphone, spoon, suitcase, surfboard, swing, table, teddy, television, "
    "tent, tie, toothbrush, towel, train, traffic light, tree, truck, umbrella, vase, violin, wagon, watch, "
    "wheel, window, wine glass, woman, zebra"
)
"""Words for things that a photograph shows, some of them published tags."""


@pytest.fixture(scope="module")
def kinds() -> dict[str, list[str]]:
    found: dict[str, list[str]] = yaml.safe_load(NOT_OBJECTS.read_text(encoding="utf-8"))
    return found


def test_entries_are_words_sorted_and_unique(kinds: dict[str, list[str]]) -> None:
    for names in kinds.values():
        assert all(isinstance(name, str) and name == name.strip() for name in names)
        assert names == sorted(names, key=lambda name: (name.lower(), name))
    counts = Counter(name for names in kinds.values() for name in names)
    assert not [name for name, count in counts.items() if count > 1]


def test_no_plain_object_is_in_it(kinds: dict[str, list[str]]) -> None:
    listed = {name for names in kinds.values() for name in names}
    assert not listed & set(OBJECTS.split(", "))


def test_what_would_frame_the_whole_picture_is_in_it(kinds: dict[str, list[str]]) -> None:
    expected = {
        "actions": ("sit", "stand", "lay"),
        "qualities": ("green", "white"),
        "scenes": ("living room", "kitchen", "beach"),
        "media": ("photo", "selfie", "text"),
        "stuff": ("sky", "wall", "floor", "grass", "road"),
    }
    assert not [name for kind, names in expected.items() for name in names if name not in kinds[kind]]


@pytest.mark.skipif(not TAG_LIST.exists(), reason="needs the published tag list (GROUNDEDIT_RAM_TAGS)")
def test_every_entry_is_a_published_tag(kinds: dict[str, list[str]]) -> None:
    published = set(TAG_LIST.read_text(encoding="utf-8").split("\n"))
    assert not [name for names in kinds.values() for name in names if name not in published]
