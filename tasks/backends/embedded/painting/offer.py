"""The embedded editor's offer: colors, materials, effects and copies, each where it will look real on this target."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from tasks.backends.embedded.nouns import noun
from tasks.backends.embedded.painting.color_offer import (
    FURNITURE,
    GARMENT,
    LIDS,
    PAINTABLE,
    VIVID_CHROMA,
    color_arguments,
    is_filled,
    surface_share,
    why_no_color,
)
from tasks.backends.embedded.painting.copies.placements import additions, place_of, replacements, room_for
from tasks.backends.embedded.painting.effects import EFFECTS
from tasks.backends.embedded.painting.materials import MADE, MATERIALS, Material
from tasks.imaging.color_names import name_color
from tasks.records.records import Box, EditType, GroundedTarget, SceneObject
from tasks.roles.offers import Offer, Offered

SEWN = (EditType.COLOR, EditType.MATERIAL)
"""What may be done to a garment."""

EFFECT_SHARE = 0.4
"""Share of the mask that must carry a vivid color for its loss to be seen."""


VIVID = frozenset({"red", "orange", "yellow", "green", "blue", "purple", "pink"})
"""Colors whose loss is plain to see."""

WARM = frozenset({"brown", "orange", "yellow", "mixed"})
"""Colors on which brown tones hardly show; a mixed thing may be of them."""

MIN_SKETCH_PX = 64
"""Shorter side below which strokes cannot be told from noise."""

MIN_MATERIAL_PX = 110
"""Shorter side below which a thing has too little shading to look like metal."""

MIN_FABRIC_PX = 70
"""The same for a garment: its pattern must be seen."""

DARK_CLOTH_L = 15.0
"""Mean lightness of a garment below which its folds are hardly more than noise."""

PLAIN_SHARE = 0.9
"""Furniture is made of one other material where this share of it is of one color: no cushions, no cloth over it."""

TEXTURED_SHARE = 0.6
"""Share of a thing in one color or surface below which its print would show through wood, stone or leather."""

DARK_SCREEN_L = 25.0
"""Mean lightness of a screen above which it shows something, which would turn to metal with it."""


def effect_arguments(target: GroundedTarget) -> tuple[str, ...]:
    """Appearance effects that will show on every object of the target."""
    return tuple(name for name in EFFECTS if all(_shows(thing, name) for thing in target.objects))


def material_arguments(target: GroundedTarget) -> tuple[str, ...]:
    """Materials that would show on every object of the target: fitting its kind, unlike what it looks like now."""
    kind = noun(target.label).kind
    return tuple(
        name
        for name, material in MATERIALS.items()
        if kind in material.kinds and all(_turns_into(thing, kind, material) for thing in target.objects)
    )


def _shows(thing: SceneObject, effect: str) -> bool:
    """Color must be there to be lost, and brown tones don't show on what is brown already."""
    vivid = thing.color in VIVID and thing.color_share >= EFFECT_SHARE
    if effect == "pencil sketch" and (
        min(thing.box.width, thing.box.height) < MIN_SKETCH_PX or noun(thing.label).kind == LIDS
    ):
        return False  # black keys on white stay what they are
    if effect == "sepia":
        return thing.color not in WARM
    return vivid or not EFFECTS[effect].needs_color


def _turns_into(thing: SceneObject, kind: str, material: Material) -> bool:
    shining = kind == "screen" and thing.lab[0] > DARK_SCREEN_L
    small = min(thing.box.width, thing.box.height) < least_side(kind)
    if kind == GARMENT:
        return not small and thing.lab[0] >= DARK_CLOTH_L and not may_be_printed(thing)
    alike = name_color(thing.lab) in material.tints
    if kind == FURNITURE and thing.color_share < PLAIN_SHARE:
        return False
    # A network that paints by tones makes wood of each color of a print in its own way; metals cover it.
    printed = bool(material.texture) and max(surface_share(thing), thing.color_share) < TEXTURED_SHARE
    return not (small or is_filled(thing) or shining or alike or printed)


