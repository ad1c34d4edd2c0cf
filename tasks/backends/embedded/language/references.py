"""Wordings that single out a target, each with an estimate of the risk that it fits something else as well.

Detectors overlook things, so the risk depends on what an overlooked instance would change: "the third from the left"
is wrong as soon as one on the way is missing, "the one between the bed and the lamp" hardly ever.
"""

from __future__ import annotations

from dataclasses import replace

from tasks.backends.embedded.language import look_references as looks
from tasks.backends.embedded.language import position_references as positions
from tasks.backends.embedded.language.reference import ALONE, COLORED, Reference
from tasks.backends.embedded.language.reference_risk import overlooked_chance
from tasks.backends.embedded.language.scene_facts import SceneFacts, same_label

SURE_RIVAL = 0.75
"""Score of another instance from which the class is known to have several."""

MISTAKEN = 0.5
"""Chance, per score, that a weak detection of a similar class is an instance of the target's."""

_TAKES_COLOR = frozenset({"side_of", "between", "half", "on", "zone", "next_to", "front"})
"""Superlatives and ordinals don't mix with a color: "the leftmost red chair" counts red chairs only."""


def candidate_references(facts: SceneFacts, color_share: float) -> list[Reference]:
    """All wordings that exclude every certain or possible rival, safest first.

    Where the target is a part, they single out its whole, but for the kind ``part_color``.
    """
    found = [
        *positions.sides_of_anchors(facts),
        *positions.sides_of_groups(facts),
        *positions.between(facts),
        *positions.on_table(facts),
        *positions.picture_parts(facts),
        *positions.neighbors(facts),
        *positions.fronts(facts),
        *positions.belongings(facts),
        *looks.clothes(facts, color_share),
        *looks.part_color(facts, color_share),
    ]
    doubtful = [r.score for r in facts.rivals if r.index < 0 and r.label != facts.target.label]
    if len(doubtful) == len(facts.rivals):
        found.append(
            Reference(kind=ALONE, risk=0.02 + 0.8 * overlooked_chance(facts) + MISTAKEN * sum(doubtful))
        )
    if same_label((r for r in facts.rivals if r.score >= SURE_RIVAL), facts.target.label):
        # "The leftmost couch" is odd where there is one couch and some chairs, or a shadow on the wall.
        found += [
            *positions.extremes(facts),
            *positions.ordinals(facts),
            *positions.nearest(facts),
            *positions.corners(facts),
            *positions.edges(facts),
            *looks.sizes(facts),
            *looks.colors(facts, color_share),
        ]
    color = looks.telling_color(facts, color_share)
    if color:
        found += [_with_color(reference, color) for reference in found if reference.kind in _TAKES_COLOR]
    return sorted(
        found, key=lambda r: (round(r.risk, 6), r.kind, r.side, r.color, [a.label for a in r.anchors])
    )


def _with_color(reference: Reference, color: str) -> Reference:
    """A color excludes most overlooked instances, but readers may name it differently."""
    return replace(reference, kind=COLORED + reference.kind, color=color, risk=0.02 + 0.5 * reference.risk)
