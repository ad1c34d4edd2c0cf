"""The Open Images detector of MediaPipe Objectron: a third opinion on some classes of COCO, and shoes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.backends.assets import AssetCache
from tasks.backends.embedded.perception.raw_boxes import RawBox
from tasks.backends.embedded.runtimes.litert import TfliteModel
from tasks.imaging.arrays import Image
from tasks.records.errors import ModelUnavailable

ASSET, FILE = "open-images-ssd", "objectron_solution_packed_assets.data"
NETWORK_MARK, MARK_OFFSET = b"TFL3", 4
"""A tflite file holds its mark at its fifth byte; the label list stands before the network in the package's file."""

LABELS: Mapping[str, str] = {
    "Bicycle": "bicycle",
    "Boot": "shoe",
    "Laptop": "laptop",
    "Person": "person",
    "Chair": "chair",
    "Cattle": "cow",
    "Desk": "dining table",
    "Cat": "cat",
    "Computer mouse": "mouse",
    "Computer monitor": "tv",
    "Mug": "cup",
    "Coffee cup": "cup",
    "Table": "dining table",
    "Bottle": "bottle",
    "High heels": "shoe",
    "Footwear": "shoe",
    "Dog": "dog",
    "Book": "book",
    "Car": "car",
}
"""Open Images class -> label of `prompts/nouns.yaml`; overlapping classes share one, so that they are one object.

Left out: ``Vehicle`` names no kind, ``Stationary bicycle`` is seen in stools, and texts about a photograph use the
words "box" and "camera" for its marks and its viewer.
"""

OWN_LABELS = frozenset({"shoe"})
"""Labels that the COCO networks lack."""

SIDES = (19, 10, 5, 3, 2, 1)
"""Cells along a side of the feature maps, from strides of 16 to 512 pixels at an input of 300."""

SMALLEST, LARGEST, EXTRA = 0.2, 0.95, 0.1
"""Anchor sizes of the first and last map as shares of the picture, and the additional one of the first map."""

RATIOS = (1.0, 2.0, 0.5, 3.0, 0.3333)
"""Width by height of the anchors; the first map has the first three only."""

CENTER_SCALE, SIZE_SCALE = 10.0, 5.0
"""By which the network's offsets are divided."""

SUPPRESS_IOU = 0.5
"""IoU from which the weaker of two boxes of one label is dropped."""


class OpenImagesSsd:
    """SSD-MobileNet-v2 (Open Images v4)."""

    def __init__(self, assets: AssetCache) -> None:
        path = assets.path(ASSET, FILE)
        content = path.read_bytes()
        start = content.find(NETWORK_MARK) - MARK_OFFSET
        if start < 0:
            raise ModelUnavailable(f"{path.name} holds no network")
        self._net = TfliteModel(path, content[start:])
        names = content[:start].decode("ascii").split("\n")
        self._labels = tuple(LABELS.get(name.strip(), "") for name in names)

    def boxes(self, image: Image, low_score: float) -> list[RawBox]:
        """See `RawDetector`."""
        side = self._net.side
        picture = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
        offsets, logits = self._net.run(picture.astype(np.float32) / 127.5 - 1)
        corners = decode_boxes(offsets[0], anchors())
        scores = 1 / (1 + np.exp(-logits[0]))
        found: list[RawBox] = []
        for label in sorted({label for label in self._labels if label}):
            columns = [number for number, name in enumerate(self._labels) if name == label]
            found += _best_of(label, corners, scores[:, columns].max(axis=1), low_score)
        return found


@cache
def anchors() -> NDArray[np.float32]:
    """The network's 1917 anchors (N, 4): center x, center y, width, height as shares of the picture."""
    steps = np.linspace(SMALLEST, LARGEST, len(SIDES))
    rows: list[tuple[float, float, float, float]] = []
    for level, side in enumerate(SIDES):
        shapes = _shapes(
            float(steps[level]), float(steps[level + 1]) if level + 1 < len(SIDES) else 1.0, level
        )
        for row in range(side):
            for column in range(side):
                rows += [((column + 0.5) / side, (row + 0.5) / side, w, h) for w, h in shapes]
    return np.array(rows, np.float32)


def _shapes(size: float, following: float, level: int) -> list[tuple[float, float]]:
    """Width and height of the anchors in each cell of a feature map."""
    if level == 0:
        pairs = list(zip(RATIOS[:3], (EXTRA, size, size), strict=True))
    else:
        pairs = [*((ratio, size) for ratio in RATIOS), (1.0, (size * following) ** 0.5)]
    return [(scale * ratio**0.5, scale / ratio**0.5) for ratio, scale in pairs]


def decode_boxes(offsets: NDArray[np.float32], boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Corners (N, 4) x0, y0, x1, y1 as shares, clipped to the picture.

    Args:
        offsets: (N, 4) the network's y, x, height, width, relative to the anchors.
        boxes: (N, 4) as `anchors`.
    """
    center_y = offsets[:, 0] / CENTER_SCALE * boxes[:, 3] + boxes[:, 1]
    center_x = offsets[:, 1] / CENTER_SCALE * boxes[:, 2] + boxes[:, 0]
    half_height = np.exp(offsets[:, 2] / SIZE_SCALE) * boxes[:, 3] / 2
    half_width = np.exp(offsets[:, 3] / SIZE_SCALE) * boxes[:, 2] / 2
    sides = (center_x - half_width, center_y - half_height, center_x + half_width, center_y + half_height)
    clipped: NDArray[np.float32] = np.clip(np.stack(sides, axis=1), 0, 1).astype(np.float32)
    return clipped


def _best_of(
    label: str, corners: NDArray[np.float32], scores: NDArray[np.float32], low_score: float
) -> list[RawBox]:
    """The boxes of one label that no better one of it overlaps."""
    strong = np.flatnonzero(scores >= low_score)
    strong = strong[(corners[strong, 2] > corners[strong, 0]) & (corners[strong, 3] > corners[strong, 1])]
    rectangles = [
        (float(x0), float(y0), float(x1 - x0), float(y1 - y0)) for x0, y0, x1, y1 in corners[strong]
    ]
    kept = cv2.dnn.NMSBoxes(rectangles, scores[strong].tolist(), low_score, SUPPRESS_IOU)
    return [_raw(label, corners[strong[number]], float(scores[strong[number]])) for number in kept]


def _raw(label: str, corners: NDArray[np.float32], score: float) -> RawBox:
    x0, y0, x1, y1 = (float(v) for v in corners)
    return RawBox(label=label, x0=x0, y0=y0, x1=x1, y1=y1, score=score)