def may_be_printed(garment: SceneObject) -> bool:
    """Whether a cloth is of several colors, and not of a vivid one, whose light and shade bear several names."""
    return garment.color == "mixed" and math.hypot(*garment.lab[1:]) < VIVID_CHROMA


def least_side(kind: str) -> int:
    """Shorter side, pixels, of a thing whose new material can be seen."""
    return MIN_FABRIC_PX if kind == GARMENT else MIN_MATERIAL_PX


def _why_no_material(target: GroundedTarget) -> str:
    kind = noun(target.label).kind
    if any(min(o.box.width, o.box.height) < least_side(kind) for o in target.objects):
        return "too small for the look of a material"
    if kind == GARMENT:
        printed = any(may_be_printed(o) for o in target.objects)
        return "its print would show" if printed else "too dark for a pattern to follow its folds"
    if any(is_filled(o) for o in target.objects):
        return "may be full of something"
    if kind == FURNITURE and any(o.color_share < PLAIN_SHARE for o in target.objects):
        return "of more than one color"
    return "shows something or looks like every such material already"


@dataclass(frozen=True, slots=True, kw_only=True)
class Repertoire:
    """What the editor does of one type.

    Attributes:
        kinds: kinds of noun it makes sense for; empty: every kind.
        arguments: what this target may be turned into; empty: nothing.
        why_none: why there is nothing.
    """

    kinds: frozenset[str]
    arguments: Callable[[GroundedTarget], tuple[str, ...]]
    why_none: Callable[[GroundedTarget], str]


REPERTOIRE: dict[EditType, Repertoire] = {
    EditType.COLOR: Repertoire(kinds=PAINTABLE, arguments=color_arguments, why_none=why_no_color),
    EditType.MATERIAL: Repertoire(kinds=MADE, arguments=material_arguments, why_none=_why_no_material),
    EditType.APPEARANCE: Repertoire(
        kinds=frozenset(), arguments=effect_arguments, why_none=lambda _: "no effect would show"
    ),
    EditType.ADD: Repertoire(
        kinds=frozenset(),
        arguments=lambda target: tuple(additions(target)),
        why_none=lambda _: "nothing of the photograph can be copied to a free place beside it",
    ),
    EditType.REPLACE: Repertoire(
        kinds=frozenset(),
        arguments=lambda target: tuple(replacements(target)),
        why_none=lambda _: "nothing of the photograph can be copied to its place",
    ),
}
"""The other types would not look real without a generative model."""


class EmbeddedEditorOffer(Offer):
    """Colors, materials, effects and copies of the photograph's own things; of people only their clothes."""

    name: ClassVar[str] = "embedded editor"
    version: ClassVar[int] = 18
    edit_types: ClassVar[frozenset[EditType]] = frozenset(REPERTOIRE)

    def offer(self, edit_type: EditType, target: GroundedTarget) -> Offered:
        """The arguments that will show on every object of the target."""
        row = REPERTOIRE.get(edit_type)
        if row is None:
            return Offered(why_not="not offered by the editor")
        kind = noun(target.label).kind
        if kind == GARMENT and edit_type not in SEWN:
            return Offered(why_not="garments get another color or fabric and nothing else")
        if row.kinds and kind not in row.kinds:
            return Offered(why_not=f"not for the kind {kind}")
        arguments = row.arguments(target)
        return Offered(arguments=arguments, why_not="" if arguments else row.why_none(target))

    def accepts(self, edit_type: EditType, target: GroundedTarget, argument: str) -> str:
        """Only what `offer` named."""
        offered = self.offer(edit_type, target)
        if offered.why_not or argument in offered.arguments:
            return offered.why_not
        return f"{argument!r} is not one of {', '.join(offered.arguments)}"

    def copied(self, edit_type: EditType, target: GroundedTarget, argument: str) -> str:
        """Label of the thing that Add and Replace copy."""
        place = place_of(edit_type, target, argument)
        return target.scene.objects[place.index].label if place else ""

    def window(self, edit_type: EditType, target: GroundedTarget, argument: str) -> Box | None:
        """Of Add and Replace: the target and all places of the copy, with room for its shadow."""
        return room_for(edit_type, target, argument)
