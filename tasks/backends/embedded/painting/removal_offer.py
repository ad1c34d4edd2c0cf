"""The embedded inpainters' offer: removal, with caution about things that hang together."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from tasks.backends.embedded.nouns import noun
from tasks.backends.embedded.painting.belongings import (
    belongings_of,
    boxes_of_belongings,
    doubtful_belongings,
    held_by_a_person,
    parts_of,
)
from tasks.imaging.geometry import containment, enlarge, from_rle, intersection, iou, touches_border
from tasks.imaging.masks import dilate
from tasks.records.records import Box, EditType, GroundedTarget, SceneObject
from tasks.records.settings_base import Settings
from tasks.roles.offers import Offer, Offered

CARRIERS = ("vase", "dining table", "couch", "bed", "bench", "desk", "table", "shelf")
"""Things that hold other things, which a detector seldom finds all."""

LEAFY = ("potted plant",)
"""Things whose shadow on the wall behind is as ragged as they are, and soft: no gate finds all that stays of it."""

CARRIED_SHARE = 0.5
"""Another object with this share of its box inside the target's would hang in the air after a removal."""

CARRIED_AREA = 0.6
"""Only something smaller than the target by this factor is carried; a larger one merely stands around it."""

ON_IT = 0.3
"""Share of the target's box inside that of a table or the like from which it stands on it."""

LARGER = 2.0
"""Area of furniture, in areas of the target, from which the target lies on it and does not stand before it."""

LIVING = frozenset({"person", "animal"})
"""Kinds that sit on furniture."""

TANGLED_IOU = 0.3
"""Boxes that overlap this much belong to a rider and a ride: without one the other makes no sense."""

BESIDE = 1.15
"""Another of its kind within the box enlarged by this may lose a part to the filling, or hide a third one, if their
masks are close as well."""

CLOSE = 0.05
"""Gap between two masks, in the longer side of the target, up to which they are close."""


class RemovalOptions(Settings):
    """What the embedded inpainters have in common; none of it changes a filling."""

    carriers: tuple[str, ...] = Field(
        default=CARRIERS, description="labels never removed: what they carry stays"
    )
    leafy: tuple[str, ...] = Field(
        default=LEAFY, description="labels never removed: the shadow of their leaves stays"
    )


OF_THE_OFFER = frozenset(RemovalOptions.model_fields)
"""Options that no filling depends on, so that they stay out of the key of a kept answer."""


class EmbeddedInpainterOffer(Offer):
    """Removal of what stands alone: a small inpainter cannot finish the things that were hidden by it."""

    name: ClassVar[str] = "embedded inpainter"
    version: ClassVar[int] = 7
    edit_types: ClassVar[frozenset[EditType]] = frozenset({EditType.REMOVE})

    def __init__(self, options: Settings) -> None:
        super().__init__(options)
        known = options if isinstance(options, RemovalOptions) else RemovalOptions()
        self.carriers, self.leafy = known.carriers, known.leafy

    def offer(self, edit_type: EditType, target: GroundedTarget) -> Offered:
        """Not a part of something, nor where something stays that was carried by the target or tangled with it."""
        if edit_type not in self.edit_types:
            return Offered(why_not="not offered by the inpainter")
        if target.whole is not None:
            return Offered(why_not=f"part of a {target.whole.label}")
        if target.label in self.carriers:
            return Offered(why_not="carries what stands on it")
        if target.label in self.leafy:
            return Offered(why_not="its shadow of leaves would stay")
        source = target.scene.source
        if any(touches_border(o.box, source.width, source.height) for o in target.objects):
            return Offered(why_not="cut off by the edge of the picture, with nothing beyond it to fill from")
        return Offered(why_not=what_depends_on(target, self.taken_along(target)))

    def accepts(self, edit_type: EditType, target: GroundedTarget, argument: str) -> str:
        """There is no argument to refuse."""
        return self.offer(edit_type, target).why_not

    def taken_along(self, target: GroundedTarget) -> tuple[int, ...]:
        """The target's own parts, and what a person holds, wears or rides."""
        return tuple(sorted({*parts_of(target), *belongings_of(target)}))

    def boxes_along(self, target: GroundedTarget) -> tuple[Box, ...]:
        """What a person may hold or wear that is hardly seen."""
        return boxes_of_belongings(target)

    def ground_of(self, target: GroundedTarget) -> tuple[int, ...]:
        """What carries things, where it lies around the target or under it."""
        return tuple(
            o.index
            for o in target.scene.objects
            if o.index not in target.indices
            and (o.label in self.carriers or _is_seat_of_things(o, target))
            and all(containment(own.box, o.box) >= ON_IT for own in target.objects)
        )

    def material(self) -> dict[str, Any]:
        """The labels that are never removed."""
        return {"carriers": list(self.carriers), "leafy": list(self.leafy)}


def _is_seat_of_things(thing: SceneObject, target: GroundedTarget) -> bool:
    """Whether it is furniture on which the target may lie, such as a chair; who sits on it hides what nobody knows."""
    larger = all(thing.box.area >= LARGER * own.box.area for own in target.objects)
    return larger and noun(thing.label).kind == "furniture" and noun(target.label).kind not in LIVING


class BestOfTwoOffer(EmbeddedInpainterOffer):
    """The same of the inpainter that has two ways of filling."""

    fillings: ClassVar[int] = 2


def what_depends_on(target: GroundedTarget, along: tuple[int, ...]) -> str:
    """What would hang in the air without the target, or be harmed with it; ``""``: nothing.

    ``along`` are the objects that are taken out with it.
    """
    if held_by_a_person(target):
        return "carried by a person"
    doubtful = doubtful_belongings(target)
    if doubtful:
        return f"may carry a {doubtful[0]}"
    gone = {*target.indices, *along}
    stay = [o for o in target.scene.objects if o.index not in gone and o.part_of not in gone]
    return next((why for other in stay if (why := _bond(target, other))), "")


def _bond(target: GroundedTarget, other: SceneObject) -> str:
    source = target.scene.source
    for own in target.objects:
        inside = containment(other.box, own.box) >= CARRIED_SHARE
        if inside and other.box.area <= CARRIED_AREA * own.box.area:
            return f"carries {other.label}"
        if iou(other.box, own.box) >= TANGLED_IOU:
            return f"tangled with {other.label}"
        around = enlarge(own.box, BESIDE, 0, source.width, source.height)
        if other.label == own.label and intersection(other.box, around) and _close(own, other):
            return f"close to another {other.label}"
    return ""


def _close(own: SceneObject, other: SceneObject) -> bool:
    """Whether the masks of two things, whose boxes are close, are close as well."""
    reach = max(2, round(CLOSE * max(own.box.width, own.box.height)))
    return bool((dilate(from_rle(own.mask), reach) & from_rle(other.mask)).any())
