"""What a text says that somebody wears, and whether the garments found agree."""

from __future__ import annotations

import pytest

from tasks.records.records import Box
from tasks.stages.instruction.words.clothes import clothing, fits_clothes
from tasks.stages.instruction.words.reading import mentions, read
from tasks.stages.instruction.words.scene import Thing, WordScene


def _thing(label: str, x: int, color: str = "", part_of: int | None = None) -> Thing:
    return Thing(label=label, box=Box(x0=x, y0=0, x1=x + 50, y1=90), area=4500, color=color, part_of=part_of)


SCENE = WordScene(
    width=400,
    height=100,
    things=(
        _thing("person", 0),
        _thing("person", 200),
        _thing("top", 0, "red", 0),
        _thing("trousers", 0, "blue", 0),
        _thing("top", 200, "green", 1),
    ),
    target=(0,),
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("The target is the person in red.", [("red", "")]),
        ("The target is the person in the red top.", [("red", "top")]),
        (
            "The target is a person wearing a red top and blue trousers.",
            [("red", "top"), ("blue", "trousers")],
        ),
        ("The target is a person, not the one in the green top.", []),
        ("The target is a person next to the one in the green top.", []),
    ],
)
def test_clothes_are_read_with_their_color(text: str, said: list[tuple[str, str]]) -> None:
    reading = read(text, SCENE.labels)
    found = clothing(reading, mentions(reading, SCENE), SCENE, is_order=False)
    assert [(each.color.word, each.noun) for each in found] == said


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("The target is the person in red.", True),
        ("The target is the person in white.", False),
        ("The target is the person in the red shirt.", True),
        ("The target is the person in the green top.", False),
        ("The target is the person in the blue trousers.", True),
        ("The target is the person in the red trousers.", False),
        ("The target is the person in the red hat.", None),
    ],
)
def test_they_are_compared_with_the_garments_of_that_person(text: str, fits: bool | None) -> None:
    reading = read(text, SCENE.labels)
    verdicts = [
        fits_clothes(each, SCENE)
        for each in clothing(reading, mentions(reading, SCENE), SCENE, is_order=False)
    ]
    assert verdicts == ([] if fits is None else [fits])
