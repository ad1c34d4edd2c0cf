"""Which colors a thing may take: where the name will be right, and the paint will cover what the name is said of."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tasks.backends.embedded.nouns import noun
from tasks.imaging.color_names import name_color
from tasks.imaging.surfaces import SURFACE_SHARE, UNCLEAR_SHARE, is_all, is_clear_part
from tasks.records.records import GroundedTarget, SceneObject

GARMENT = "garment"
"""Kind of parts of persons that are dyed: their checks show one cloth without skin."""

LIDS, FURNITURE = "computer", "furniture"
"""Kinds with rules of their own."""

PAINTABLE = frozenset(
    {"vehicle", "furniture", "bag", "accessory", "toy", "tableware", "fruit", "device", "thing", "fixture"}
    | {"clothing", GARMENT, LIDS}
)
"""Kinds that take a new color. Not people and animals (skin, fur), screens, food and signs, on which it looks wrong,
nor glass, whose drink would take it as well, nor plants and prints, whose pot or pages would take half of it."""

MIN_COLOR_SHARE = 0.5
"""Share of the mask in one color below which a recoloring leaves the thing patchy; its color has no name anyway."""

UNNAMED_COLOR_SHARE = 0.62
"""The same for a thing whose color is between two names."""

UPHOLSTERY_SHARE, LEGGY_SHARE = 0.3, 0.6
"""The same of furniture, whose cloth in light and shade bears three names; and of what shows its legs: in a color of
their own they would take paint in their shade alone."""

LEGGY = frozenset({"chair", "bench"})
"""Furniture of which the legs are much of what one sees."""

VIVID_CHROMA, VIVID_SHARE = 40.0, 0.4
"""Lab chroma from which one color stands out so that it is the thing's, and the share of it that is needed then."""

LID_SHARE, LID_SURFACE, LID_L = 0.75, 0.97, 60.0
"""Share of one color, or of one surface, from which a laptop shows its lid, not keys and a screen; least lightness,
since keys are dark and a screen that is off is gray."""

OPEN_VESSELS = frozenset({"cup", "bowl"})
"""Classes that one looks into from above."""

ONE_MATERIAL_SHARE, VESSEL_SURFACE = 0.9, 0.92
"""Share of the mask in one color, or of one surface, from which a vessel seems to be of one material, and not full of
something."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColorRule:
    """When a thing may become this color.

    Attributes:
        dark, light: mean L of the thing (0..100) below and above which the color does not come out: shading is
            kept, so black never turns yellow and white never turns deep brown, and what is lifted far out of the dark
            glows.
        near: present colors that it would be mistaken for.
    """

    dark: float
    light: float
    near: frozenset[str]


COLORS: dict[str, ColorRule] = {
    "red": ColorRule(dark=24, light=88, near=frozenset({"red", "pink", "orange", "brown"})),
    "orange": ColorRule(dark=38, light=90, near=frozenset({"orange", "red", "yellow", "brown"})),
    "yellow": ColorRule(dark=50, light=97, near=frozenset({"yellow", "orange", "brown"})),
    "green": ColorRule(dark=24, light=90, near=frozenset({"green"})),
    "blue": ColorRule(dark=15, light=90, near=frozenset({"blue", "purple"})),
    "purple": ColorRule(dark=24, light=88, near=frozenset({"purple", "blue", "pink"})),
    "pink": ColorRule(dark=48, light=97, near=frozenset({"pink", "purple", "red", "white"})),
}
"""Arguments of Color; neutral ones are left out, since they need the shading to change as well."""


def color_arguments(target: GroundedTarget) -> tuple[str, ...]:
    """Colors that every object of the target may take: far in hue from what it is now, right in lightness."""
    word = noun(target.label)
    allowed = frozenset(word.colors) or frozenset(COLORS)
    return tuple(
        name
        for name, rule in COLORS.items()
        if name in allowed and all(_takes(thing, rule) and not is_filled(thing) for thing in target.objects)
    )


def why_no_color(target: GroundedTarget) -> str:
    """Why `color_arguments` has none."""
    kind = noun(target.label).kind
    if any(is_filled(thing) for thing in target.objects):
        return "may be full of something"
    if kind == LIDS and not all(shows_its_lid(thing) for thing in target.objects):
        return "shows more than its lid"
    if not all(_present_color(thing) for thing in target.objects):
        return "no color covers enough of it"
    return "its lightness suits no other color"


def is_filled(thing: SceneObject) -> bool:
    """Whether a vessel may be seen to be full: coffee would turn blue, or to metal, with its cup."""
    plain = thing.color_share >= ONE_MATERIAL_SHARE or surface_share(thing) >= VESSEL_SURFACE
    return thing.label in OPEN_VESSELS and not plain


def shows_its_lid(thing: SceneObject) -> bool:
    """Whether a laptop is seen from behind: it is of one color or surface, and light."""
    plain = thing.color_share >= LID_SHARE or surface_share(thing) >= LID_SURFACE
    return plain and thing.lab[0] >= LID_L


def surface_share(thing: SceneObject) -> float:
    """Share of its mask that is one surface, 0..1; 0 where it was not measured."""
    return next((check.value for check in thing.checks if check.name == SURFACE_SHARE), 0.0)


def has_clear_part(thing: SceneObject) -> bool:
    """Whether it is furniture known by a surface that ends clearly where the rest of it begins: a seat on its legs."""
    if noun(thing.label).kind != FURNITURE:
        return False
    unclear = next((check.value for check in thing.checks if check.name == UNCLEAR_SHARE), 1.0)
    return is_clear_part(surface_share(thing), unclear)


def _takes(thing: SceneObject, rule: ColorRule) -> bool:
    present = _present_color(thing)
    return bool(present) and present not in rule.near and rule.dark <= thing.lab[0] <= rule.light


def _present_color(thing: SceneObject) -> str:
    """The color that the paint will replace, ``""`` where none covers enough of it.

    White china in shade is part white, part gray, so no name is clear enough to be said; it takes paint all the same.
    """
    kind = noun(thing.label).kind
    named = thing.color if thing.color != "mixed" else name_color(thing.lab)
    chroma = math.hypot(*thing.lab[1:])
    if kind == GARMENT:  # its checks show one cloth, whose folds may lie between two names
        return named
    if kind == LIDS and not shows_its_lid(thing):
        return ""
    if is_all(surface_share(thing)) or has_clear_part(thing):
        return named
    least = MIN_COLOR_SHARE if thing.color != "mixed" else UNNAMED_COLOR_SHARE
    if kind == FURNITURE:
        least = LEGGY_SHARE if thing.label in LEGGY else UPHOLSTERY_SHARE
    elif chroma >= VIVID_CHROMA:
        least = min(least, VIVID_SHARE)
    return named if thing.color_share >= least else ""
