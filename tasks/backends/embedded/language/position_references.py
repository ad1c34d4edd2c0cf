"""Wordings by position: order, sides of things, between them, next to them, on a table, parts of the picture."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from tasks.backends.embedded.language.reference import SMALL_KINDS, Reference
from tasks.backends.embedded.language.reference_risk import anchor_risk, overlooked_chance
from tasks.backends.embedded.language.relations import (
    beside,
    clearly_above,
    clearly_left,
    has_with_it,
    in_front_of,
    is_next_to,
    maybe_beside,
    maybe_has_with_it,
    maybe_in_front_of,
    maybe_next_to,
    rests_on,
    stands_on_or_at,
)
from tasks.backends.embedded.language.scene_facts import (
    EDGE,
    TABLE,
    Entity,
    SceneFacts,
    same_label,
    zone_of,
)
from tasks.backends.embedded.nouns import noun
from tasks.imaging.geometry import gap

NEARER = 1.8
"""Ratio of distances from which one thing is clearly the nearest."""

ONE_MISSED = 0.08
"""Risk of a missing instance, per thing counted before the target."""

FARTHER, APART = 1.4, 0.1
"""Ratio of distances to a corner, and their difference as a share of the diagonal, from which one thing is closest."""

EASY_PARTS = frozenset({(1, 0), (1, 1), (1, 2)})
"""Zones that are not used: sides are covered by halves, and the center is too easy."""


def extremes(facts: SceneFacts) -> Iterator[Reference]:
    """The leftmost, the rightmost: true when no rival comes near in that direction."""
    own, missed = facts.target, overlooked_chance(facts)
    for side in ("left", "right"):
        if all(comes_before(own, rival, side, facts.width) for rival in facts.rivals):
            room = own.box.x0 if side == "left" else facts.width - own.box.x1
            yield Reference(
                kind="extreme", side=side, rank=1, risk=0.02 + missed * min(1.0, 1.6 * room / facts.width)
            )


def ordinals(facts: SceneFacts) -> Iterator[Reference]:
    """The second or third from a side; the order must be clear and everything counted certain."""
    own, missed = facts.target, overlooked_chance(facts)
    for side in ("left", "right"):
        ahead = [rival for rival in facts.rivals if comes_before(rival, own, side, facts.width)]
        behind = [rival for rival in facts.rivals if comes_before(own, rival, side, facts.width)]
        sure = all(r.index >= 0 and r.label == own.label and r.score >= 0.5 for r in ahead)
        plain = all(
            comes_before(a, b, side, facts.width) or comes_before(b, a, side, facts.width)
            for i, a in enumerate(ahead)
            for b in ahead[i + 1 :]
        )
        if len(ahead) + len(behind) == len(facts.rivals) and sure and plain and 1 <= len(ahead) <= 2:
            room = own.box.x1 if side == "left" else facts.width - own.box.x0
            risk = ONE_MISSED * len(ahead) + missed * min(1.0, 1.4 * room / facts.width)
            yield Reference(kind="ordinal", side=side, rank=len(ahead) + 1, risk=risk)


def sides_of_anchors(facts: SceneFacts) -> Iterator[Reference]:
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


def sides_of_groups(facts: SceneFacts) -> Iterator[Reference]:
    """Left or right of all things of a class, for a target without rivals."""
    own, missed = facts.target, overlooked_chance(facts)
    if facts.rivals:
        return
    for group in facts.groups:
        for side in ("left", "right"):
            ahead = all(comes_before(own, member, side, facts.width) for member in group)
            next_to = max(group, key=lambda m: -abs(m.x - own.x))
            if ahead and beside(own, next_to, side, facts.width):
                risk = 0.03 + 0.5 * missed + 0.25 * noun(next_to.label).missed
                yield Reference(kind="side_of", side=side, anchors=(next_to,), group=True, risk=risk)


def between(facts: SceneFacts) -> Iterator[Reference]:
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


def on_table(facts: SceneFacts) -> Iterator[Reference]:
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


def nearest(facts: SceneFacts) -> Iterator[Reference]:
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


def picture_parts(facts: SceneFacts) -> Iterator[Reference]:
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


CORNERS = {0: (0, 0), 2: (1, 0), 6: (0, 1), 8: (1, 1)}
"""Number of a corner as the part of the picture that holds it, and its place (0 or 1 across, 0 or 1 down)."""

EDGES = {"top": 0, "bottom": 1}


def corners(facts: SceneFacts) -> Iterator[Reference]:
    """Closest to a corner of the picture, when every rival is much further from it.

    Only what lies nearer to the corner could make it untrue, so an overlooked instance elsewhere is no risk.
    """
    own, width, height = facts.target, facts.width, facts.height
    diagonal = math.hypot(width, height)
    for number, (across, down) in CORNERS.items():
        distance = math.hypot(own.x - across * width, own.y - down * height)
        inside = abs(own.x - across * width) < 0.42 * width and abs(own.y - down * height) < 0.42 * height
        others = [math.hypot(r.x - across * width, r.y - down * height) for r in facts.rivals]
        if not inside or any(d < max(FARTHER * distance, distance + APART * diagonal) for d in others):
            continue
        nearer = min(1.0, 1.6 * math.pi / 4 * distance**2 / (width * height))
        yield Reference(kind="corner", rank=number, risk=0.06 + overlooked_chance(facts) * nearer)


def edges(facts: SceneFacts) -> Iterator[Reference]:
    """Closest to the upper or lower edge of the picture; not of what stands on the ground, where height is depth."""
    own, missed = facts.target, overlooked_chance(facts)
    if noun(own.label).kind not in SMALL_KINDS:
        return
    for side, end in EDGES.items():
        if all(clearly_above(own, r) if side == "top" else clearly_above(r, own) for r in facts.rivals):
            room = own.box.y0 if end == 0 else facts.height - own.box.y1
            risk = 0.06 + missed * min(1.0, 1.6 * room / facts.height)
            yield Reference(kind="edge", side=side, risk=risk)


def _well_inside(position: float, part_number: int) -> bool:
    """Whether a center lies clearly in that part."""
    return (position < 0.3, 0.4 < position < 0.6, position > 0.7)[part_number]


def neighbors(facts: SceneFacts) -> Iterator[Reference]:
    """Next to an identified thing, when every rival is far from it."""
    own, missed = facts.target, overlooked_chance(facts)
    for anchor in facts.anchors:
        taken = any(maybe_next_to(rival, anchor, facts.width) for rival in facts.rivals)
        if not taken and not stands_on_or_at(own, anchor) and is_next_to(own, anchor, facts.width):
            yield Reference(
                kind="next_to", anchors=(anchor,), risk=0.03 + 0.4 * missed + anchor_risk(anchor, own, facts)
            )


def fronts(facts: SceneFacts) -> Iterator[Reference]:
    """In front of an identified thing, when no rival could be."""
    return _alone_there("front", facts, in_front_of, maybe_in_front_of, missed_share=0.4)


def belongings(facts: SceneFacts) -> Iterator[Reference]:
    """With the only bag or umbrella in view, when nobody else is near it."""
    return _alone_there("with", facts, has_with_it, maybe_has_with_it, missed_share=0.3)


def _alone_there(
    kind: str,
    facts: SceneFacts,
    holds: Callable[[Entity, Entity], bool],
    maybe: Callable[[Entity, Entity, int], bool],
    *,
    missed_share: float,
) -> Iterator[Reference]:
    """References to each anchor for which a relation ``holds`` and of no rival ``maybe`` does."""
    own, missed = facts.target, overlooked_chance(facts)
    for anchor in facts.anchors:
        taken = any(maybe(rival, anchor, facts.width) for rival in facts.rivals)
        if not taken and holds(own, anchor):
            risk = 0.05 + missed_share * missed + anchor_risk(anchor, own, facts)
            yield Reference(kind=kind, anchors=(anchor,), risk=risk)


def comes_before(a: Entity, b: Entity, side: str, width: int) -> bool:
    """Whether ``a`` comes before ``b`` when counting from that side."""
    return clearly_left(a, b, width) if side == "left" else clearly_left(b, a, width)
