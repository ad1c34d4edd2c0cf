"""Offers of generative models: any target, people included, and the instructor chooses what it becomes."""

from __future__ import annotations

from typing import ClassVar

from tasks.records.edit_types import EDIT_TYPES, Maker
from tasks.records.records import EditType, GroundedTarget
from tasks.roles.offers import Offer, Offered


class GenerativeEditorOffer(Offer):
    """Every type that an editor makes, of any target; only the part that the instruction speaks of may change."""

    name: ClassVar[str] = "generative editor"
    version: ClassVar[int] = 1
    edit_types: ClassVar[frozenset[EditType]] = frozenset(
        row.edit_type for row in EDIT_TYPES if row.maker is Maker.EDITOR
    )
    covers_target: ClassVar[bool] = False

    def offer(self, edit_type: EditType, target: GroundedTarget) -> Offered:
        """See `Offer`."""
        return _any(self, edit_type)

    def accepts(self, edit_type: EditType, target: GroundedTarget, argument: str) -> str:
        """Any argument, an unknown one included: the instruction says it."""
        return self.offer(edit_type, target).why_not


class GenerativeInpainterOffer(Offer):
    """Removal of any target, whatever stands near it."""

    name: ClassVar[str] = "generative inpainter"
    version: ClassVar[int] = 1
    edit_types: ClassVar[frozenset[EditType]] = frozenset(
        row.edit_type for row in EDIT_TYPES if row.maker is Maker.INPAINTER
    )

    def offer(self, edit_type: EditType, target: GroundedTarget) -> Offered:
        """See `Offer`."""
        return _any(self, edit_type)

    def accepts(self, edit_type: EditType, target: GroundedTarget, argument: str) -> str:
        """There is no argument to refuse."""
        return self.offer(edit_type, target).why_not


def _any(offer: Offer, edit_type: EditType) -> Offered:
    return Offered() if edit_type in offer.edit_types else Offered(why_not=f"not offered by the {offer.name}")
