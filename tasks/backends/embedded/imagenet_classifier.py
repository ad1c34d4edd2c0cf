"""EfficientNet-Lite3 over a crop: one loaded network a process, whoever asks."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.backends.assets import AssetCache, default_cache_folder
from tasks.backends.embedded.litert import TfliteModel
from tasks.roles.protocols import Image

CLASSIFIER = "efficientnet-lite3"
"""The asset that holds the network and its class names."""

FULL_SCALE = 256.0
"""The classifier answers in 1/256: a byte of 255 is as good as 1."""


class ImageNetClassifier:
    """1000 ImageNet classes. Not for use from several threads at once."""

    def __init__(self) -> None:
        assets = AssetCache(default_cache_folder())
        self._model = TfliteModel(assets.path(CLASSIFIER, "efficientnet_lite3.tflite"))
        lines = assets.path(CLASSIFIER, "efficientnet_labels.txt").read_text(encoding="utf-8").splitlines()
        # A line lists synonyms; the first is the commonest.
        self.names = [line.split(",")[0].strip().lower() for line in lines]

    def scores(self, crop: Image) -> NDArray[np.float32]:
        """Probability of each of ``names``, 0..1, for a crop (h, w, 3) squeezed to the network's square."""
        side = self._model.side
        picture = cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA)
        answer = self._model.run(np.ascontiguousarray(picture))[0][0]
        return np.asarray(answer / FULL_SCALE, np.float32)


@cache
def imagenet_classifier() -> ImageNetClassifier:
    """The process's one classifier, loaded at the first call: tagger, detector and target judge all ask it."""
    return ImageNetClassifier()
