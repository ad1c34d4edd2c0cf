"""The detector's own suppression: clipped boxes without duplicates, group boxes and boxes of the whole picture.

Grounding suppresses again, across the names of whatever detector answers (`tasks.stages.grounding.suppression`). The
rules here are its rules, so that what passes both is the same as what passes either with equal limits; only this one
sees boxes that are weaker than ``object_score`` for what they are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.backends.torch.grounding_dino.scores import LabeledBoxes
from tasks.records.records import Box
from tasks.roles.questions import Detection

CUT_SHARE = 0.02
"""A box that ends so close to an inner border of a view, as a share of its side, is taken as cut by it."""

Corners = NDArray[np.int64]
"""(N, 4) x0, y0, x1, y1 in pixels of the picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suppression:
    """What is dropped.

    Attributes:
        iou: overlap above which the weaker of two boxes is dropped.
        across_labels: also when their labels differ.
        groups: drop a box that holds two or more smaller boxes of its label.
        max_share: largest box as a share of the picture.
    """

    iou: float
    across_labels: bool
    groups: bool
    max_share: float


def in_view(found: LabeledBoxes, view: Box, width: int, height: int) -> tuple[LabeledBoxes, Corners]:
    """Boxes of a view in pixels of the picture, without those that an inner border of the view cuts.

    Args:
        found: boxes as shares of the view.
        view: part of the picture that was looked at.
        width: of the picture.
        height: of the picture.

    Returns:
        The boxes that are left, and their corners, rounded and clipped to the picture.
    """
    inner = np.array([view.x0 > 0, view.y0 > 0, view.x1 < width, view.y1 < height])
    near = np.concatenate([found.boxes[:, :2] < CUT_SHARE, found.boxes[:, 2:] > 1 - CUT_SHARE], axis=1)
    scale = np.array([view.width, view.height, view.width, view.height])
    offset = np.array([view.x0, view.y0, view.x0, view.y0])
    pixels = np.rint(found.boxes * scale + offset)
    pixels = np.clip(pixels, 0, [width, height, width, height]).astype(np.int64)
    keep = ~(near & inner).any(axis=1) & (pixels[:, 2:] > pixels[:, :2]).all(axis=1)
    labels = tuple(label for label, on in zip(found.labels, keep.tolist(), strict=True) if on)
    return LabeledBoxes(boxes=found.boxes[keep], scores=found.scores[keep], labels=labels), pixels[keep]


def suppress(
    corners: Corners,
    scores: NDArray[np.float64],
    labels: tuple[str, ...],
    *,
    width: int,
    height: int,
    limits: Suppression,
) -> tuple[Detection, ...]:
    """The boxes of one picture that are worth an answer, best first.

    Boxes of the whole picture go first, since they would suppress others. Duplicates of one label go before groups are
    looked for, since two boxes around one thing are no group. Groups go before labels compete.
    """
    order = sorted(range(len(labels)), key=lambda i: (-scores[i], labels[i], *corners[i].tolist()))
    areas = (corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1])
    left = np.array([i for i in order if areas[i] <= limits.max_share * width * height], np.int64)
    codes = np.unique(np.array(labels), return_inverse=True)[1] if labels else np.zeros(0, np.int64)
    left = left[_distinct(corners[left], limits.iou, codes[left])]
    if limits.groups:
        left = left[~_groups(corners[left], scores[left], codes[left])]
    if limits.across_labels:
        left = left[_distinct(corners[left], limits.iou, np.zeros(len(left), np.int64))]
    return tuple(
        Detection(label=labels[i], box=_box(corners[i]), score=float(scores[i])) for i in left.tolist()
    )


def overlaps(corners: Corners) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Pairwise IoU (N, N), and the share of box i that lies in box j (N, N)."""
    top = np.maximum(corners[:, None, :2], corners[None, :, :2])
    end = np.minimum(corners[:, None, 2:], corners[None, :, 2:])
    common = np.clip(end - top, 0, None).prod(axis=2).astype(np.float64)
    areas = (corners[:, 2:] - corners[:, :2]).prod(axis=1).astype(np.float64)
    union = areas[:, None] + areas[None, :] - common
    return common / union, common / areas[:, None]


def _distinct(corners: Corners, iou: float, codes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Indices of boxes, best first, that overlap no better one with the same code."""
    clash = (overlaps(corners)[0] > iou) & (codes[:, None] == codes[None, :])
    kept = np.ones(len(corners), np.bool_)
    for index in range(len(corners)):
        if kept[index]:
            kept[index + 1 :] &= ~clash[index, index + 1 :]
    return np.flatnonzero(kept)


def _groups(corners: Corners, scores: NDArray[np.float64], codes: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether a box holds two or more smaller ones with its label; the limits are those of grounding."""
    inside = overlaps(corners)[1] > 0.8
    areas = (corners[:, 2:] - corners[:, :2]).prod(axis=1)
    smaller = areas[:, None] < 0.6 * areas[None, :]
    strong = scores[:, None] >= 0.5 * scores[None, :]
    members = inside & smaller & strong & (codes[:, None] == codes[None, :])
    return np.asarray(members.sum(axis=0) >= 2, np.bool_)


def _box(corners: NDArray[np.int64]) -> Box:
    x0, y0, x1, y1 = (int(v) for v in corners)
    return Box(x0=x0, y0=y0, x1=x1, y1=y1)
