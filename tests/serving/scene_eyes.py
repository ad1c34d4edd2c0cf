"""Looks at the pictures of a request: which known scene it is, which object is framed in red, which number is where.

What a vision model does by learning is done here by comparing with pictures that are known beforehand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import cv2
import numpy as np

from tasks.imaging.arrays import Image
from tasks.records.records import Box, Scene
from tasks.stages.red_picture import BLACK, FONT, WHITE, line_width

THUMBNAIL = 24
"""Side of what scenes are told apart by, in pixels."""

MARKED = 40
"""Difference of a channel from which a pixel counts as drawn over, 0..255."""


@dataclass(frozen=True, kw_only=True, eq=False)
class KnownObject:
    """A thing in a known picture; color is a basic color term or ``""``."""

    label: str
    box: Box
    color: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class KnownScene:
    """A picture (H, W, 3) and all that is in it."""

    image: Image
    objects: tuple[KnownObject, ...]

    @classmethod
    def of(cls, scene: Scene, image: Image) -> KnownScene:
        """What the pipeline itself found in a picture."""
        objects = [
            KnownObject(label=t.label, box=t.box, color="" if t.color == "mixed" else t.color)
            for t in scene.objects
        ]
        return cls(image=image, objects=tuple(objects))

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.image.shape[1], self.image.shape[0]

    @cached_property
    def thumbnail(self) -> Image:
        """The picture at `THUMBNAIL` x `THUMBNAIL`."""
        return _thumbnail(self.image)


def recognized(picture: Image, scenes: Sequence[KnownScene]) -> KnownScene:
    """The known scene that a picture shows, whatever is drawn on it and however small it is."""
    seen = _thumbnail(picture).astype(np.int32)
    return min(scenes, key=lambda scene: float(np.abs(scene.thumbnail - seen).mean()))


def framed(picture: Image, scene: KnownScene) -> int | None:
    """Index of the object around which a red box is drawn; None when there is none."""
    height, width = picture.shape[:2]
    plain = cv2.resize(scene.image, (width, height), interpolation=cv2.INTER_AREA).astype(np.int32)
    seen = picture.astype(np.int32)
    drawn = np.abs(seen - plain).max(axis=2) > MARKED
    red = drawn & (seen[..., 0] > seen[..., 1] + MARKED) & (seen[..., 0] > seen[..., 2] + MARKED)
    scores = [_outline_share(red, _scaled(thing.box, scene, width, height)) for thing in scene.objects]
    best = int(np.argmax(scores))
    return best if scores[best] > 0.5 else None


def numbered(picture: Image, scene: KnownScene, count: int) -> dict[int, int]:
    """Number drawn on a picture -> index of the known object that carries it."""
    height, width = picture.shape[:2]
    gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    boxes = [_scaled(thing.box, scene, width, height) for thing in scene.objects]
    found: dict[int, int] = {}
    for number in range(1, count + 1):
        plate = _plate(number, scene.size, width / scene.size[0])
        fit = cv2.matchTemplate(gray, plate, cv2.TM_CCOEFF_NORMED)
        x, y = cv2.minMaxLoc(fit)[3]
        # Plates lie at the upper left of their box, or a little below or right of it.
        found[number] = min(
            range(len(boxes)),
            key=lambda i, x=x, y=y: (_outside(boxes[i], x, y), abs(boxes[i].x0 - x) + abs(boxes[i].y0 - y)),
        )
    return found


def change(before: Image, after: Image, box: Box) -> tuple[float, float]:
    """Mean absolute difference of two pictures inside a box, and outside its double, 0..255."""
    difference = np.abs(before.astype(np.int32) - after.astype(np.int32)).mean(axis=2)
    outside = np.ones(difference.shape, np.bool_)
    dx, dy = box.width // 2, box.height // 2
    outside[max(0, box.y0 - dy) : box.y1 + dy, max(0, box.x0 - dx) : box.x1 + dx] = False
    inner = difference[box.y0 : box.y1, box.x0 : box.x1]
    return float(inner.mean()), float(difference[outside].mean()) if outside.any() else 0.0


def scaled_box(thing: KnownObject, scene: KnownScene, picture: Image) -> Box:
    """An object's box in pixels of a picture of the scene at another size."""
    return _scaled(thing.box, scene, picture.shape[1], picture.shape[0])


def _thumbnail(image: Image) -> Image:
    return np.asarray(cv2.resize(image, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA), np.int32)


def _scaled(box: Box, scene: KnownScene, width: int, height: int) -> Box:
    sx, sy = width / scene.size[0], height / scene.size[1]
    x0, y0 = round(box.x0 * sx), round(box.y0 * sy)
    return Box(x0=x0, y0=y0, x1=max(x0 + 1, round(box.x1 * sx)), y1=max(y0 + 1, round(box.y1 * sy)))


def _outline_share(red: np.ndarray, box: Box) -> float:
    """Share of a box's outline within two pixels of which something red is drawn."""
    near = cv2.dilate(red.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    y1, x1 = min(box.y1, near.shape[0]) - 1, min(box.x1, near.shape[1]) - 1
    sides = (
        near[box.y0, box.x0 : x1],
        near[y1, box.x0 : x1],
        near[box.y0 : y1, box.x0],
        near[box.y0 : y1, x1],
    )
    # The worst side counts: a red thing or a neighbor's box covers some sides, never all four.
    return min(float(side.mean()) if side.size else 0.0 for side in sides)


def _outside(box: Box, x: int, y: int) -> bool:
    return not (box.x0 - 4 <= x <= box.x1 and box.y0 - 4 <= y <= box.y1)


@cache
def _plate(number: int, size: tuple[int, int], scale: float) -> np.ndarray:
    """A number's plate as `draw_numbers` draws it on a picture of that size, then scaled; gray."""
    short = min(size)
    font_scale, line = max(0.5, short / 900), line_width(size[1], size[0])
    (width, height), _ = cv2.getTextSize(str(number), FONT, font_scale, line)
    plate = np.full((height + 8, width + 8, 3), BLACK, np.uint8)
    cv2.putText(plate, str(number), (4, height + 3), FONT, font_scale, WHITE, line, cv2.LINE_AA)
    small = (max(1, round((width + 8) * scale)), max(1, round((height + 8) * scale)))
    return cv2.cvtColor(cv2.resize(plate, small, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
