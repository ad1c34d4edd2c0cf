"""Wordings that single out a target, each with an estimate of the risk that it fits something else as well.

Detectors overlook things, so the risk depends on what an overlooked instance would change: "the third from the left"
is wrong as soon as one on the way is missing, "the one between the bed and the lamp" hardly ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tasks.backends.embedded.language.reference_risk import anchor_risk, overlooked_chance
from tasks.backends.embedded.language.scene_facts import (
    EDGE,
    TABLE,
    Entity,
    SceneFacts,
    beside,
    clearly_left,
    has_color_name,
    maybe_beside,
    rests_on,
    same_label,
    stands_on_or_at,
    touches_border,
    zone_of,
)
from tasks.backends.embedded.nouns import noun
from tasks.imaging.geometry import gap

LARGER = 1.6
"""Area ratio from which a thing is clearly the largest."""

NEARER = 1.8
"""Ratio of distances from which one thing is clearly the nearest."""

SURE_RIVAL = 0.75
"""Score of another instance from which the class is known to have several."""

ONE_MISSED = 0.08
"""Risk of a missing instance, per thing counted before the target."""

SMALL_KINDS = frozenset(
    {"tableware", "glassware", "food", "fruit", "screen", "device", "computer", "thing", "toy"}
)
"""Kinds that stand on tables."""

COLORED = "color_"
"""Prefix of the kinds that also name the color."""

EASY_PARTS = frozenset({(1, 0), (1, 1), (1, 2)})
"""Zones that are not used: sides are covered by halves, and the center is too easy."""

COLOR_CONTRAST: dict[str, frozenset[str]] = {
    "red": frozenset({"white", "black", "gray", "green", "blue", "yellow"}),
    "orange": frozenset({"white", "black", "gray", "green", "blue", "purple"}),
    "yellow": frozenset({"black", "gray", "red", "blue", "purple", "green"}),
    "green": frozenset({"white", "black", "red", "orange", "yellow", "purple", "pink"}),
    "blue": frozenset({"white", "red", "orange", "yellow", "brown", "pink"}),
    "purple": frozenset({"white", "yellow", "green", "orange"}),
    "pink": frozenset({"black", "green", "blue", "yellow", "gray"}),
    "white": frozenset({"black", "red", "orange", "green", "blue", "purple"}),
    "black": frozenset({"white", "red", "orange", "yellow", "green", "pink"}),
}
"""Color -> colors that nobody would confuse with it, for colors that may distinguish things."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """One way to say which thing is meant.

    Attributes:
        kind: which sentence patterns fit.
        side: ``left``, ``right`` or ``""``.
        rank: ordinal from that side, 0 when there is none; for ``zone`` the number of the part, 0..8, row by row.
        color: color adjective, or ``""``.
        anchors: things named in it, in the order of the pattern.
        group: whether the anchor stands for all of its class ("to the right of the cups").
        risk: estimated chance, 0..1, that the words fit another thing too, or are untrue.
    """

    kind: str
    side: str = ""
    rank: int = 0
    color: str = ""
    anchors: tuple[Entity, ...] = ()
    group: bool = False
    risk: float = 1.0


def candidate_references(facts: SceneFacts, color_share: float) -> list[Reference]:
    """All wordings that exclude every certain or possible rival, safest first."""
    found = [
        *_sides_of_anchors(facts),
        *_sides_of_groups(facts),
        *_between(facts),
        *_on_table(facts),
        *_parts(facts),
    ]
    if same_label((r for r in facts.rivals if r.score >= SURE_RIVAL), facts.target.label):
        # "The leftmost couch" is odd where there is one couch and some chairs, or a shadow on the wall.
        found += [
            *_extremes(facts),
            *_ordinals(facts),
            *_nearest(facts),
            *_largest(facts),
            *_by_color(facts, color_share),
        ]
    color = _telling_color(facts, color_share)
    if color:
        found += [_with_color(reference, color) for reference in found if reference.kind in _TAKES_COLOR]
    return sorted(
        found, key=lambda r: (round(r.risk, 6), r.kind, r.side, r.color, [a.label for a in r.anchors])
    )


_TAKES_COLOR = frozenset({"side_of", "between", "half", "on", "zone"})
"""Superlatives and ordinals don't mix with a color: "the leftmost red chair" counts red chairs only."""


