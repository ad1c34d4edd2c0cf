"""Lets a classifier review labels: faint ones that it supports are raised, those that it contradicts cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tasks.backends.embedded.perception.label_witness import LabelWitness, words_for
from tasks.backends.embedded.perception.vessels import GLASS
from tasks.imaging.arrays import Image
from tasks.imaging.geometry import containment, iou
from tasks.records.records import Box
from tasks.roles.questions import Detection

VASE, PLANT, KEYBOARD, LAPTOP = "vase", "potted plant", "keyboard", "laptop"

ASKED_FROM = 0.6
"""Score from which a detection may be named or edited; lower ones are not doubted."""

FAINT_FROM = 0.4
"""Score from which a detection below `ASKED_FROM` is raised if the classifier supports its label."""

CONFIRMED_FROM = 0.35
"""Support it needs: the labels of all 15 such objects in 60 photographs were right, one of them a projected screen."""

MAX_OBJECTION = 0.35
"""Objection from which the label is doubted."""

DOUBTED = 0.5
"""Score of a doubted detection: it still counts as a possible rival, but is neither a target nor named."""


WELL_KNOWN = frozenset(
    {"umbrella", "refrigerator", "toilet", "shoe", "handbag", "bus", "bed", "sandwich", "cake"}
    | {"sheep", "cow", "bear"}
)
"""Classes that the detectors also see in lamps, boards, stools, gloves, armrests, stalls, stacks of books, candles, and
in deer and other animals that they have no name for; doubted without the classifier's support."""

MIN_SUPPORT = 0.05
"""Support they need."""

PART_OF = 0.7
"""Share of a keyboard's box inside a laptop's from which it is the laptop's own."""

SAME_PLACE = 0.5
"""IoU of two boxes from which their labels are about one thing."""

DECIDED, DENIED = 0.5, 0.05
"""Least support of one of two labels of a thing, and most support of the other, that decide between them."""

OUTVOTED = 0.2
"""Score of the other label then: a car is no longer contested by the truck that the detectors see as well."""

SEEN_IN_IT = 0.5
"""Share of a vase's width that a plant above it must cover to be growing out of it."""


def review_labels(image: Image, found: Sequence[Detection], witness: LabelWitness) -> tuple[Detection, ...]:
    """The detections, with the score of those raised or cut about which the witness is sure; the surest first.

    A raised score is the chance that not both the detectors and the witness are wrong. A vase with a plant in it is
    doubted: it may be a flower pot, and nobody can tell whose the leaves before it are.
    """
    plants = [d.box for d in found if d.label == PLANT]
    laptops = [d.box for d in found if d.label == LAPTOP]
    raised = [_confirmed(image, d, laptops, witness) for d in found]
    asked = [replace(d, score=DOUBTED) if _doubtful(image, d, plants, witness) else d for d in raised]
    settled = [replace(d, score=OUTVOTED) if _is_outvoted(image, d, asked, witness) else d for d in asked]
    return tuple(sorted(settled, key=lambda d: -d.score))


def _confirmed(
    image: Image, detection: Detection, laptops: Sequence[Box], witness: LabelWitness
) -> Detection:
    # A glass is one by the classifier's word already, which does not count twice.
    if not FAINT_FROM <= detection.score < ASKED_FROM or detection.label == GLASS:
        return detection
    # Part of a laptop, of which the classifier sees the keyboard first.
    if detection.label == KEYBOARD and any(
        containment(detection.box, laptop) > PART_OF for laptop in laptops
    ):
        return detection
    support = witness.support(image, detection.label, detection.box)
    if support < CONFIRMED_FROM:
        return detection
    return replace(detection, score=round(1 - (1 - detection.score) * (1 - support), 4))


def _doubtful(image: Image, detection: Detection, plants: Sequence[Box], witness: LabelWitness) -> bool:
    label, box = detection.label, detection.box
    if detection.score < ASKED_FROM:
        return False
    if label == VASE and any(_grows_out_of(plant, box) for plant in plants):
        return True
    if label in WELL_KNOWN and witness.support(image, label, box) < MIN_SUPPORT:
        return True
    return witness.objection(image, label, box) > MAX_OBJECTION


def _is_outvoted(
    image: Image, detection: Detection, found: Sequence[Detection], witness: LabelWitness
) -> bool:
    """Whether another label of the same thing has the classifier's word, and this one has not."""
    if detection.score <= OUTVOTED or not words_for(detection.label):
        return False
    rivals = [
        other
        for other in found
        if other.label != detection.label
        and other.score >= ASKED_FROM
        and words_for(other.label)
        and iou(other.box, detection.box) >= SAME_PLACE
    ]
    return (
        bool(rivals)
        and witness.support(image, detection.label, detection.box) <= DENIED
        and any(witness.support(image, other.label, other.box) >= DECIDED for other in rivals)
    )


def _grows_out_of(plant: Box, vase: Box) -> bool:
    shared = min(plant.x1, vase.x1) - max(plant.x0, vase.x0)
    return shared >= SEEN_IN_IT * vase.width and plant.y0 < vase.y0 <= plant.y1
