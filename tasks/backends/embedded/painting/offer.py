"""The embedded editor's offer: colors, materials, effects and copies, each where it will look real on this target."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from tasks.backends.embedded.nouns import noun
from tasks.backends.embedded.painting.copies.placements import additions, place_of, replacements, room_for
from tasks.backends.embedded.painting.effects import EFFECTS
from tasks.backends.embedded.painting.materials import MADE, MATERIALS, Material
from tasks.imaging.color_names import name_color
from tasks.records.records import Box, EditType, GroundedTarget, SceneObject
from tasks.roles.offers import Offer, Offered

PAINTABLE = frozenset(
    {"vehicle", "furniture", "bag", "accessory", "toy", "tableware", "fruit", "device", "thing", "garment"}
)
"""Kinds that take a new color. Not people and animals (skin, fur), glass, screens, food, plants and signs, on which it
looks wrong; nor laptops: hands, keys and ports make them patchy, and their thin lids are more rim than surface."""

GARMENT = "garment"
"""Kind of parts of persons that are dyed: their checks show one cloth without skin."""

MIN_COLOR_SHARE = 0.5
"""Share of the mask in one color below which a recoloring leaves the thing patchy; its color has no name anyway."""

UNNAMED_COLOR_SHARE = 0.62
"""The same for a thing whose color is between two names."""

EFFECT_SHARE = 0.4
"""Share of the mask that must carry a vivid color for its loss to be seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColorRule:
    """When a thing may become this color.

    Attributes:
        dark, light: mean L of the thing (0..100) below and above which the color does not come out: shading is
            kept, so black never turns yellow and white never turns deep brown.
        near: present colors that it would be mistaken for.
    """

    dark: float
    light: float
    near: frozenset[str]


COLORS: dict[str, ColorRule] = {
    "red": ColorRule(dark=18, light=88, near=frozenset({"red", "pink", "orange", "brown"})),
    "orange": ColorRule(dark=38, light=90, near=frozenset({"orange", "red", "yellow", "brown"})),
    "yellow": ColorRule(dark=50, light=97, near=frozenset({"yellow", "orange", "brown"})),
    "green": ColorRule(dark=18, light=90, near=frozenset({"green"})),
    "blue": ColorRule(dark=15, light=90, near=frozenset({"blue", "purple"})),
    "purple": ColorRule(dark=18, light=88, near=frozenset({"purple", "blue", "pink"})),
    "pink": ColorRule(dark=48, light=97, near=frozenset({"pink", "purple", "red", "white"})),
}
"""Arguments of Color; neutral ones are left out, since they need the shading to change as well."""

VIVID = frozenset({"red", "orange", "yellow", "green", "blue", "purple", "pink"})
"""Colors whose loss is plain to see."""

WARM = frozenset({"brown", "orange", "yellow", "mixed"})
"""Colors on which brown tones hardly show; a mixed thing may be of them."""

MIN_SKETCH_PX = 64
"""Shorter side below which strokes cannot be told from noise."""

MIN_MATERIAL_PX = 110
"""Shorter side below which a thing has too little shading to look like metal."""

DARK_SCREEN_L = 25.0
"""Mean lightness of a screen above which it shows something, which would turn to metal with it."""

ONE_MATERIAL_SHARE = 0.78
"""Share of the mask in one color from which a vessel seems to be of one material, and not full of something."""


def color_arguments(target: GroundedTarget) -> tuple[str, ...]:
    """Colors that every object of the target may take: far in hue from what it is now, right in lightness."""
    allowed, kind = noun(target.label).colors, noun(target.label).kind
    return tuple(
        name
        for name, rule in COLORS.items()
        if (not allowed or name in allowed)
        and all(_takes(thing, rule) and not _filled(thing, kind) for thing in target.objects)
    )


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
    if effect == "pencil sketch" and min(thing.box.width, thing.box.height) < MIN_SKETCH_PX:
        return False
    if effect == "sepia":
        return thing.color not in WARM
    return vivid or not EFFECTS[effect].needs_color


def _turns_into(thing: SceneObject, kind: str, material: Material) -> bool:
    shining = kind == "screen" and thing.lab[0] > DARK_SCREEN_L
    small = min(thing.box.width, thing.box.height) < MIN_MATERIAL_PX
    return (
        not small and not _filled(thing, kind) and not shining and name_color(thing.lab) not in material.tints
    )


def _filled(thing: SceneObject, kind: str) -> bool:
    """Coffee would turn to metal, or blue, with its cup."""
    return kind == "tableware" and thing.color_share < ONE_MATERIAL_SHARE


def _takes(thing: SceneObject, rule: ColorRule) -> bool:
    present = _present_color(thing)
    return bool(present) and present not in rule.near and rule.dark <= thing.lab[0] <= rule.light


def _present_color(thing: SceneObject) -> str:
    """The color it has all over, ``""`` without one.

    White china in shade is part white, part gray, so no name is clear enough to be said; it takes paint all the same.
    """
    if noun(thing.label).kind == GARMENT:  # its checks show one cloth, whose folds may lie between two names
        return thing.color if thing.color != "mixed" else name_color(thing.lab)
    if thing.color != "mixed":
        return thing.color if thing.color_share >= MIN_COLOR_SHARE else ""
    return name_color(thing.lab) if thing.color_share >= UNNAMED_COLOR_SHARE else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repertoire:
    """What the editor does of one type.

    Attributes:
        kinds: kinds of noun it makes sense for; empty: every kind.
        arguments: what this target may be turned into; empty: nothing.
    """

    kinds: frozenset[str]
    arguments: Callable[[GroundedTarget], tuple[str, ...]]


REPERTOIRE: dict[EditType, Repertoire] = {
    EditType.COLOR: Repertoire(kinds=PAINTABLE, arguments=color_arguments),
    EditType.MATERIAL: Repertoire(kinds=MADE, arguments=material_arguments),
    EditType.APPEARANCE: Repertoire(kinds=frozenset(), arguments=effect_arguments),
    EditType.ADD: Repertoire(kinds=frozenset(), arguments=lambda target: tuple(additions(target))),
    EditType.REPLACE: Repertoire(kinds=frozenset(), arguments=lambda target: tuple(replacements(target))),
}
"""The other types would not look real without a generative model."""


class EmbeddedEditorOffer(Offer):
    """Colors, materials, effects and copies of the photograph's own things; of people only what they wear is dyed."""

    name: ClassVar[str] = "embedded editor"
    version: ClassVar[int] = 5
    edit_types: ClassVar[frozenset[EditType]] = frozenset(REPERTOIRE)

    def offer(self, edit_type: EditType, target: GroundedTarget) -> Offered:
        """The arguments that will show on every object of the target."""
        row = REPERTOIRE.get(edit_type)
        if row is None:
            return Offered(why_not="not offered by the editor")
        kind = noun(target.label).kind
        if kind == GARMENT and edit_type is not EditType.COLOR:
            return Offered(why_not="garments are dyed and nothing else")
        if row.kinds and kind not in row.kinds:
            return Offered(why_not=f"not for the kind {kind}")
        arguments = row.arguments(target)
        return Offered(arguments=arguments, why_not="" if arguments else "nothing fitting to turn it into")

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
