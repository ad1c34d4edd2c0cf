"""Separates drinking glasses from cups, which COCO has in one class and readers call by different words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tasks.backends.embedded.perception.label_witness import LabelWitness
from tasks.imaging.arrays import Image
from tasks.roles.questions import Detection

CUP, GLASS = "cup", "drinking glass"
"""The detectors' class, and the label split off from it; `imagenet_words.yaml` has ImageNet classes for both."""

MIN_GLASS = 0.25
"""Support below which the label stays ``cup``."""

GLASS_OVER_CUP = 0.5
"""Support for a glass over that for a cup from which it is a glass: ImageNet has more classes of drinks in glasses."""


def name_glasses(image: Image, found: Sequence[Detection], witness: LabelWitness) -> tuple[Detection, ...]:
    """The detections, with cups relabeled that the classifier takes for a glass."""
    return tuple(_named(image, d, witness) if d.label == CUP else d for d in found)


def _named(image: Image, cup: Detection, witness: LabelWitness) -> Detection:
    glass = witness.support(image, GLASS, cup.box)
    if glass < MIN_GLASS or glass < GLASS_OVER_CUP * witness.support(image, CUP, cup.box):
        return cup
    return replace(cup, label=GLASS)
