"""Checks detected labels with an ImageNet classifier on the object's crop: evidence for and against a label."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Protocol

import numpy as np
import yaml
from numpy.typing import NDArray

from tasks.backends.embedded.nouns import noun
from tasks.backends.embedded.perception.imagenet_classifier import imagenet_classifier
from tasks.imaging.arrays import Image
from tasks.imaging.geometry import enlarge
from tasks.records.records import Box

ENLARGED = (1.1, 1.5)
"""Box enlargement of the two crops; the second shows some context, which helps with small objects."""


SPOKEN_FOR = 0.07
"""Support from which there is no objection to a label."""

OUTSPOKEN = 3.0
"""Factor by which the probability of a label's lookalikes must exceed that of the label for an objection."""

ALONE_IN_BOX = frozenset({"tableware", "glassware", "device", "computer", "screen", "accessory"})
"""Kinds whose box shows little else: "carton" objects to a bottle, but "espresso" in a chair's box does not object."""


class LabelWitness(Protocol):
    """Evidence for and against a label in a region of a picture."""

    def support(self, image: Image, label: str, box: Box) -> float:
        """Probability 0..1 that speaks for the label; 0 when the witness has no class for it."""
        ...

    def objection(self, image: Image, label: str, box: Box) -> float:
        """Probability 0..1 of something else; 0 when the witness cannot judge the label."""
        ...


@cache
def words_for(label: str) -> frozenset[str]:
    """ImageNet class names that speak for a label (``imagenet_words.yaml``)."""
    return frozenset(_table("imagenet_words.yaml").get(label, ()))


@cache
def lookalikes_of(label: str) -> frozenset[str]:
    """ImageNet class names of what detectors take for the label (``imagenet_lookalikes.yaml``)."""
    return frozenset(_table("imagenet_lookalikes.yaml").get(label, ()))


def _table(name: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = yaml.safe_load(
        (resources.files("tasks.backends.embedded.perception") / name).read_text(encoding="utf-8")
    )
    return found


class ImageNetWitness:
    """EfficientNet-Lite3 over two crops of the object; loaded at the first label that it has classes for."""

    def support(self, image: Image, label: str, box: Box) -> float:
        """The larger of the two crops' total probability of classes that speak for the label."""
        words = words_for(label)
        if not words:
            return 0.0
        return max(_total(_scores(image, box, factor), words) for factor in ENLARGED)

    def objection(self, image: Image, label: str, box: Box) -> float:
        """Probability, in the tight crop, of the label's lookalikes together or of the likeliest class.

        The likeliest class counts only where the support is below `SPOKEN_FOR`, and both only for kinds that fill their
        box: a chair's or plant's box also shows what stands on or in front of it.
        """
        if not words_for(label) or noun(label).kind not in ALONE_IN_BOX:
            return 0.0
        support = self.support(image, label, box)
        scores = _scores(image, box, ENLARGED[0])
        instead = _total(scores, lookalikes_of(label))
        likeliest = float(scores.max()) if support < SPOKEN_FOR else 0.0
        return max(likeliest, instead if instead >= OUTSPOKEN * support else 0.0)


def _total(scores: NDArray[np.float32], words: frozenset[str]) -> float:
    chosen = np.array([name in words for name in imagenet_classifier().names])
    return min(1.0, float(scores[chosen].sum()))


def _scores(image: Image, box: Box, factor: float) -> NDArray[np.float32]:
    height, width = image.shape[:2]
    crop = enlarge(box, factor, 0, width, height)
    return imagenet_classifier().scores(image[crop.y0 : crop.y1, crop.x0 : crop.x1])
