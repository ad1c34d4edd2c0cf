"""Offers: what an editor or inpainter can be asked for, said before and after an instruction is written.

An instruction is written long before its edit is made, and by workers that hold neither the editor nor its GPU. So a
backend that makes edits names a small module with an `Offer` (`Backend.offer`), which the instruction stage asks:
before the instructor, which types and arguments a target allows; afterwards, whether the argument that the instructor
chose can be made. Offers are pure functions of records and import no inference library.

Of the backend that makes the edits only its offer is part of the instruction stage's digest. Two editors with the same
offer share their instructions.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar

from tasks.records.edit_types import EDIT_TYPES, Maker, spec_of
from tasks.records.errors import ConfigurationError
from tasks.records.records import Box, EditType, GroundedTarget
from tasks.records.settings_base import Settings
from tasks.roles.backends import BackendChoice


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """Whether an edit type is offered for a target.

    Attributes:
        why_not: why it is not offered; ``""``: it is.
        arguments: what the target may be turned into; empty where it is offered: the instructor chooses, or the type
            needs no argument.
    """

    why_not: str = ""
    arguments: tuple[str, ...] = ()


class Offer(ABC):
    """What one kind of editor or inpainter takes.

    Args:
        options: the backend's checked options.

    Attributes:
        name, version: stand for the offer in the instruction stage's digest; the version is raised when the offer
            answers differently.
        edit_types: types that are offered for some target.
        covers_target: an edit changes the whole target. False: it may change the part that the instruction speaks of,
            so nothing that is measured over the whole mask can tell whether it was made.
        by_seed: another seed gives another edit. False: an edit that was refused is not tried again.
        fillings: of an inpainter: how many ways of filling a hole it has. Each is tried, by the attempt of its
            question, until one passes every gate.
        effects: an edit also changes shadow and reflection of its target, outside the mask or hole that was given.
            What it changed there is then allowed as well, as far as it is connected with the target.

    ``by_seed``, ``fillings`` and ``effects`` matter when the edit is made; changing them asks for no new instruction.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    edit_types: ClassVar[frozenset[EditType]]
    covers_target: ClassVar[bool] = True
    by_seed: ClassVar[bool] = True
    fillings: ClassVar[int] = 1

    def __init__(self, options: Settings) -> None:
        del options
        self.effects = False

    @abstractmethod
    def offer(self, edit_type: EditType, target: GroundedTarget) -> Offered:
        """Whether this type of edit can be made of the target, and into what. Does not depend on what is drawn."""

    @abstractmethod
    def accepts(self, edit_type: EditType, target: GroundedTarget, argument: str) -> str:
        """``""``, or why the edit with this argument cannot be made; said back to an instructor who chose it."""

    def copied(self, edit_type: EditType, target: GroundedTarget, argument: str) -> str:
        """Label of the thing of the scene of which this edit puts down a copy; ``""``: it makes no copy.

        Such an edit changes the pixels of the copy, of its shadow, and of what it replaces, and leaves all others of
        its crop bit-identical, so that all that changed is taken over. The copy is looked for and measured afterwards.
        """
        del edit_type, target, argument
        return ""

    def window(self, edit_type: EditType, target: GroundedTarget, argument: str) -> Box | None:
        """The part of the picture that the edit needs as its crop; None: a crop by the type's factor."""
        del edit_type, target, argument
        return None

    def taken_along(self, target: GroundedTarget) -> tuple[int, ...]:
        """Indices of objects of the scene that a removal takes out with the target, such as what a person carries."""
        del target
        return ()

    def boxes_along(self, target: GroundedTarget) -> tuple[Box, ...]:
        """Boxes in which a removal takes out everything with the target, such as those of things hardly seen."""
        del target
        return ()

    def ground_of(self, target: GroundedTarget) -> tuple[int, ...]:
        """Indices of objects of the scene that a removal may continue behind the target, such as the table under it.

        All others are spared by the hole, and nothing is copied from them.
        """
        del target
        return ()

    def material(self) -> dict[str, Any]:
        """Options that change what the methods above answer, as JSON values."""
        return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Offers:
    """The offers of the configured editor and inpainter."""

    editor: Offer
    inpainter: Offer

    def of(self, edit_type: EditType) -> Offer:
        """The offer of whoever makes edits of this type."""
        return self.editor if spec_of(edit_type).maker is Maker.EDITOR else self.inpainter

    @property
    def edit_types(self) -> tuple[EditType, ...]:
        """Types that can be made at all, in the table's order."""
        return tuple(
            row.edit_type for row in EDIT_TYPES if row.edit_type in self.of(row.edit_type).edit_types
        )

    def material(self) -> dict[str, Any]:
        """What of both can change an instruction, for the instruction stage's digest."""
        return {"editor": _material(self.editor), "inpainter": _material(self.inpainter)}


def offer_of(choice: BackendChoice) -> Offer:
    """The offer of a configured editor or inpainter; imports the module that the backend names, loads no model.

    Raises:
        ConfigurationError: the backend names no offer.
    """
    module, _, name = choice.backend.offer.partition(":")
    if not name:
        declared = f"{choice.backend.__name__}.offer = {choice.backend.offer!r}"
        msg = f"{choice.role} {choice.name!r}: {declared}, expected 'module:Class'"
        raise ConfigurationError(msg)
    make: type[Offer] = getattr(import_module(module), name)
    return make(choice.options)


def _material(offer: Offer) -> dict[str, Any]:
    return {"offer": offer.name, "version": offer.version, "options": offer.material()}
