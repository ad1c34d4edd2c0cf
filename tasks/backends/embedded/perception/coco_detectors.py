"""The two small COCO detectors: SSD-MobileNet-v2 through OpenCV and EfficientDet-Lite0 through LiteRT."""

from __future__ import annotations

import zipfile

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.backends.assets import AssetCache
from tasks.backends.embedded.perception.raw_boxes import RawBox
from tasks.backends.embedded.runtimes.litert import TfliteModel
from tasks.imaging.arrays import Image
from tasks.records.errors import ModelUnavailable

SSD_SIDE = 300
"""Input side of SSD-MobileNet-v2, pixels."""


class SsdMobilenet:
    """SSD-MobileNet-v2 (COCO)."""

    def __init__(self, assets: AssetCache) -> None:
        graph = assets.path("ssd-mobilenet-v2", "frozen_inference_graph.pb")
        layout = assets.path("ssd-mobilenet-v2", "ssd_mobilenet_v2_coco_2018_03_29.pbtxt")
        try:
            self._net = cv2.dnn.readNetFromTensorflow(str(graph), str(layout))
        except cv2.error as error:
            raise ModelUnavailable(f"{graph.name} cannot be loaded: {error}") from error
        self._labels = coco_labels(assets)

    def boxes(self, image: Image, low_score: float) -> list[RawBox]:
        """See `RawDetector`."""
        # The blob swaps channels for BGR input; ours is RGB already.
        self._net.setInput(cv2.dnn.blobFromImage(image, size=(SSD_SIDE, SSD_SIDE), swapRB=False))
        rows = np.asarray(self._net.forward(), np.float32).reshape(-1, 7)
        return _collect(rows[:, 1] - 1, rows[:, 2], rows[:, 3:7], self._labels, low_score)


class EfficientDet:
    """EfficientDet-Lite0 (COCO), 8 bit; at most 25 boxes per picture."""

    def __init__(self, assets: AssetCache) -> None:
        self._net = TfliteModel(assets.path("efficientdet-lite0", "lite-model.tflite"))
        self._labels = coco_labels(assets)

    def boxes(self, image: Image, low_score: float) -> list[RawBox]:
        """See `RawDetector`."""
        side = self._net.side
        picture = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
        corners, classes, scores, _ = self._net.run(np.asarray(picture, np.uint8))
        # Corners come as y0, x0, y1, x1.
        return _collect(classes[0], scores[0], corners[0][:, [1, 0, 3, 2]], self._labels, low_score)


def coco_labels(assets: AssetCache) -> tuple[str, ...]:
    """The 90 COCO class names, indexed by class id - 1; unused ids are ``???``. Read from the EfficientDet file."""
    with zipfile.ZipFile(assets.path("efficientdet-lite0", "lite-model.tflite")) as opened:
        return tuple(opened.read("labelmap.txt").decode().split("\n"))


def _collect(
    classes: NDArray[np.float32],
    scores: NDArray[np.float32],
    corners: NDArray[np.float32],
    labels: tuple[str, ...],
    low_score: float,
) -> list[RawBox]:
    found = []
    for number, score, box in zip(classes, scores, np.clip(corners, 0, 1), strict=True):
        label = labels[int(number)].strip() if 0 <= int(number) < len(labels) else ""
        if score >= low_score and label not in ("", "???") and box[2] > box[0] and box[3] > box[1]:
            x0, y0, x1, y1 = (float(v) for v in box)
            found.append(RawBox(label=label, x0=x0, y0=y0, x1=x1, y1=y1, score=float(score)))
    return found
