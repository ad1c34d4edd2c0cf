"""What goes with a thing that is removed: its parts, and what a person holds, wears, carries or rides."""

from __future__ import annotations

from collections.abc import Iterator

from tasks.backends.embedded.nouns import noun
from tasks.imaging.geometry import containment, from_rle, grow, iou
from tasks.imaging.masks import dilate
from tasks.records.records import Box, GroundedTarget, SceneObject

PERSON = "person"

CARRIED_KINDS = frozenset({"bag", "accessory", "clothing", "toy", "thin"})
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

WEAK = 0.2
"""Score from which a weak detection may be a belonging."""

SAME = 0.5
"""Overlap of boxes from which a weak detection is a scene object under another name."""

HIDDEN = 0.8
"""Share of a weak detection's box within the owner's mask from which it goes with it anyway."""


def parts_of(target: GroundedTarget) -> tuple[int, ...]:
    """Objects of the scene that are parts of the target, such as a person's shirt."""
    return tuple(o.index for o in target.scene.objects if o.part_of in target.indices)


def belongings_of(target: GroundedTarget) -> tuple[int, ...]:
    """Objects that a person who is the target holds, wears or rides: touching, and with a mask that can be trusted."""
    return tuple(o.index for o in _touching(target) if o.mask_score >= SURE_MASK)


def doubtful_belongings(target: GroundedTarget) -> tuple[str, ...]:
    """Labels of what a person may carry that cannot go along: its mask is in doubt, it is known by a weak box only,
    or another person may be its owner.
    """
    scene = target.scene
    people = [o for o in scene.objects if o.label == PERSON and o.index not in target.indices]
    found = [
        o.label
        for o in _touching(target)
        if o.mask_score < SURE_MASK or any(_carried_by(o.label, o.box, other.box) for other in people)
    ]
    return tuple(sorted({*found, *_weak(target)}))


def carriers_of(target: GroundedTarget) -> tuple[int, ...]:
    """People of the scene who may hold, wear or ride the target: without it they would have to be painted anew."""
    return tuple(
        o.index
        for o in target.scene.objects
        if o.label == PERSON
        and o.index not in target.indices
        and any(_carried_by(own.label, own.box, o.box) for own in target.objects)
    )


def _weak(target: GroundedTarget) -> list[str]:
    """Labels of weak detections that a person who is the target may carry, and that are no scene object."""
    if target.label != PERSON:
        return []
    near = [
        d
        for d in target.scene.distractors
        if d.score >= WEAK
        and any(_carried_by(d.label, d.box, o.box) for o in target.objects)
        and all(iou(d.box, o.box) <= SAME for o in target.scene.objects)
    ]
    if not near:
        return []
    mask = from_rle(target.mask)
    return [d.label for d in near if mask[d.box.y0 : d.box.y1, d.box.x0 : d.box.x1].mean() < HIDDEN]


def _touching(target: GroundedTarget) -> Iterator[SceneObject]:
    """What a person who is the target may carry, by class and box, if their masks touch."""
    if target.label != PERSON:
        return
    owners = target.objects
    near = [
        o
        for o in target.scene.objects
        if o.index not in target.indices
        and o.part_of is None
        and any(_carried_by(o.label, o.box, owner.box) for owner in owners)
    ]
    if not near:
        return
    side = max(max(o.box.width, o.box.height) for o in owners)
    reach = dilate(from_rle(target.mask), max(2, round(TOUCH * side)))
    for thing in near:
        if (from_rle(thing.mask) & reach).any():
            yield thing


def _carried_by(label: str, box: Box, owner: Box) -> bool:
    if label in RIDDEN and iou(box, owner) >= RIDDEN_IOU:
        return True
    if noun(label).kind not in CARRIED_KINDS and label not in CARRIED:
        return False
    reach = round(AROUND * max(owner.width, owner.height))
    around = grow(owner, reach, owner.x1 + reach, owner.y1 + reach)
    return containment(box, around) >= INSIDE
