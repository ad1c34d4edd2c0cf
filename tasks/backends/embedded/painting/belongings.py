"""What goes with a thing that is removed: its parts, and what a person holds, wears, carries or rides."""

from __future__ import annotations

from collections.abc import Iterator

from tasks.backends.embedded.nouns import noun
from tasks.imaging.arrays import Mask
from tasks.imaging.geometry import containment, from_rle, grow, intersection, iou
from tasks.imaging.masks import dilate
from tasks.records.records import Box, Distractor, GroundedTarget, SceneObject

PERSON, CLOTHING = "person", "clothing"

CARRIED_KINDS = frozenset({"bag", "accessory", CLOTHING, "toy", "thin"})
"""Kinds of noun that a person holds, wears or carries."""

CARRIED = frozenset({"cell phone", "baseball glove", "book", "camera", "cup", "bottle"})
"""Single classes of other kinds that a person holds."""

RIDDEN = frozenset({"bicycle", "motorcycle", "surfboard", "snowboard", "skateboard", "skis"})
"""Classes that a person rides; their boxes reach beyond the rider's."""

AROUND, INSIDE = 0.12, 0.6
"""A belonging lies with the second share of its box within its owner's, grown by the first share of its longer side."""

RIDDEN_IOU = 0.12
"""Boxes of a rider and a ride overlap by this at least."""

TOUCH = 0.02
"""Gap between the masks of owner and belonging, as a share of the owner's longer side, up to which they touch."""

SURE_MASK = 0.8
"""Score of a mask from which it can be taken into a hole."""

SURE_THING = 0.6
"""Score of a detection from which it is there, whatever its mask is like."""

SMALL = 0.2
"""Area of a belonging's box, in areas of its owner's, up to which the whole box can be taken into a hole instead."""

BELONGING = {"potted plant": ("vase",), "laptop": ("keyboard",), "vase": ("potted plant",)}
"""Labels of parts of things, which a detector names as well."""

COVERED = 0.8
"""Share of such a part's mask under the target's from which it is a part of the target."""

WEAK = 0.2
"""Score from which a weak detection may be a belonging."""

SAME = 0.5
"""Overlap of boxes from which a weak detection is a scene object under another name."""

HIDDEN = 0.8
"""Share of a weak detection's box within the owner's mask from which it goes with it anyway."""


def parts_of(target: GroundedTarget) -> tuple[int, ...]:
    """Objects of the scene that are parts of the target: a person's shirt, a plant's pot under its mask."""
    return tuple(
        o.index
        for o in target.scene.objects
        if o.index not in target.indices and (o.part_of in target.indices or _covered(o, target))
    )


def _covered(thing: SceneObject, target: GroundedTarget) -> bool:
    """Whether something that belongs to things of the target's class lies under the target's mask."""
    if thing.label not in BELONGING.get(target.label, ()):
        return False
    mask = from_rle(thing.mask)
    area = int(mask.sum())
    return area > 0 and float((mask & from_rle(target.mask)).sum()) >= COVERED * area


def belongings_of(target: GroundedTarget) -> tuple[int, ...]:
    """Objects that a person who is the target holds, wears or rides: touching, and with a mask that can be trusted,
    or small.
    """
    return tuple(o.index for o in _touching(target) if _goes_along(o, target))


def doubtful_belongings(target: GroundedTarget) -> tuple[str, ...]:
    """Labels of what a person may carry that cannot go along.

    Its mask is in doubt or it is known by a weak box only, and it is large, or another person may be its owner.
    """
    people = _people(target)
    found = [
        o.label
        for o in _touching(target)
        if not _goes_along(o, target) or any(_carried_by(o.label, o.box, other.box) for other in people)
    ]
    doubtful = [weak.label for weak in _weak(target) if not _can_be_boxed(weak.box, target)]
    return tuple(sorted({*found, *doubtful}))


def boxes_of_belongings(target: GroundedTarget) -> tuple[Box, ...]:
    """Boxes of what a person who is the target may carry, known by weak detections only, and small."""
    return tuple(weak.box for weak in _weak(target) if _can_be_boxed(weak.box, target))


def _can_be_boxed(box: Box, target: GroundedTarget) -> bool:
    """Whether all of a box may be filled: it is small, and in touch with nobody else."""
    small = box.area <= SMALL * max(o.box.area for o in target.objects)
    return small and not any(intersection(box, other.box) for other in _people(target))


def held_by_a_person(target: GroundedTarget) -> bool:
    """Whether a person may hold, wear or ride the target, so that what it hides of them would have to be painted."""
    return any(
        _carried_by(own.label, own.box, person.box) and _in_touch(from_rle(target.mask), person)
        for person in _people(target)
        for own in target.objects
    )


def _people(target: GroundedTarget) -> list[SceneObject]:
    return [o for o in target.scene.objects if o.label == PERSON and o.index not in target.indices]


def _goes_along(thing: SceneObject, target: GroundedTarget) -> bool:
    # A shoe lies within its wearer's outline anyway, so a rough mask of it does no harm.
    if thing.mask_score >= SURE_MASK or noun(thing.label).kind == CLOTHING:
        return True
    # The box of a small thing is a hole that can be filled whatever its outline is; a large one hides too much.
    return thing.score >= SURE_THING and thing.box.area <= SMALL * max(o.box.area for o in target.objects)


def _weak(target: GroundedTarget) -> list[Distractor]:
    """Weak detections that a person who is the target may carry, and that are no scene object."""
    if target.label != PERSON:
        return []
    near = [
        d
        for d in target.scene.distractors
        if d.score >= WEAK
        and noun(d.label).kind != CLOTHING
        and any(_carried_by(d.label, d.box, o.box) for o in target.objects)
        and all(iou(d.box, o.box) <= SAME for o in target.scene.objects)
    ]
    if not near:
        return []
    mask = from_rle(target.mask)
    return [d for d in near if mask[d.box.y0 : d.box.y1, d.box.x0 : d.box.x1].mean() < HIDDEN]


def _touching(target: GroundedTarget) -> Iterator[SceneObject]:
    """What a person who is the target may carry, by class and box, if their masks touch."""
    if target.label != PERSON:
        return
    for thing in target.scene.objects:
        if thing.index in target.indices or thing.part_of is not None:
            continue
        owners = [o for o in target.objects if _carried_by(thing.label, thing.box, o.box)]
        if any(_in_touch(from_rle(thing.mask), owner) for owner in owners):
            yield thing


def _in_touch(mask: Mask, person: SceneObject) -> bool:
    """Whether a thing's mask (H, W) touches a person's."""
    reach = max(2, round(TOUCH * max(person.box.width, person.box.height)))
    return bool((mask & dilate(from_rle(person.mask), reach)).any())


def _carried_by(label: str, box: Box, owner: Box) -> bool:
    if label in RIDDEN and iou(box, owner) >= RIDDEN_IOU:
        return True
    if noun(label).kind not in CARRIED_KINDS and label not in CARRIED:
        return False
    reach = round(AROUND * max(owner.width, owner.height))
    around = grow(owner, reach, owner.x1 + reach, owner.y1 + reach)
    return containment(box, around) >= INSIDE
