"""Lowers the score of confident detections that the classifier contradicts, so that no text names them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tasks.backends.embedded.perception.label_witness import LabelWitness
from tasks.imaging.arrays import Image
from tasks.records.records import Box
from tasks.roles.questions import Detection

VASE, PLANT = "vase", "potted plant"

ASKED_FROM = 0.6
"""Score from which a detection may be named or edited; lower ones are not checked."""

MAX_OBJECTION = 0.35
"""Objection from which the label is doubted."""

DOUBTED = 0.5
"""Score of a doubted detection: it still counts as a possible rival, but is neither a target nor named."""


WELL_KNOWN = frozenset({"umbrella", "refrigerator"})
"""Classes that the detectors also see in lamps and boards; doubted unless the classifier supports them."""

MIN_SUPPORT = 0.05
"""Support they need."""

SEEN_IN_IT = 0.5
"""Share of a vase's width that a plant above it must cover to be growing out of it."""


def doubt_labels(image: Image, found: Sequence[Detection], witness: LabelWitness) -> tuple[Detection, ...]:
    """The detections, with the score of those cut that the witness objects to; the surest first.

    A vase with a plant in it is doubted, too: it may be a flower pot, and nobody can tell whose the leaves before
    it are.
    """
    plants = [d.box for d in found if d.label == PLANT]
    asked = [replace(d, score=DOUBTED) if _doubtful(image, d, plants, witness) else d for d in found]
    return tuple(sorted(asked, key=lambda d: -d.score))


def _doubtful(image: Image, detection: Detection, plants: Sequence[Box], witness: LabelWitness) -> bool:
    label, box = detection.label, detection.box
    if detection.score < ASKED_FROM:
        return False
    if label == VASE and any(_grows_out_of(plant, box) for plant in plants):
        return True
    if label in WELL_KNOWN and witness.support(image, label, box) < MIN_SUPPORT:
        return True
    return witness.objection(image, label, box) > MAX_OBJECTION


def _grows_out_of(plant: Box, vase: Box) -> bool:
    shared = min(plant.x1, vase.x1) - max(plant.x0, vase.x0)
    return shared >= SEEN_IN_IT * vase.width and plant.y0 < vase.y0 <= plant.y1
