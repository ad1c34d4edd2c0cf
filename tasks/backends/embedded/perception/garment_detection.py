"""Garments as detections: looked for where their names are asked for, on persons that were found."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.backends.embedded.perception.garments import LABELS, Garment, GarmentOptions, garment_finder
from tasks.imaging.arrays import Image
from tasks.roles.questions import Detection

PERSON = "person"

SURE_PERSON = 0.6
"""Score of a person from which garments are looked for."""

MIN_PERSON_PX = 80
"""Shorter side of a person's box below which a garment has too few pixels."""

MAX_PERSONS = 10
"""Persons whose garments are looked for, the largest ones."""

CERTAIN, DOUBTFUL = 0.9, 0.3
"""Scores of garments that pass all checks, and of others: too low for the scene, but they may be meant by a word."""


def find_garments(
    image: Image, found: Sequence[Detection], names: Sequence[str], options: GarmentOptions
) -> tuple[Detection, ...]:
    """Garments of the persons among ``found``; none unless a name asks for one, since the picture is encoded for it."""
    if not set(names) & set(LABELS):
        return ()
    persons = [
        d
        for d in found
        if d.label == PERSON and d.score >= SURE_PERSON and min(d.box.width, d.box.height) >= MIN_PERSON_PX
    ]
    persons.sort(key=lambda d: (-d.box.area, d.box.x0, d.box.y0))
    return tuple(
        _detection(garment)
        for person in persons[:MAX_PERSONS]
        for garment in garment_finder().garments(image, person.box, options)
        if garment.label in names and garment.mask.any()
    )


def _detection(garment: Garment) -> Detection:
    return Detection(label=garment.label, box=garment.box, score=CERTAIN if garment.certain else DOUBTFUL)
