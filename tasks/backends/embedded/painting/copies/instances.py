"""Which things of a scene can be copied, judged by records alone: whole, not hidden, standing on their own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from tasks.backends.embedded.nouns import noun
from tasks.imaging.arrays import Mask
from tasks.imaging.geometry import box_of, containment, from_rle, grow, intersection, iou
from tasks.imaging.masks import dilate
from tasks.records.records import Box, Measurement, Rle, Scene, SceneObject

COPIED = frozenset(
    {
        "person",
        "animal",
        "vehicle",
        "furniture",
        "bag",
        "toy",
        "tableware",
        "fruit",
        "food",
        "device",
        "computer",
    }
    | {"plant", "thing"}
)
"""Kinds of noun that are copied. Not glass, which shows what is behind it, nor thin things, signs and lamps."""

LIVING = frozenset({"person", "animal"})
"""Kinds of which no two look alike, so that the same one beside itself is seen at once."""

NEVER = frozenset(
    {
        "airplane",
        "bird",
        "kite",
        "frisbee",
        "boat",
        "train",
        "surfboard",
        "skateboard",
        "snowboard",
        "baseball glove",
    }
    | {"sink", "toilet", "oven", "refrigerator", "microwave", "bed", "couch", "dining table"}
)
"""Labels of what flies, swims, is held, is built in, or carries other things."""

SUPPORTS = frozenset({"dining table", "desk", "table", "couch", "bed", "bench", "shelf"})
"""Labels of what things stand on: they are ground, and no obstacle."""

FRAME_SHARE = 0.012
"""Distance from the picture's border, as a share of its longer side, at which a thing is surely not cut."""

MIN_SIDE_PX = 36
"""Shorter side of a thing below which a copy of it is a blot."""

TOUCHING_PX = 3
"""Two masks this close touch: one thing hides, holds or carries a part of the other."""

TOUCHING_SHARE = 0.004
"""Share of a mask in touch with another from which it does not stand on its own."""

MIN_SCORE, MIN_MASK_SCORE = 0.6, 0.88
"""Detector's and segmenter's estimates from which label and outline are right."""

FINE = {
    "mask_stability": (0.88, 1.0),
    "mask_own_kind_share": (0.0, 0.002),
    "area_share": (0.0, 0.2),
    "short_side_px": (0.0, math.inf),
}
"""Values of failed checks with which a thing can still be cut out: a soft edge makes up for a little unstable outline,
and a model may be smaller than a target."""

ROUGH = {
    **FINE,
    "mask_stability": (0.8, 1.0),
    "mask_solidity": (0.9, 1.0),
    "mask_color_distance": (0.15, 1.0),
}
"""The same where the ground around the thing is copied with it."""

WEAK = 0.3
"""Score from which a weak detection counts as a thing in the way."""

PART_SHARE = 0.7
"""Share of one box in the other from which they show one thing."""

SAME_THING_IOU = 0.4
"""IoU from which a weak detection is a thing of the scene, seen again."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Instance:
    """A thing of the scene with its mask, (H, W) of the picture, and the mask's tight box."""

    thing: SceneObject
    mask: Mask
    box: Box

    @property
    def foot(self) -> int:
        """The row below its lowest pixel."""
        return self.box.y1

    @property
    def middle(self) -> float:
        """Column of the middle of its box."""
        return self.box.center[0]


@lru_cache(maxsize=32)
def decoded(mask: Rle) -> Mask:
    """The mask, read-only; kept for a while, since many places are compared with the same few masks."""
    found = from_rle(mask)
    found.setflags(write=False)
    return found


def opened(thing: SceneObject) -> Instance:
    """The thing with its mask decoded."""
    mask = decoded(thing.mask)
    return Instance(thing=thing, mask=mask, box=box_of(mask))


def can_be_copied(thing: SceneObject, scene: Scene) -> bool:
    """Whether a copy would be whole: the mask passed every check, no border cuts the thing, nothing touches it."""
    copied = noun(thing.label).kind in COPIED or thing.label == "cell phone"
    if not _has_good_mask(thing) or thing.part_of is not None or thing.label in NEVER or not copied:
        return False
    if min(thing.box.width, thing.box.height) < MIN_SIDE_PX or not in_frame(thing.box, scene):
        return False
    return stands_alone(thing, scene)


