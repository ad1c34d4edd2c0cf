"""EfficientNet-Lite3 for crops; one loaded network per process."""

from __future__ import annotations

import hashlib
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.backends.assets import AssetCache, default_cache_folder
from tasks.backends.embedded.runtimes.litert import TfliteModel
from tasks.imaging.arrays import Image

CLASSIFIER = "efficientnet-lite3"
"""The asset that holds the network and its class names."""

FULL_SCALE = 256.0
"""The quantized output is a probability in units of 1/256."""


REMEMBERED = 256
"""Crops whose scores are cached: detector and target judge ask about the same crop one after the other."""


class ImageNetClassifier:
    """1000 ImageNet classes. Not for use from several threads at once."""

    def __init__(self) -> None:
        assets = AssetCache(default_cache_folder())
        self._model = TfliteModel(assets.path(CLASSIFIER, "efficientnet_lite3.tflite"))
        lines = assets.path(CLASSIFIER, "efficientnet_labels.txt").read_text(encoding="utf-8").splitlines()
        # A line lists synonyms, the most common one first.
        self.names = [line.split(",")[0].strip().lower() for line in lines]
        self._known: dict[bytes, NDArray[np.float32]] = {}

    def scores(self, crop: Image) -> NDArray[np.float32]:
        """Probability of each of ``names``, 0..1, for a crop (h, w, 3) squeezed to the network's square.

        The array is cached and read-only.
        """
        side = self._model.side
        picture = np.ascontiguousarray(cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
        key = hashlib.blake2b(picture.data, digest_size=16).digest()
        scores = self._known.get(key)
        if scores is None:
            scores = np.asarray(self._model.run(picture)[0][0] / FULL_SCALE, np.float32)
            scores.flags.writeable = False
            self._known[key] = scores
            while len(self._known) > REMEMBERED:
                self._known.pop(next(iter(self._known)))
        return scores


@cache
def imagenet_classifier() -> ImageNetClassifier:
    """The classifier of this process, loaded at the first call; shared by tagger, detector and target judge."""
    return ImageNetClassifier()
