"""Takes back sure detections that the classifier holds for something else, so that no text names them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tasks.backends.embedded.label_witness import LabelWitness
from tasks.roles.protocols import Detection, Image

ASKED_FROM = 0.6
"""Score from which a detection might be named or edited, so that a second opinion is worth its time."""

MAX_OBJECTION = 0.35
"""Probability of another class at which the detectors' word is no longer believed."""

DOUBTED = 0.5
"""Score that is left: the thing may still be one of its class, as a rival, and is neither target nor named."""


def doubt_labels(image: Image, found: Sequence[Detection], witness: LabelWitness) -> tuple[Detection, ...]:
    """The detections, with the score of those cut that the witness objects to; the surest first."""
    asked = [_doubted(image, d, witness) for d in found]
    return tuple(sorted(asked, key=lambda d: -d.score))


def _doubted(image: Image, detection: Detection, witness: LabelWitness) -> Detection:
    if detection.score < ASKED_FROM:
        return detection
    if witness.objection(image, detection.label, detection.box) <= MAX_OBJECTION:
        return detection
    return replace(detection, score=DOUBTED)