def _has_good_mask(thing: SceneObject) -> bool:
    """Whether it could be a target, or misses only checks of an outline that need not be followed closely."""
    if thing.not_a_target not in {"", *ROUGH} or thing.score < MIN_SCORE or thing.mask_score < MIN_MASK_SCORE:
        return False
    return all(_forgiven(check, ROUGH) for check in thing.checks if not check.passed)


def has_fine_outline(thing: SceneObject) -> bool:
    """Whether the mask can be cut out along its outline."""
    return all(_forgiven(check, FINE) for check in thing.checks if not check.passed)


def _forgiven(check: Measurement, limits: Mapping[str, tuple[float, float]]) -> bool:
    low, high = limits.get(check.name, (math.inf, -math.inf))
    return low <= check.value <= high


def in_frame(box: Box, scene: Scene) -> bool:
    """Whether a box keeps its distance from the picture's border."""
    width, height = scene.source.width, scene.source.height
    margin = max(3, round(FRAME_SHARE * max(width, height)))
    return box.x0 >= margin and box.y0 >= margin and box.x1 <= width - margin and box.y1 <= height - margin


def stands_alone(thing: SceneObject, scene: Scene) -> bool:
    """Whether no other thing of the scene touches it, except what it stands on."""
    width, height = scene.source.width, scene.source.height
    near = [
        other
        for other in scene.objects
        if thing.index not in (other.index, other.part_of)
        and not supports(other, thing)
        and intersection(grow(other.box, TOUCHING_PX, width, height), thing.box)
    ]
    if not near:
        return True
    own = opened(thing)
    around = dilate(own.mask, TOUCHING_PX)
    area = max(1, int(np.count_nonzero(own.mask)))
    return all(int(np.count_nonzero(around & decoded(other.mask))) <= TOUCHING_SHARE * area for other in near)


def supports(other: SceneObject, thing: SceneObject) -> bool:
    """Whether ``other`` may be what the thing stands on: a table under a cup, but no couch under a person."""
    if other.label not in SUPPORTS or noun(thing.label).kind in LIVING:
        return False
    return other.box.area > 1.5 * thing.box.area and is_under(other.box, thing.box)


def is_under(support: Box, box: Box) -> bool:
    """Whether the foot of ``box`` lies well inside a support's box."""
    x, _ = box.center
    return support.x0 <= x <= support.x1 and support.y0 <= box.y1 <= support.y1 + 0.05 * support.height


def is_free(place: Box, scene: Scene, without: frozenset[int], carrier: SceneObject) -> bool:
    """Whether nothing of the scene, sure or weak, is in the way of a copy at ``place``.

    Args:
        place: the copy's box, with the room it needs around it.
        scene: what was found.
        without: indices of objects that don't count, such as one that is removed.
        carrier: the thing that is copied.
    """
    on_floor = noun(carrier.label).kind in LIVING | {"vehicle", "furniture", "bag"}
    for other in scene.objects:
        if other.index in without or other.part_of in without or not intersection(other.box, place):
            continue
        # Whether a place on a table is free and even is for pixels to say: boxes and masks of tables are rough.
        if other.label in SUPPORTS and not on_floor:
            continue
        mask = decoded(other.mask)
        if mask[place.y0 : place.y1, place.x0 : place.x1].any():
            return False
        # The detector's box often has what the mask missed.
        if intersection(other.box, place) > 0.15 * min(other.box.area, place.area):
            return False
    return not any(
        weak.score >= WEAK
        and weak.label not in SUPPORTS
        and intersection(weak.box, place)
        and not any(_seen_again(weak.box, thing.box) for thing in scene.objects)
        for weak in scene.distractors
    )


def _seen_again(weak: Box, box: Box) -> bool:
    """Whether a weak box is a thing of the scene once more, a part of it or a group around it."""
    inside = containment(weak, box) >= PART_SHARE or containment(box, weak) >= PART_SHARE
    return inside or iou(weak, box) >= SAME_THING_IOU