def _extremes(facts: SceneFacts) -> Iterator[Reference]:
    """The leftmost, the rightmost: true when no rival comes near in that direction."""
    own, missed = facts.target, overlooked_chance(facts)
    for side in ("left", "right"):
        if all(_ahead(own, rival, side, facts.width) for rival in facts.rivals):
            room = own.box.x0 if side == "left" else facts.width - own.box.x1
            yield Reference(
                kind="extreme", side=side, rank=1, risk=0.02 + missed * min(1.0, 1.6 * room / facts.width)
            )


def _ordinals(facts: SceneFacts) -> Iterator[Reference]:
    """The second or third from a side; the order must be clear and everything counted certain."""
    own, missed = facts.target, overlooked_chance(facts)
    for side in ("left", "right"):
        ahead = [rival for rival in facts.rivals if _ahead(rival, own, side, facts.width)]
        behind = [rival for rival in facts.rivals if _ahead(own, rival, side, facts.width)]
        sure = all(r.index >= 0 and r.label == own.label and r.score >= 0.5 for r in ahead)
        plain = all(
            _ahead(a, b, side, facts.width) or _ahead(b, a, side, facts.width)
            for i, a in enumerate(ahead)
            for b in ahead[i + 1 :]
        )
        if len(ahead) + len(behind) == len(facts.rivals) and sure and plain and 1 <= len(ahead) <= 2:
            room = own.box.x1 if side == "left" else facts.width - own.box.x0
            risk = ONE_MISSED * len(ahead) + missed * min(1.0, 1.4 * room / facts.width)
            yield Reference(kind="ordinal", side=side, rank=len(ahead) + 1, risk=risk)


def _sides_of_anchors(facts: SceneFacts) -> Iterator[Reference]:
    """Left or right of a thing identified by its noun, when no rival could be there."""
    own, missed = facts.target, overlooked_chance(facts)
    for anchor in facts.anchors:
        if stands_on_or_at(own, anchor):
            continue
        for side in ("left", "right"):
            taken = any(maybe_beside(rival, anchor, side) for rival in facts.rivals)
            if taken or not beside(own, anchor, side, facts.width):
                continue
            room = anchor.x if side == "left" else facts.width - anchor.x
            risk = 0.7 * missed * room / facts.width + anchor_risk(anchor, own, facts)
            yield Reference(kind="side_of", side=side, anchors=(anchor,), risk=risk)


def _sides_of_groups(facts: SceneFacts) -> Iterator[Reference]:
    """Left or right of all things of a class, for a target without rivals."""
    own, missed = facts.target, overlooked_chance(facts)
    if facts.rivals:
        return
    for group in facts.groups:
        for side in ("left", "right"):
            ahead = all(_ahead(own, member, side, facts.width) for member in group)
            next_to = max(group, key=lambda m: -abs(m.x - own.x))
            if ahead and beside(own, next_to, side, facts.width):
                risk = 0.03 + 0.5 * missed + 0.25 * noun(next_to.label).missed
                yield Reference(kind="side_of", side=side, anchors=(next_to,), group=True, risk=risk)


def _between(facts: SceneFacts) -> Iterator[Reference]:
    """Between two identified things left and right of it at about the same height."""
    own, missed = facts.target, overlooked_chance(facts)
    free = [a for a in facts.anchors if not stands_on_or_at(own, a)]
    left = [a for a in free if beside(own, a, "right", facts.width)]
    right = [a for a in free if beside(own, a, "left", facts.width)]
    for a in left:
        for b in right:
            if any(a.x < rival.x < b.x for rival in facts.rivals):
                continue
            risk = 0.5 * missed * (b.x - a.x) / facts.width
            risk += anchor_risk(a, own, facts) + anchor_risk(b, own, facts)
            yield Reference(kind="between", anchors=(a, b), risk=risk)


def _on_table(facts: SceneFacts) -> Iterator[Reference]:
    """On an identified table, when no rival could be on it."""
    own, missed = facts.target, overlooked_chance(facts)
    for table in same_label(facts.anchors, TABLE):
        taken = any(_maybe_on(rival, table) for rival in facts.rivals)
        if noun(own.label).kind in SMALL_KINDS and not taken and rests_on(own, table):
            risk = 0.04 + 0.4 * missed + anchor_risk(table, own, facts)
            yield Reference(kind="on", anchors=(table,), risk=risk)


def _maybe_on(rival: Entity, table: Entity) -> bool:
    """Whether the rival could be said to be on the table: the boxes meet and its foot is not clearly off the table."""
    return gap(rival.box, table.box) == 0 and rival.box.y1 > table.box.y0


