"""A wording that singles out a target, as data, with the bounds that several kinds of wordings share."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.backends.embedded.language.scene_facts import Entity

COLORED = "color_"
"""Prefix of the kinds that also name the color."""

ALONE = "alone"
"""The kind of wording that needs nothing but the noun."""

SMALL_KINDS = frozenset(
    {"tableware", "glassware", "food", "fruit", "screen", "device", "computer", "thing", "toy"}
)
"""Kinds that stand on tables."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """One way to say which thing is meant.

    Attributes:
        kind: which sentence patterns fit.
        side: ``left``, ``right`` or ``""``; of ``edge`` ``top`` or ``bottom``.
        rank: ordinal from that side, 0 when there is none; for ``zone`` and ``corner`` the number of the part, 0..8,
            row by row.
        color: color adjective, or ``""``.
        anchors: things named in it, in the order of the pattern; of ``clothes`` the garment.
        group: whether the anchor stands for all of its class ("to the right of the cups").
        of_two: whether there are just two of its class, for comparatives.
        risk: estimated chance, 0..1, that the words fit another thing too, or are untrue.
    """

    kind: str
    side: str = ""
    rank: int = 0
    color: str = ""
    anchors: tuple[Entity, ...] = ()
    group: bool = False
    of_two: bool = False
    risk: float = 1.0
