"""Small models of this process for the roles that see and paint; they know the paints of the drawn photographs.

They stand for models that do not repeat themselves: their answers are kept, and each question is counted. With
``DRAWN_JITTER`` in the environment no two answers to one question are equal, so that equal releases can only come from
kept answers. With ``DRAWN_LOG`` each question is a line of that file, which survives the process. `BROKEN` holds roles
whose model raises an error of its own at about every second sample.

Run as a module this is the command ``groundedit`` with these models in its table.
"""

from __future__ import annotations

import hashlib
import os
import random
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np

from flows.cli.main import main
from tasks.backends.one_by_one import OneByOne
from tasks.imaging.arrays import Image, Mask
from tasks.records.records import Box, ModelIdentity, Tag
from tasks.records.settings_base import Settings
from tasks.roles import backends
from tasks.roles.questions import (
    Detection,
    DetectQuestion,
    EditQuestion,
    InpaintQuestion,
    Question,
    Segmentation,
    SegmentQuestion,
    TagQuestion,
)
from tests.flows.drawn.photographs import PAINTS

ASKED: list[tuple[str, str]] = []
"""Role and subject of every question that a model of this process was asked."""

BROKEN: set[str] = set()

OFFER = "tasks.backends.generative_offer"
TOLERANCE = 45
LEAST_AREA = 250


class Drawn(Settings):
    """Options of all drawn models.

    Attributes:
        model: name that it goes by; another name is another model.
    """

    model: str = "drawn"


class DrawnModel(OneByOne[Any, Any]):
    """Counts, and is not reproducible."""

    Options: ClassVar[type[Settings]] = Drawn
    answering = frozenset({"model"})
    reproducible = False
    wire = 1
    role: ClassVar[str]

    def __init__(self, options: Drawn) -> None:
        self.options = options

    @classmethod
    def identity_of(cls, options: Drawn) -> ModelIdentity:
        return ModelIdentity(role=cls.role, backend="drawn", model=options.model, revision="1", digest="none")

    def answer_one(self, question: Question) -> Any:
        ASKED.append((self.role, question.subject))
        if log := os.environ.get("DRAWN_LOG"):
            with Path(log).open("a", encoding="utf-8") as file:
                file.write(f"{self.role} {question.subject}\n")
        time.sleep(float(os.environ.get("DRAWN_SLEEP_S", "0")))
        if self.role in BROKEN and zlib.crc32(question.subject.encode()) % 2:
            raise RuntimeError("a mistake in the model's code")
        return self.see(question)

    def see(self, question: Any) -> Any:
        """The answer, without counting."""
        raise NotImplementedError


class DrawnTagger(DrawnModel):
    """Labels of the paints in the picture."""

    role = "tagger"

    def see(self, question: TagQuestion) -> tuple[Tag, ...]:
        found = {kind[0] for kind in PAINTS if painted(question.picture.rgb, kind).sum() >= LEAST_AREA}
        return tuple(Tag(name=name, score=_shaken(0.9)) for name in sorted(found))


class DrawnDetector(DrawnModel):
    """A box for each connected piece of a paint."""

    role = "detector"

    def see(self, question: DetectQuestion) -> tuple[Detection, ...]:
        return tuple(
            Detection(label=kind[0], box=box, score=_shaken(0.95))
            for kind in PAINTS
            if kind[0] in question.names
            for box in _boxes(painted(question.picture.rgb, kind))
        )


class DrawnSegmenter(DrawnModel):
    """The pixels of the paint that fills most of the box."""

    role = "segmenter"

    def see(self, question: SegmentQuestion) -> tuple[Segmentation, ...]:
        return tuple(self._cut(question.picture.rgb, detection) for detection in question.detections)

    def _cut(self, image: Image, detection: Detection) -> Segmentation:
        b, mask = detection.box, np.zeros(image.shape[:2], bool)
        windows = [painted(image, kind)[b.y0 : b.y1, b.x0 : b.x1] for kind in PAINTS]
        mask[b.y0 : b.y1, b.x0 : b.x1] = max(windows, key=lambda window: int(window.sum()))
        return Segmentation(mask=mask, score=_shaken(0.95), method="paint", checks=())


class DrawnEditor(DrawnModel):
    """Paints the target by the argument, with its shading kept."""

    role = "editor"
    offer = f"{OFFER}:GenerativeEditorOffer"

    def see(self, question: EditQuestion) -> Image:
        image = question.picture.rgb.copy()
        paint = np.array(_paint(question.argument or question.instruction))
        if self.options.model != "drawn":
            paint = np.clip(paint + 12, 0, 255)
        grain = np.random.default_rng(question.seed % 2**32).normal(0, 3, image.shape[:2])
        color = np.clip(paint + grain[..., None] + _shaken(0) * 1000, 0, 255)
        image[question.mask] = color.astype(np.uint8)[question.mask]
        return image


class DrawnInpainter(DrawnModel):
    """Fills the hole with pixels from beside it."""

    role = "inpainter"
    offer = f"{OFFER}:GenerativeInpainterOffer"

    def see(self, question: InpaintQuestion) -> Image:
        image, hole = question.picture.rgb, question.hole.astype(np.uint8)
        plain = cv2.inpaint(np.ascontiguousarray(image), hole, 3, cv2.INPAINT_TELEA)
        draw = np.random.default_rng(question.seed % 2**32)
        grain = cv2.GaussianBlur(draw.normal(0, 14, hole.shape), (0, 0), 1.5) + _shaken(0) * 1000
        filled = image.copy()
        filled[question.hole] = np.clip(plain + grain[..., None], 0, 255).astype(np.uint8)[question.hole]
        return filled


MODELS = (DrawnTagger, DrawnDetector, DrawnSegmenter, DrawnEditor, DrawnInpainter)


HERE = "tests.flows.drawn.models"


@contextmanager
def registered() -> Iterator[None]:
    """The drawn models are in the table of backends, each by the name ``drawn``."""
    for model in MODELS:
        backends.BACKENDS[model.role]["drawn"] = f"{HERE}:{model.__name__}"
    try:
        yield
    finally:
        for model in MODELS:
            del backends.BACKENDS[model.role]["drawn"]


def painted(image: Image, kind: tuple[str, str]) -> Mask:
    """Pixels near a paint, as far as JPEG leaves them there."""
    return np.asarray(
        np.abs(image.astype(np.int16) - np.array(PAINTS[kind], np.int16)).max(axis=2) <= TOLERANCE
    )


def _boxes(mask: Mask) -> list[Box]:
    count, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    return [
        Box(x0=int(x), y0=int(y), x1=int(x + w), y1=int(y + h))
        for x, y, w, h, area in stats[1:count]
        if area >= LEAST_AREA
    ]


def _paint(words: str) -> tuple[int, int, int]:
    """A color for words: of its name, or any other that no paint comes near."""
    named = {color: rgb for (_, color), rgb in PAINTS.items()}
    named |= {"purple": (120, 40, 160), "orange": (240, 130, 20)}
    if words in named:
        return named[words]
    digest = hashlib.sha256(words.encode()).digest()
    return 20 + digest[0] % 30, 20 + digest[1] % 30, 20 + digest[2] % 30


def _shaken(value: float) -> float:
    """The value, or one close to it, chosen at random."""
    if not os.environ.get("DRAWN_JITTER"):
        return value
    return round(value + random.SystemRandom().uniform(-0.004, 0.004), 6)


if __name__ == "__main__":
    with registered():
        sys.exit(main())