def _nearest(facts: SceneFacts) -> Iterator[Reference]:
    """Nearest to an identified thing, when every rival is much further away."""
    own, missed = facts.target, overlooked_chance(facts)
    reach = 0.02 * facts.width
    for anchor in facts.anchors:
        if stands_on_or_at(own, anchor):
            continue
        distance = gap(own.box, anchor.box) + reach
        # Overlapping boxes say nothing about distance in depth.
        overlapping = gap(own.box, anchor.box) == 0 and own.box.y1 < anchor.box.y1 - 0.5 * anchor.box.height
        rivals = [gap(rival.box, anchor.box) + reach for rival in facts.rivals]
        if overlapping or distance > 0.15 * facts.width or min(rivals) < NEARER * distance:
            continue
        yield Reference(
            kind="nearest", anchors=(anchor,), risk=0.03 + 0.5 * missed + anchor_risk(anchor, own, facts)
        )


def _largest(facts: SceneFacts) -> Iterator[Reference]:
    """The largest; for people and vehicles, whose real sizes are similar, the one closest to the camera."""
    own, missed = facts.target, overlooked_chance(facts)
    if touches_border(own.box, facts.width, facts.height):
        return
    if any(touches_border(rival.box, facts.width, facts.height, margin=0.004) for rival in facts.rivals):
        return
    margin = min(own.box.area / max(1, rival.box.area) for rival in facts.rivals)
    lowest = all(own.box.y1 >= rival.box.y1 + 0.04 * facts.height for rival in facts.rivals)
    if margin < LARGER:
        return
    risk = 0.05 + 0.15 * missed + (0.06 if margin < 2 * LARGER else 0.0)
    if noun(own.label).kind in {"person", "vehicle", "animal"}:
        if lowest:
            yield Reference(kind="camera", risk=risk)
    else:
        yield Reference(kind="largest", risk=risk)


def _parts(facts: SceneFacts) -> Iterator[Reference]:
    """In a part of the picture, when all rivals are clearly elsewhere.

    Its risk is raised, so that relations to other things are preferred.
    """
    own, width, height = facts.target, facts.width, facts.height
    risk = 0.1 + 0.5 * overlooked_chance(facts) * (1.0 if facts.rivals else 0.6)
    for side in ("left", "right"):
        if side == "left":
            inside = own.box.x1 <= 0.48 * width and own.x < EDGE * width
        else:
            inside = own.box.x0 >= 0.52 * width and own.x > (1 - EDGE) * width
        if inside and all(
            r.x >= 0.56 * width if side == "left" else r.x <= 0.44 * width for r in facts.rivals
        ):
            yield Reference(kind="half", side=side, risk=risk)
    row, column = zone_of(own, facts)
    plain = _well_inside(own.x / width, column) and _well_inside(own.y / height, row)
    far = all(max(abs(r.x - own.x) / width, abs(r.y - own.y) / height) > 0.4 for r in facts.rivals)
    if plain and far and (row, column) not in EASY_PARTS:
        yield Reference(kind="zone", rank=3 * row + column, risk=risk)


def _well_inside(position: float, part_number: int) -> bool:
    """Whether a center lies clearly in that part."""
    return (position < 0.3, 0.4 < position < 0.6, position > 0.7)[part_number]


def _by_color(facts: SceneFacts, color_share: float) -> Iterator[Reference]:
    """By color alone, when each rival is certain and has a clearly different color."""
    color = _telling_color(facts, color_share)
    contrast = COLOR_CONTRAST.get(color, frozenset())
    if color and all(r.color in contrast and r.color_share >= 0.5 for r in facts.rivals):
        yield Reference(kind="color", color=color, risk=0.05 + 0.4 * overlooked_chance(facts))


def _with_color(reference: Reference, color: str) -> Reference:
    """A color excludes most overlooked instances, but readers may name it differently."""
    return replace(reference, kind=COLORED + reference.kind, color=color, risk=0.02 + 0.5 * reference.risk)


def _telling_color(facts: SceneFacts, color_share: float) -> str:
    """The target's color when it may be named, else ``""``; never for people."""
    own = facts.target
    contrast = COLOR_CONTRAST.get(own.color)
    if (
        contrast is None
        or not has_color_name(own)
        or own.color_share < color_share
        or noun(own.label).kind in {"person", "screen", "plant"}
    ):
        return ""
    return own.color


def _ahead(a: Entity, b: Entity, side: str, width: int) -> bool:
    """Whether ``a`` comes before ``b`` when counting from that side."""
    return clearly_left(a, b, width) if side == "left" else clearly_left(b, a, width)
