"""The embedded inpainters' offer: removal, with caution about things that hang together."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from tasks.imaging.geometry import containment, enlarge, intersection, iou
from tasks.records.records import EditType, GroundedTarget
from tasks.records.settings_base import Settings
from tasks.roles.offers import Offer, Offered

CARRIERS = ("vase", "dining table", "couch", "bed", "bench", "desk", "table", "shelf")
"""Things that hold other things, which a detector seldom finds all."""

CARRIED_SHARE = 0.5
"""Another object with this share of its box inside the target's would hang in the air after a removal."""

CARRIED_AREA = 0.6
"""Only something smaller than the target by this factor is carried; a larger one merely stands around it."""

TANGLED_IOU = 0.3
"""Boxes that overlap this much belong to a rider and a ride: without one the other makes no sense."""

BESIDE = 1.4
"""Another of its kind within the box enlarged by this may lose a part to the filling, or hide a third one."""


class RemovalOptions(Settings):
    """What the embedded inpainters have in common; none of it changes a filling."""

    carriers: tuple[str, ...] = Field(
        default=CARRIERS, description="labels never removed: what they carry stays"
    )


OF_THE_OFFER = frozenset(RemovalOptions.model_fields)
"""Options that no filling depends on, so that they stay out of the key of a kept answer."""


class EmbeddedInpainterOffer(Offer):
    """Removal of what stands alone: a small inpainter cannot finish the things that were held, worn or hidden by it."""

    name: ClassVar[str] = "embedded inpainter"
    version: ClassVar[int] = 2
    edit_types: ClassVar[frozenset[EditType]] = frozenset({EditType.REMOVE})

    def __init__(self, options: Settings) -> None:
        super().__init__(options)
        if isinstance(options, RemovalOptions):
            self.carriers = options.carriers

    def offer(self, edit_type: EditType, target: GroundedTarget) -> Offered:
        """Not where something is carried by the target, tangled with it, or close to it and of its kind."""
        if edit_type not in self.edit_types:
            return Offered(why_not="not offered by the inpainter")
        if target.whole is not None:
            return Offered(why_not=f"part of a {target.whole.label}")
        return Offered(why_not=what_depends_on(target))

    def accepts(self, edit_type: EditType, target: GroundedTarget, argument: str) -> str:
        """There is no argument to refuse."""
        return self.offer(edit_type, target).why_not


def what_depends_on(target: GroundedTarget) -> str:
    """What would hang in the air without the target, or be harmed with it; ``""``: nothing."""
    for held in target.scene.objects:
        if held.index in target.indices or held.part_of in target.indices:
            continue
        for own in target.objects:
            inside = containment(held.box, own.box) >= CARRIED_SHARE
            if inside and held.box.area <= CARRIED_AREA * own.box.area:
                return f"carries {held.label}"
            if iou(held.box, own.box) >= TANGLED_IOU:
                return f"tangled with {held.label}"
            around = enlarge(own.box, BESIDE, 0, target.scene.source.width, target.scene.source.height)
            if held.label == own.label and intersection(held.box, around):
                return f"close to another {held.label}"
    return ""
