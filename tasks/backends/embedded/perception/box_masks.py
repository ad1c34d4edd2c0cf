"""Masks of things by their boxes: prompted twice to compare, in the whole picture or in a window around them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.backends.embedded.perception.closer_windows import moved
from tasks.backends.embedded.perception.mask_measures import fill_holes, inner_point, stability
from tasks.backends.embedded.perception.mask_refinement import refine
from tasks.backends.embedded.perception.sam2 import Features, Proposals, sam2
from tasks.imaging.arrays import Image, Mask
from tasks.imaging.geometry import box_of, cropped, iou
from tasks.imaging.masks import largest_piece, mask_iou
from tasks.records.records import Box

Corners = tuple[float, float, float, float]
Points = Sequence[tuple[float, float]]

AGAIN = 2
"""How often a mask that is worth it is given back to the network: its first answer is often ragged, takes in a
neighbor or leaves out legs."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BoxMask:
    """A mask by a box.

    Attributes:
        mask: (H, W) bool in the picture's pixels.
        quality: the network's own estimate of the IoU, 0..1.
        stability: IoU of the masks at logits +1 and -1, 0..1.
        repeat: IoU with the mask of a second prompt: its own box, and a point deep inside.
        whole: share of the raw mask in one piece, 0..1.
        agreement: IoU with the mask of the other look, whole picture or window; None where there was one look.
    """

    mask: Mask
    quality: float
    stability: float
    repeat: float
    whole: float
    agreement: float | None = None

    def rank(self, box: Box) -> float:
        """By which one of two looks at the thing in a box is chosen."""
        return self.quality * self.stability * self.repeat * self.whole * _fit(self.mask, box)


def draw(image: Image, features: Features, box: Box, max_hole_share: float, *, again: int) -> BoxMask:
    """Prompts with the box, then with the mask's own box and a point deep inside it, and compares both masks.

    Args:
        image: (H, W, 3) uint8 RGB.
        features: of that image.
        box: of the thing, in the image's pixels.
        max_hole_share: holes up to this share of the mask are filled.
        again: how often each mask is given back to the network.
    """
    first = best_answer(features, corners(box), expected=box, again=again)
    repeat = 0.0
    if first.mask.any():
        tight = box_of(first.mask)
        second = best_answer(
            features, corners(tight), (inner_point(first.mask),), expected=tight, again=again
        )
        repeat = mask_iou(first.mask, second.mask)
    piece, whole = largest_piece(refine(image, first.logits))
    return BoxMask(
        mask=fill_holes(piece, max_hole_share),
        quality=first.quality,
        stability=first.stability,
        repeat=repeat,
        whole=whole,
    )


def draw_in_window(
    image: Image, window: Box, boxes: Mapping[int, Box], max_hole_share: float
) -> dict[int, BoxMask]:
    """The masks of boxes by number, drawn from the part of the picture inside ``window``, in the picture's pixels."""
    part = cropped(image, window)
    features = sam2().encode(part)
    return {
        number: in_picture(
            draw(part, features, moved(box, window), max_hole_share, again=AGAIN), window, image.shape
        )
        for number, box in boxes.items()
    }


def in_picture(drawn: BoxMask, window: Box, shape: tuple[int, ...]) -> BoxMask:
    """The mask of a window's thing as one of the picture (H, W, ...)."""
    mask = np.zeros(shape[:2], bool)
    mask[window.y0 : window.y1, window.x0 : window.x1] = drawn.mask
    return replace(drawn, mask=mask)


def better(first: BoxMask, closer: BoxMask, box: Box) -> BoxMask:
    """The better of two looks at the thing in ``box``, with their agreement."""
    chosen = closer if closer.rank(box) > first.rank(box) else first
    return replace(chosen, agreement=mask_iou(first.mask, closer.mask))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BestAnswer:
    """One of the network's three proposals: its mask (H, W) and logits, its two measures, and what chose it."""

    mask: Mask
    logits: NDArray[np.float32]
    quality: float
    stability: float
    rank: float


def best_answer(
    features: Features,
    box: Corners | None,
    inside: Points = (),
    outside: Points = (),
    expected: Box | None = None,
    *,
    points_count: bool = False,
    again: int = 0,
) -> BestAnswer:
    """The best of the three proposals by the network's own estimate, stability and fit to the expected box.

    With ``points_count`` also by the share of the points that lie on their side of the mask. The answer is given back
    to the network ``again`` times, to be improved, as in its training: masks by few points gain much.
    """
    best = _best(
        features, sam2().propose(features, box, inside, outside), inside, outside, expected, points_count
    )
    for _ in range(again):
        better_ones = sam2().propose(features, box, inside, outside, best.logits)
        best = _best(features, better_ones, inside, outside, expected, points_count)
    return best


def _best(
    features: Features,
    proposals: Proposals,
    inside: Points,
    outside: Points,
    expected: Box | None,
    points_count: bool,
) -> BestAnswer:
    answers = []
    for logits, quality in zip(proposals.logits, proposals.quality, strict=True):
        size = (features.width, features.height)
        mask = np.asarray(cv2.resize(logits, size, interpolation=cv2.INTER_LINEAR), np.float32) > 0
        fit = 1.0 if expected is None else _fit(mask, expected)
        right = _right_share(mask, inside, outside) if points_count else 1.0
        firm = stability(logits)
        answers.append(
            BestAnswer(
                mask=mask,
                logits=logits,
                quality=float(np.clip(quality, 0, 1)),
                stability=firm,
                rank=float(quality) * firm * fit * right**2,
            )
        )
    return max(answers, key=lambda a: a.rank)


def corners(box: Box) -> Corners:
    """A box as a prompt."""
    return float(box.x0), float(box.y0), float(box.x1), float(box.y1)


def _right_share(mask: Mask, inside: Points, outside: Points) -> float:
    right = [*(_holds(mask, p) for p in inside), *(not _holds(mask, p) for p in outside)]
    return float(np.mean(right)) if right else 1.0


def _holds(mask: Mask, point: Sequence[float]) -> bool:
    x, y = round(point[0]), round(point[1])
    return 0 <= y < mask.shape[0] and 0 <= x < mask.shape[1] and bool(mask[y, x])


def _fit(mask: Mask, box: Box) -> float:
    return 0.5 + 0.5 * iou(box_of(mask), box)
