"""Which objects are parts of others: a shirt of its wearer. Parts hang together with their whole everywhere else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tasks.imaging.arrays import Mask
from tasks.imaging.geometry import containment
from tasks.roles.questions import Detection
from tasks.stages.grounding.settings import PartSettings, PartTable


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """What a part belongs to.

    Attributes:
        index: of the object, among those of its scene.
        contested: whether that is uncertain: another object could be the whole as well, or this one hardly holds it.
        holds: whether its mask holds the part: that of a person without their trousers is not the person's.
    """

    index: int
    contested: bool
    holds: bool = True


def is_part_of(part: str, whole: str, tables: Mapping[str, PartTable]) -> bool:
    """Whether things with the label ``part`` can be parts of things with the label ``whole``."""
    return any(part in table.parts and whole in table.wholes for table in tables.values())


def are_part_and_whole(a: str, b: str, tables: Mapping[str, PartTable]) -> bool:
    """Whether one of the two labels is a part of the other."""
    return is_part_of(a, b, tables) or is_part_of(b, a, tables)


def possible_wholes(detections: Sequence[Detection], settings: PartSettings) -> list[tuple[int, ...]]:
    """For each detection the indices of those whose part it may be, by label and box; empty: an object of its own."""
    return [
        tuple(
            index
            for index, other in enumerate(detections)
            if is_part_of(own.label, other.label, settings.tables)
            and own.box.area < other.box.area
            and containment(own.box, other.box) >= settings.min_inside
        )
        for own in detections
    ]


def choose_wholes(
    detections: Sequence[Detection], masks: Sequence[Mask], settings: PartSettings
) -> list[Whole | None]:
    """What each object is a part of, None for an object of its own.

    Where several boxes contain it, the mask (H, W) decides in which it lies most; it is contested where another one
    comes close (`PartSettings.margin`), or where it lies mostly outside all of them (somebody who was not detected).
    """
    chosen: list[Whole | None] = []
    for index, candidates in enumerate(possible_wholes(detections, settings)):
        if not candidates:
            chosen.append(None)
            continue
        shares = {other: _share_in(masks[index], masks[other]) for other in candidates}
        # The smaller box is nearer to the part's own size where masks do not tell.
        ranked = sorted(candidates, key=lambda i: (-shares[i], detections[i].box.area, i))
        first, *others = ranked
        rivals = any(shares[other] > shares[first] - settings.margin for other in others)
        holds = shares[first] >= settings.min_mask_inside
        chosen.append(Whole(index=first, contested=rivals or not holds, holds=holds))
    return chosen


def _share_in(part: Mask, whole: Mask) -> float:
    area = int(np.count_nonzero(part))
    return int(np.count_nonzero(part & whole)) / area if area else 0.0
