"""The pose of a person by MoveNet Lightning: 17 keypoints, looked for twice; one loaded network per process."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.backends.assets import AssetCache, default_cache_folder
from tasks.backends.embedded.runtimes.litert import TfliteModel
from tasks.imaging.arrays import Image
from tasks.records.records import Box

ASSET = "movenet-lightning"

KEYPOINTS = (
    *("nose", "left eye", "right eye", "left ear", "right ear"),
    *("left shoulder", "right shoulder", "left elbow", "right elbow", "left wrist", "right wrist"),
    *("left hip", "right hip", "left knee", "right knee", "left ankle", "right ankle"),
)
"""Names of the network's keypoints, in its order; left and right are the person's own."""

FACE_POINTS = 5
"""Nose, eyes and ears are the first of the 17 keypoints."""

MARGIN = 1.25
"""Box enlargement: the network expects some margin around the person."""

UPPER = (0.8, 0.6)
"""Shares of a box's height that are looked at as well."""

UPPER_ASPECT = 0.7
"""Height over width of such a part, at least."""

SURE = 0.3
"""Confidence of both shoulders from which no further view is looked at."""

_MIRRORED = [
    KEYPOINTS.index(name.replace("left", "RIGHT").replace("right", "left").replace("RIGHT", "right"))
    for name in KEYPOINTS
]

Point = NDArray[np.float64]
"""(x, y) in the picture's pixels."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pose:
    """Keypoints of one person.

    Attributes:
        points: (17, 2) float64, x and y in pixels of the picture, the mean of both looks.
        scores: (17,) the network's confidence, 0..1, the lower of both looks.
        doubt: (17,) distance of the two looks in pixels.
    """

    points: NDArray[np.float64]
    scores: NDArray[np.float64]
    doubt: NDArray[np.float64]

    def at(self, name: str) -> Point:
        """(x, y) of a keypoint."""
        found: Point = self.points[KEYPOINTS.index(name)]
        return found


class PersonPose:
    """A loaded pose network. Not for use from several threads at once."""

    def __init__(self) -> None:
        assets = AssetCache(default_cache_folder())
        self._net = TfliteModel(assets.path(ASSET, "movenet_lightning.tflite"))

    def head_score(self, image: Image, box: Box) -> float:
        """The network's best score (0..1) for nose, eyes or ears of whoever is in the box."""
        square, _ = _square_around(image, box)
        return float(self._look(square)[:FACE_POINTS, 2].max())

    def pose(self, image: Image, box: Box) -> Pose:
        """The pose of whoever fills the box; by a part of it if its shoulders are surer there than in all of it."""
        whole, *parts = _views(box)
        found = [self._pose(image, whole)]
        if _shoulders(found[0]) < SURE:
            found += [self._pose(image, view) for view in parts]
        return max(found, key=_shoulders)

    def _pose(self, image: Image, box: Box) -> Pose:
        """The pose in one view; the second look is at its mirror image."""
        square, (left, top) = _square_around(image, box)
        first = self._look(square)
        second = self._look(np.ascontiguousarray(square[:, ::-1]))[_MIRRORED]
        second[:, 0] = 1 - second[:, 0]
        _agree_on_sides(first, second)
        side, origin = square.shape[0], np.array([left, top], np.float64)
        apart = np.hypot(*(first[:, :2] - second[:, :2]).T) * side
        return Pose(
            points=(first[:, :2] + second[:, :2]) / 2 * side + origin,
            scores=np.minimum(first[:, 2], second[:, 2]),
            doubt=apart,
        )

    def _look(self, square: Image) -> NDArray[np.float64]:
        """(17, 3): x and y as shares 0..1 of the square, and the score."""
        side = self._net.side
        picture = cv2.resize(square, (side, side), interpolation=cv2.INTER_AREA)
        points = self._net.run(np.asarray(picture, np.uint8))[0][0, 0]
        # The network says y before x.
        return np.asarray(points[:, [1, 0, 2]], np.float64)


@cache
def person_pose() -> PersonPose:
    """The pose network of this process, loaded at the first call; shared by detector and segmenter."""
    return PersonPose()


def _shoulders(pose: Pose) -> float:
    """Confidence of the less certain shoulder."""
    return float(pose.scores[[KEYPOINTS.index("left shoulder"), KEYPOINTS.index("right shoulder")]].min())


def _views(box: Box) -> list[Box]:
    """The box, and its upper part where it is long: of somebody near the camera the trunk alone is seen better."""
    views = [box]
    for share in UPPER:
        height = round(share * box.height)
        if height >= UPPER_ASPECT * box.width:
            views.append(Box(x0=box.x0, y0=box.y0, x1=box.x1, y1=box.y0 + height))
    return views


def _agree_on_sides(first: NDArray[np.float64], second: NDArray[np.float64]) -> None:
    """Swaps left and right in the second look where that fits the first better: from behind, a side is a guess."""
    for left in range(1, len(KEYPOINTS), 2):
        pair = [left, left + 1]
        straight = np.linalg.norm(first[pair, :2] - second[pair, :2], axis=1).sum()
        crossed = np.linalg.norm(first[pair, :2] - second[pair[::-1], :2], axis=1).sum()
        if crossed < straight:
            second[pair] = second[pair[::-1]]


def _square_around(image: Image, box: Box) -> tuple[Image, tuple[int, int]]:
    """A square (side, side, 3) around the box with `MARGIN`, black beyond the picture, and its left and top."""
    side = max(2, round(max(box.width, box.height) * MARGIN))
    x0, y0 = round(box.center[0] - side / 2), round(box.center[1] - side / 2)
    height, width = image.shape[:2]
    square = np.zeros((side, side, 3), np.uint8)
    top, left = max(0, -y0), max(0, -x0)
    part = image[max(0, y0) : min(height, y0 + side), max(0, x0) : min(width, x0 + side)]
    square[top : top + part.shape[0], left : left + part.shape[1]] = part
    return square, (x0, y0)
