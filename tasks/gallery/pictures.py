"""The gallery's pictures: downscaled JPEGs, crops before and after, the amplified difference, marked targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from tasks.imaging.arrays import Image, Mask
from tasks.imaging.geometry import box_of, cropped, grow
from tasks.imaging.pixels import encode_jpeg
from tasks.records.records import Box

LONG_SIDE = 800
"""Longer side in pixels: a 1280 px page shows three columns, with some room for zooming."""

CROP_SIDE = 480
"""Longer side of a crop in pixels; smaller crops are enlarged up to `CROP_ZOOM` times."""

CROP_ZOOM = 4.0
AMPLIFICATION = 4
"""With this factor a difference of 64 levels is black."""

QUALITY = 88
RED = (230, 30, 30)
BLUE = (40, 90, 220)
WHITE = (255, 255, 255)

CROP_MARGIN = 0.25
"""Share of the target's longer side shown around it if no editor has requested a crop yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplePictures:
    """Encoded JPEGs by name, and the result of comparing source and edit pixel by pixel.

    Attributes:
        jpegs: (name, bytes): source, grounded, edited and difference in full; before, target, after and change of
            the crop.
        changed_outside: number of differing pixels outside the allowed region; must be 0.
        changed_inside: share of the allowed region's pixels that differ, 0..1.
    """

    jpegs: tuple[tuple[str, bytes], ...]
    changed_outside: int
    changed_inside: float


def sample_pictures(
    source: Image, grounded: Image, edited: Image, *, crop: Box, mask: Mask, allowed: Mask
) -> SamplePictures:
    """All pictures of a finished sample; the five arrays have one size, ``crop`` is in their pixels.

    ``mask`` is the target, ``allowed`` what the edit may change.
    """
    largest = cv2.absdiff(source, edited).max(axis=2)
    changed = largest > 0
    inside = int(allowed.sum())
    jpegs = (
        ("source", encode(fit(source))),
        ("grounded", encode(fit(grounded))),
        ("edited", encode(fit(edited))),
        ("difference", encode(fit(difference(largest, allowed)))),
        ("before", encode(fit_crop(cropped(source, crop)))),
        ("target", encode(crop_outline(source, crop, mask))),
        ("after", encode(fit_crop(cropped(edited, crop)))),
        ("change", encode(crop_difference(source, edited, crop, allowed))),
    )
    return SamplePictures(
        jpegs=jpegs,
        changed_outside=int((changed & ~allowed).sum()),
        changed_inside=float((changed & allowed).sum() / inside) if inside else 0.0,
    )


def difference(largest: Image, allowed: Mask) -> Image:
    """The amplified difference, dark on white, with the allowed region's outline in blue.

    Args:
        largest: (H, W) uint8, the largest difference over the channels.
        allowed: (H, W).
    """
    amplified = 255 - np.minimum(largest.astype(np.uint16) * AMPLIFICATION, 255).astype(np.uint8)
    picture = np.repeat(amplified[:, :, None], 3, axis=2)
    outlines, _ = cv2.findContours(allowed.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    cv2.drawContours(picture, outlines, -1, BLUE, _stroke(picture))
    return picture


def crop_difference(source: Image, edited: Image, crop: Box, allowed: Mask) -> Image:
    """The amplified difference inside the crop, as large as the crops beside it.

    Enlarged before the outline is drawn, so that the outline stays thin on a small crop. The arrays have the
    picture's size.
    """
    largest = fit_crop(cv2.absdiff(cropped(source, crop), cropped(edited, crop)).max(axis=2))
    height, width = largest.shape
    inside = allowed[crop.y0 : crop.y1, crop.x0 : crop.x1].astype(np.uint8)
    return difference(largest, cv2.resize(inside, (width, height), interpolation=cv2.INTER_NEAREST) > 0)


def crop_outline(source: Image, crop: Box, mask: Mask) -> Image:
    """The crop, scaled like the one beside it, with the mask's outline in red between two white lines.

    Nothing is tinted, so that both sides of the line can be compared. White is visible on dark and red on light;
    the line follows the mask's outermost pixels, holes included.
    """
    picture = fit_crop(cropped(source, crop)).copy()
    height, width = picture.shape[:2]
    # Blend before thresholding at one half: enlarged mask pixels would give the line steps.
    soft = cv2.resize(cropped(mask, crop).astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    outlines, _ = cv2.findContours((soft > 0.5).astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    for color, stroke in ((WHITE, 4), (RED, 2)):
        cv2.drawContours(picture, outlines, -1, color, stroke)
    return picture


def crop_around(mask: Mask) -> Box:
    """The mask's extent with `CROP_MARGIN` around it, inside the picture; of area zero for an empty mask."""
    extent, (height, width) = box_of(mask), mask.shape
    return grow(extent, round(CROP_MARGIN * max(extent.width, extent.height)), width, height)


def mark(source: Image, mask: Mask, boxes: Sequence[Box]) -> Image:
    """The source with a red mask (opacity 0.5) and red boxes, for targets without a grounded picture."""
    picture = source.copy()
    tint = np.array(RED, dtype=np.uint16)
    picture[mask] = ((picture[mask].astype(np.uint16) + tint) // 2).astype(np.uint8)
    for box in boxes:
        cv2.rectangle(picture, (box.x0, box.y0), (box.x1 - 1, box.y1 - 1), RED, _stroke(picture))
    return picture


def fit(picture: Image, long_side: int = LONG_SIDE) -> Image:
    """The picture, shrunk so that its longer side is at most ``long_side`` pixels."""
    scale = long_side / max(picture.shape[:2])
    return picture if scale >= 1 else _resize(picture, scale, cv2.INTER_AREA)


def fit_crop(picture: Image) -> Image:
    """A crop scaled to `CROP_SIDE`, enlarging small ones up to `CROP_ZOOM` times."""
    scale = min(CROP_SIDE / max(*picture.shape[:2], 1), CROP_ZOOM)
    return _resize(picture, scale, cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)


def encode(picture: Image) -> bytes:
    """(H, W, 3) RGB as JPEG bytes."""
    return encode_jpeg(picture, QUALITY)


def _resize(picture: Image, scale: float, interpolation: int) -> Image:
    height, width = picture.shape[:2]
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(picture, size, interpolation=interpolation), dtype=np.uint8)


def _stroke(picture: Image) -> int:
    """Line width that stays visible after downscaling."""
    return max(2, round(int(max(picture.shape[:2])) / 400))
