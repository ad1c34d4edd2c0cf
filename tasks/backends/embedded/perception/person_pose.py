"""Checks that a person's box contains a head and not just a hand, by MoveNet Lightning's keypoints."""

from __future__ import annotations

import cv2
import numpy as np

from tasks.backends.assets import AssetCache
from tasks.backends.embedded.runtimes.litert import TfliteModel
from tasks.imaging.arrays import Image
from tasks.records.records import Box

ASSET = "movenet-lightning"
FACE_POINTS = 5
"""Nose, eyes and ears are the first of the 17 keypoints."""

MARGIN = 1.25
"""Box enlargement: the network expects some margin around the person."""


class PersonPose:
    """A loaded pose network."""

    def __init__(self, assets: AssetCache) -> None:
        self._net = TfliteModel(assets.path(ASSET, "movenet_lightning.tflite"))

    def head_score(self, image: Image, box: Box) -> float:
        """The network's best score (0..1) for nose, eyes or ears of whoever is in the box."""
        side = max(2, round(max(box.width, box.height) * MARGIN))
        x0, y0 = round(box.center[0] - side / 2), round(box.center[1] - side / 2)
        height, width = image.shape[:2]
        square = np.zeros((side, side, 3), np.uint8)
        top, left = max(0, -y0), max(0, -x0)
        part = image[max(0, y0) : min(height, y0 + side), max(0, x0) : min(width, x0 + side)]
        square[top : top + part.shape[0], left : left + part.shape[1]] = part
        picture = cv2.resize(square, (self._net.side, self._net.side), interpolation=cv2.INTER_AREA)
        points = self._net.run(np.asarray(picture, np.uint8))[0][0, 0]
        return float(points[:FACE_POINTS, 2].max())
