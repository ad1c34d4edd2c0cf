"""A second witness of a detected label: what an ImageNet classifier says of the object's crop, for and against."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Protocol

import numpy as np
import yaml
from numpy.typing import NDArray

from tasks.backends.embedded.imagenet_classifier import imagenet_classifier
from tasks.geometry import enlarge
from tasks.instruction.nouns import noun
from tasks.records import Box
from tasks.roles.protocols import Image

ENLARGED = (1.1, 1.5)
"""The object fills the first crop; the second shows what it stands on, which helps with small things."""


SPOKEN_FOR = 0.07
"""Support from which on a label is not objected to."""

ALONE_IN_BOX = frozenset({"tableware", "glassware", "device", "screen", "accessory"})
"""Kinds whose box shows little else: a carton is no bottle, but "espresso" in a chair's box is no objection."""


class LabelWitness(Protocol):
    """Says how much a picture's region speaks for a label, or against it."""

    def support(self, image: Image, label: str, box: Box) -> float:
        """0..1; 0 when the witness has no word for the label."""
        ...

    def objection(self, image: Image, label: str, box: Box) -> float:
        """0..1: how sure the witness is of something else; 0 when it can't speak for or against the label."""
        ...


@cache
def words_for(label: str) -> frozenset[str]:
    """ImageNet class names that speak for a label (``imagenet_words.yaml``)."""
    text = (resources.files("tasks.backends.embedded") / "imagenet_words.yaml").read_text(encoding="utf-8")
    return frozenset(yaml.safe_load(text).get(label, ()))


class ImageNetWitness:
    """EfficientNet-Lite3 over two crops of the object; loaded at the first question that it has words for."""

    def support(self, image: Image, label: str, box: Box) -> float:
        """The larger of the two crops' total probability of classes that speak for the label."""
        words = words_for(label)
        if not words:
            return 0.0
        chosen = np.array([name in words for name in imagenet_classifier().names])
        return min(1.0, max(float(_scores(image, box, factor)[chosen].sum()) for factor in ENLARGED))

    def objection(self, image: Image, label: str, box: Box) -> float:
        """Probability of the likeliest class of the tight crop, where hardly anything speaks for the label.

        Only for kinds that fill their box alone: a chair's or a plant's shows what stands on it or before it, too.
        """
        words = words_for(label)
        if not words or noun(label).kind not in ALONE_IN_BOX or self.support(image, label, box) >= SPOKEN_FOR:
            return 0.0
        return float(_scores(image, box, ENLARGED[0]).max())


def _scores(image: Image, box: Box, factor: float) -> NDArray[np.float32]:
    height, width = image.shape[:2]
    crop = enlarge(box, factor, 0, width, height)
    return imagenet_classifier().scores(image[crop.y0 : crop.y1, crop.x0 : crop.x1])
