"""Tells drinking glasses from cups: COCO has one class for both, and a reader of an instruction has two words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tasks.backends.embedded.perception.label_witness import LabelWitness
from tasks.imaging.arrays import Image
from tasks.roles.questions import Detection

CUP, GLASS = "cup", "drinking glass"
"""The detectors' class, and what part of it is called here; `imagenet_words.yaml` has the words for both."""

MIN_GLASS = 0.25
"""Support below which the detectors' own word stands."""

GLASS_OVER_CUP = 0.5
"""The classifier knows many drinks by their glass and few by their cup: half the support is enough."""


def name_glasses(image: Image, found: Sequence[Detection], witness: LabelWitness) -> tuple[Detection, ...]:
    """The detections with those cups called glasses that the classifier takes for one."""
    return tuple(_named(image, d, witness) if d.label == CUP else d for d in found)


def _named(image: Image, cup: Detection, witness: LabelWitness) -> Detection:
    glass = witness.support(image, GLASS, cup.box)
    if glass < MIN_GLASS or glass < GLASS_OVER_CUP * witness.support(image, CUP, cup.box):
        return cup
    return replace(cup, label=GLASS)
