"""Pictures that mark a target or number the objects: red mask and box, the box alone, or numbers."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from tasks.imaging.arrays import Image, Mask
from tasks.imaging.geometry import from_rle, intersection
from tasks.records.records import Box, GroundedTarget, SceneObject
from tasks.roles.picture import Picture

RED, BLACK, WHITE = (255, 0, 0), (0, 0, 0), (255, 255, 255)
FONT = cv2.FONT_HERSHEY_SIMPLEX
MASK_OPACITY = 0.5
"""Paper 3.1, step 1: "a red semi-transparent mask (opacity 0.5) and a red bounding box"."""


def marked_with_boxes(picture: Picture, boxes: Sequence[Box]) -> Picture:
    """The picture with each box outlined: what the instructor sees (paper Figure 19)."""
    return picture.marked({"boxes": _corners(boxes)}, lambda image: draw_box(image, boxes))


def marked_with_mask(picture: Picture, target: GroundedTarget) -> Picture:
    """The picture with the target's red mask and boxes: the visual grounding."""
    boxes = [thing.box for thing in target.objects]
    marks = {"boxes": _corners(boxes), "mask": target.mask.counts}
    return picture.marked(marks, lambda image: draw_mask_and_box(image, from_rle(target.mask), boxes))


def numbered(picture: Picture, objects: Sequence[SceneObject]) -> Picture:
    """The picture with each object framed and numbered, for a referrer to refer to."""
    return picture.marked(number_marks(objects), lambda image: draw_numbers(image, objects))


def draw_box(image: Image, boxes: Sequence[Box]) -> Image:
    """A copy of ``image`` with each box outlined in red, drawn on the box's border pixels."""
    marked = np.ascontiguousarray(image).copy()
    thickness = line_width(image.shape[0], image.shape[1])
    for box in boxes:
        cv2.rectangle(marked, (box.x0, box.y0), (box.x1 - 1, box.y1 - 1), RED, thickness)
    return marked


def draw_mask_and_box(image: Image, mask: Mask, boxes: Sequence[Box]) -> Image:
    """A copy of ``image`` with the masked pixels half red and each box outlined: the visual grounding."""
    marked = image.copy()
    tinted = marked[mask].astype(np.float32) * (1 - MASK_OPACITY) + np.array(RED, np.float32) * MASK_OPACITY
    marked[mask] = np.round(tinted).astype(np.uint8)
    return draw_box(marked, boxes)


def line_width(height: int, width: int) -> int:
    """Line width of boxes in pixels: 1 per 300 pixels of the short side, at least 2."""
    return max(2, round(min(height, width) / 300))


def draw_numbers(image: Image, objects: Sequence[SceneObject]) -> Image:
    """A copy of ``image`` with each object framed and numbered: its index plus 1, white on a black plate.

    Frame and plate are black and white, since a colored one could be mistaken for the scene's. Plates are at the upper
    left of their box, moved down or to the right if another one is in the way.
    """
    marked = np.ascontiguousarray(image).copy()
    height, width = image.shape[:2]
    line = line_width(height, width)
    for thing in objects:
        box = thing.box
        corners = (box.x0, box.y0), (box.x1 - 1, box.y1 - 1)
        cv2.rectangle(marked, *corners, BLACK, line + 2)
        cv2.rectangle(marked, *corners, WHITE, line)
    scale = max(0.5, min(height, width) / 900)
    plates: list[Box] = []
    # Small boxes first: large ones have more alternative positions.
    for thing in sorted(objects, key=lambda thing: (thing.box.area, thing.index)):
        text = str(thing.index + 1)
        (text_width, text_height), _ = cv2.getTextSize(text, FONT, scale, line)
        plate = _free_place(thing.box, (text_width + 8, text_height + 8), plates, (width, height))
        plates.append(plate)
        cv2.rectangle(marked, (plate.x0, plate.y0), (plate.x1 - 1, plate.y1 - 1), BLACK, cv2.FILLED)
        cv2.putText(marked, text, (plate.x0 + 4, plate.y1 - 5), FONT, scale, WHITE, line, cv2.LINE_AA)
    return marked


def number_marks(objects: Sequence[SceneObject]) -> dict[str, object]:
    """The marks of `draw_numbers`, for a picture's recipe."""
    return {"numbers": [[t.index + 1, t.box.x0, t.box.y0, t.box.x1, t.box.y1] for t in objects]}


def _free_place(box: Box, size: tuple[int, int], taken: Sequence[Box], picture: tuple[int, int]) -> Box:
    """The first free position for a plate, row by row through ``box``; else the box's corner."""
    plate_width, plate_height = size
    tried = [
        (x, y)
        for y in range(box.y0, max(box.y1 - plate_height, box.y0) + 1, plate_height)
        for x in range(box.x0, max(box.x1 - plate_width, box.x0) + 1, plate_width)
    ]
    places = [
        _moved_into(Box(x0=x, y0=y, x1=x + plate_width, y1=y + plate_height), picture) for x, y in tried
    ]
    return next((p for p in places if not any(intersection(p, other) for other in taken)), places[0])


def _moved_into(box: Box, picture: tuple[int, int]) -> Box:
    """``box`` shifted, not cut, into a picture of (width, height)."""
    dx = min(0, picture[0] - box.x1) - min(0, box.x0)
    dy = min(0, picture[1] - box.y1) - min(0, box.y0)
    return Box(x0=box.x0 + dx, y0=box.y0 + dy, x1=box.x1 + dx, y1=box.y1 + dy)


def _corners(boxes: Sequence[Box]) -> list[list[int]]:
    return [[box.x0, box.y0, box.x1, box.y1] for box in boxes]
