"""Relations between two things of a picture, from their boxes: strict ones, and what a rival could be said to do.

A strict relation holds only where nobody would dispute it; the functions called ``maybe_…`` hold wherever somebody
could claim it, and serve to exclude rivals.
"""

from __future__ import annotations

from tasks.backends.embedded.language.scene_facts import TABLE, Entity
from tasks.backends.embedded.nouns import noun
from tasks.imaging.geometry import containment, gap, intersection

CLEAR_STEP = 0.03
"""Least distance of two centers, as a share of the picture's width, for a clear order."""

SIDE_OVERLAP = 0.35
"""Share of the narrower width by which two boxes may overlap and still be side by side."""

SHARED_COLUMNS = 0.15
"""Share of the narrower width by which two boxes may overlap and still stand in an order from left to right."""

LEVEL_SLOPE = 0.75
"""Two things are beside each other when their centers differ vertically by at most this factor times horizontally."""

NEXT_TO = 0.035
"""Gap, as a share of the picture's width, up to which two things on one level are next to each other."""

NOT_NEXT_TO = 0.12
"""Gap from which nobody would call two things next to each other."""

SAME_FOOT = 0.2
"""Feet that differ by at most this share of the taller thing's height stand at about one distance."""

FRONT_STEP = 0.08
"""How much lower, as a share of the thing behind, the foot of what stands in front of it must be."""

HELD = 0.75
"""Share of a bag's or an umbrella's box inside a person's from which it is the person's."""

WITHOUT_FRONT = frozenset(
    {"bench", "chair", "couch", "bed", "bicycle", "motorcycle", "horse", "elephant", TABLE}
)
"""Things that people sit on, so that a person whose feet are lower is hardly "in front of" them."""

CARRIED = frozenset({"backpack", "handbag", "suitcase", "umbrella"})
"""Labels of what a person has with them when it lies within their outline."""


def clearly_left(a: Entity, b: Entity, width: int) -> bool:
    """Whether ``a`` is clearly left of ``b``: center and both edges, by more than a small step."""
    step = max(CLEAR_STEP * width, 0.25 * min(a.box.width, b.box.width))
    return a.x + step <= b.x and a.box.x0 < b.box.x0 and a.box.x1 < b.box.x1


def wholly_left(a: Entity, b: Entity, width: int) -> bool:
    """Whether ``a`` clearly precedes ``b`` from left to right: their columns hardly overlap."""
    shared = a.box.x1 - b.box.x0
    return clearly_left(a, b, width) and shared <= SHARED_COLUMNS * min(a.box.width, b.box.width)


def beside(a: Entity, b: Entity, side: str, width: int) -> bool:
    """Whether ``a`` is clearly on that side (``left``, ``right``) of ``b``: about level, hardly overlapping."""
    left, right = (a, b) if side == "left" else (b, a)
    overlap = left.box.x1 - right.box.x0
    apart = overlap <= SIDE_OVERLAP * min(left.box.width, right.box.width)
    return apart and clearly_left(left, right, width) and abs(a.y - b.y) <= LEVEL_SLOPE * abs(a.x - b.x)


def maybe_beside(a: Entity, b: Entity, side: str) -> bool:
    """Whether ``a`` could be said to be on that side of ``b``: its center is."""
    return a.x < b.x if side == "left" else a.x > b.x


def clearly_above(a: Entity, b: Entity) -> bool:
    """Whether ``a`` is clearly above ``b`` in the picture: each box ends before the other's center."""
    return a.box.y1 < b.y and b.box.y0 > a.y


def rests_on(a: Entity, table: Entity) -> bool:
    """Whether ``a`` stands or lies on a table: its foot is well inside the table's box, and it is much smaller."""
    box, top = a.box, table.box
    foot = top.y0 + 0.02 * top.height <= box.y1 <= top.y0 + 0.85 * top.height
    across = top.x0 + 0.02 * top.width <= box.x0 and box.x1 <= top.x1 - 0.02 * top.width
    return foot and across and box.area <= 0.5 * top.area


def stands_on_or_at(a: Entity, table: Entity) -> bool:
    """Whether ``a`` touches ``table``, standing on it or at it, so that no side or order holds between them."""
    return table.label == TABLE and gap(a.box, table.box) == 0


def is_next_to(a: Entity, b: Entity, width: int) -> bool:
    """Whether two things stand side by side on one level with hardly a gap between them."""
    level = abs(a.box.y1 - b.box.y1) <= SAME_FOOT * max(a.box.height, b.box.height)
    left, right = (a, b) if a.x < b.x else (b, a)
    apart = left.box.x1 - right.box.x0 <= SIDE_OVERLAP * min(left.box.width, right.box.width)
    return level and apart and clearly_left(left, right, width) and gap(a.box, b.box) <= NEXT_TO * width


def maybe_next_to(a: Entity, b: Entity, width: int) -> bool:
    """Whether ``a`` could be said to be next to ``b``: it is not far from it."""
    return gap(a.box, b.box) < NOT_NEXT_TO * width


def in_front_of(a: Entity, b: Entity) -> bool:
    """Whether ``a`` hides a part of ``b`` and stands clearly nearer: within its width, its foot lower."""
    if b.label in WITHOUT_FRONT or noun(b.label).kind in {"person", "bag", "accessory", "thin"}:
        return False
    across = b.box.x0 <= a.box.x0 and a.box.x1 <= b.box.x1
    lower = a.box.y1 >= b.box.y1 + FRONT_STEP * b.box.height and a.box.y0 >= b.box.y0
    hides = intersection(a.box, b.box) >= 0.25 * a.box.area
    return across and lower and hides and a.box.area <= b.box.area


def maybe_in_front_of(a: Entity, b: Entity, width: int) -> bool:
    """Whether ``a`` could be said to be in front of ``b``: near its columns, and not clearly higher."""
    return b.box.x0 - 0.05 * width <= a.x <= b.box.x1 + 0.05 * width and a.box.y1 >= b.y


def has_with_it(a: Entity, b: Entity) -> bool:
    """Whether a person ``a`` has ``b`` (a bag, an umbrella) with them: it lies within their outline."""
    if noun(a.label).kind != "person" or b.label not in CARRIED or b.box.area > 0.4 * a.box.area:
        return False
    return containment(b.box, a.box) >= HELD and a.box.x0 <= b.x <= a.box.x1


def maybe_has_with_it(a: Entity, b: Entity, width: int) -> bool:
    """Whether ``b`` could be said to be with ``a``: the boxes meet, or nearly do."""
    return gap(a.box, b.box) <= 0.02 * width
