"""A second witness for a detected label: what an ImageNet classifier says of the object's crop."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Protocol

import cv2
import numpy as np
import yaml

from tasks.backends.assets import AssetCache, default_cache_folder
from tasks.backends.embedded.litert import TfliteModel
from tasks.geometry import enlarge
from tasks.records import Box
from tasks.roles.protocols import Image

CLASSIFIER = "efficientnet-lite3"
"""The asset that holds the network and its class names."""

ENLARGED = (1.1, 1.5)
"""The object fills the first crop; the second shows what it stands on, which helps with small things."""

FULL_SCALE = 256.0
"""The classifier answers in 1/256."""


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
    """EfficientNet-Lite3 over two crops of the object; loaded at the first question."""

    def __init__(self) -> None:
        self._model: TfliteModel | None = None
        self._names: list[str] = []

    def support(self, image: Image, label: str, box: Box) -> float:
        """The larger of the two crops' total probability of classes that speak for the label."""
        words = words_for(label)
        if not words:
            return 0.0
        if self._model is None:
            self._load()
        chosen = np.array([name in words for name in self._names])
        height, width = image.shape[:2]
        sums = []
        for factor in ENLARGED:
            crop = enlarge(box, factor, 0, width, height)
            sums.append(float(self._scores(image[crop.y0 : crop.y1, crop.x0 : crop.x1])[chosen].sum()))
        return min(1.0, max(sums))

    def _scores(self, crop: Image) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
        assert self._model is not None
        side = self._model.side
        picture = cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA)
        (answer, *_) = self._model.run(np.ascontiguousarray(picture))
        return np.asarray(answer[0] / FULL_SCALE, np.float32)

    def _load(self) -> None:
        cache_folder = AssetCache(default_cache_folder())
        self._model = TfliteModel(cache_folder.path(CLASSIFIER, "efficientnet_lite3.tflite"))
        names = cache_folder.path(CLASSIFIER, "efficientnet_labels.txt").read_text(encoding="utf-8")
        self._names = [line.split(",")[0].strip().lower() for line in names.splitlines()]
