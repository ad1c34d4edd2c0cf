"""A second witness for a detected label: what an ImageNet classifier says of the object's crop."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Protocol

import numpy as np
import yaml

from tasks.backends.embedded.imagenet_classifier import imagenet_classifier
from tasks.geometry import enlarge
from tasks.records import Box
from tasks.roles.protocols import Image

ENLARGED = (1.1, 1.5)
"""The object fills the first crop; the second shows what it stands on, which helps with small things."""


class LabelWitness(Protocol):
    """Says how much a picture's region supports a label."""

    def support(self, image: Image, label: str, box: Box) -> float:
        """0..1; 0 when the witness has no word for the label."""
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
        classifier = imagenet_classifier()
        chosen = np.array([name in words for name in classifier.names])
        height, width = image.shape[:2]
        sums = []
        for factor in ENLARGED:
            crop = enlarge(box, factor, 0, width, height)
            seen = image[crop.y0 : crop.y1, crop.x0 : crop.x1]
            sums.append(float(classifier.scores(seen)[chosen].sum()))
        return min(1.0, max(sums))
