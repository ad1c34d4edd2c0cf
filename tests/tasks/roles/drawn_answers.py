"""Random answers of every role, small and of every shape that a role allows."""

from __future__ import annotations

import random
import string
from dataclasses import fields

import numpy as np

from tasks.records.records import Box, Measurement, Reasoning, Tag
from tasks.roles.questions import (
    Detection,
    EditScores,
    Referents,
    Segmentation,
    TargetVerdict,
    TextVerdict,
    WrittenInstruction,
)

LETTERS = string.ascii_letters + ' \n\t"\\\x00\x7fäß€\U0001f4f7\ud83d'  # the last is half an emoji


def words(rng: random.Random) -> str:
    return "".join(rng.choices(LETTERS, k=rng.randrange(30)))


def number(rng: random.Random) -> float:
    return rng.choice([0.0, 1.0, -0.0, 1e-300, 0.1 + 0.2, rng.random(), rng.uniform(-1e6, 1e6)])


def measurement(rng: random.Random) -> Measurement:
    drawn = {"str": words, "float": number, "bool": lambda r: r.random() < 0.5}
    optional = {"float | None": lambda r: r.choice([None, number(r)])}
    return Measurement(**{f.name: {**drawn, **optional}[str(f.type)](rng) for f in fields(Measurement)})


def measurements(rng: random.Random) -> tuple[Measurement, ...]:
    return tuple(measurement(rng) for _ in range(rng.randrange(4)))


def mask(rng: random.Random) -> np.ndarray:
    shape = rng.randrange(1, 40), rng.randrange(1, 40)
    pixels = np.random.default_rng(rng.randrange(2**32)).random(shape)
    return pixels < rng.choice([-1, 0.02, 0.5, 2])


def image(rng: random.Random) -> np.ndarray:
    shape = rng.randrange(1, 40), rng.randrange(1, 40), 3
    return np.random.default_rng(rng.randrange(2**32)).integers(0, 256, shape, np.uint8)


def box(rng: random.Random) -> Box:
    x0, y0 = rng.randrange(4000), rng.randrange(4000)
    return Box(x0=x0, y0=y0, x1=x0 + rng.randrange(4000), y1=y0 + rng.randrange(4000))


def draw_answer(role: str, rng: random.Random) -> object:
    """An answer that a backend of the role might give."""
    some = range(rng.randrange(5))
    return {
        "tagger": lambda: tuple(Tag(name=words(rng), score=number(rng)) for _ in some),
        "detector": lambda: tuple(Detection(label=words(rng), box=box(rng), score=number(rng)) for _ in some),
        "segmenter": lambda: tuple(
            Segmentation(mask=mask(rng), score=number(rng), method=words(rng), checks=measurements(rng))
            for _ in some
        ),
        "target_judge": lambda: TargetVerdict(
            precise=rng.random() < 0.5,
            hard=rng.random() < 0.5,
            measurements=measurements(rng),
            together=rng.random() < 0.5,
        ),
        "instructor": lambda: WrittenInstruction(
            edit_type=words(rng),
            instruction=words(rng),
            argument=words(rng),
            reasoning=Reasoning(
                scene_description=words(rng),
                target_localization=words(rng),
                editing_description=words(rng),
                post_edit_description=words(rng),
            ),
        ),
        "rewriter": lambda: words(rng),
        "referrer": lambda: Referents(
            objects=tuple(rng.randrange(50) for _ in some), boxes=tuple(box(rng) for _ in some)
        ),
        "text_judge": lambda: TextVerdict(agreement=number(rng), measurements=measurements(rng)),
        "editor": lambda: image(rng),
        "inpainter": lambda: image(rng),
        "edit_judge": lambda: EditScores(
            accuracy=number(rng), seamlessness=number(rng), measurements=measurements(rng)
        ),
    }[role]()


def same(a: object, b: object) -> bool:
    """Whether two answers are equal, pixels included."""
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b)
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, Segmentation) and isinstance(b, Segmentation):
        return all(same(getattr(a, f.name), getattr(b, f.name)) for f in fields(Segmentation))
    return type(a) is type(b) and a == b
