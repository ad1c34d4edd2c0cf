"""Wordings by looks: size among its kind, color, and what a person wears."""

from __future__ import annotations

from collections.abc import Iterator

from tasks.backends.embedded.language.reference import Reference
from tasks.backends.embedded.language.reference_risk import overlooked_chance
from tasks.backends.embedded.language.scene_facts import (
    GARMENT,
    Entity,
    SceneFacts,
    has_color_name,
    same_label,
)
from tasks.backends.embedded.nouns import noun
from tasks.imaging.geometry import touches_border

LARGER = 1.6
"""Area ratio from which a thing is clearly the larger."""

TALLER = 1.15
"""Ratio of heights from which one of two standing people is clearly the taller."""

STANDING = 2.0
"""Height of a person's box over its width from which the person stands."""

LEVEL = 0.05
"""Feet that differ by at most this share of the tallest one's height are equally far from the camera."""

NAMED_SHARE = 0.5
"""Share of a rival in one color from which that color is the rival's."""

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


def sizes(facts: SceneFacts) -> Iterator[Reference]:
    """Largest, smallest, tallest, shortest, or closest to the camera, by what perspective allows for the kind.

    Nothing is compared that the picture's border may cut off. Real sizes of people, animals and vehicles are similar,
    so that a difference in the picture is one of distance unless all stand on one line.
    """
    own, rivals = facts.target, facts.rivals
    if touches_border(own.box, facts.width, facts.height):
        return
    if any(touches_border(rival.box, facts.width, facts.height, margin=0.004) for rival in rivals):
        return
    kind, missed = noun(own.label).kind, overlooked_chance(facts)
    sure = all(rival.index >= 0 for rival in rivals)
    two = len(rivals) == 1 and rivals[0].label == own.label and sure
    larger = min(own.box.area / max(1, rival.box.area) for rival in rivals)
    smaller = min(rival.box.area / max(1, own.box.area) for rival in rivals)
    risk = 0.05 + 0.15 * missed
    near = 0.0 if larger >= 2 * LARGER else 0.06
    on_a_line = _on_a_line(own, rivals)
    if kind == "person":
        if on_a_line and sure and all(_stands(e) for e in (own, *rivals)):
            if all(own.box.height >= TALLER * rival.box.height for rival in rivals):
                yield Reference(kind="tallest", of_two=two, risk=risk)
            if all(rival.box.height >= TALLER * own.box.height for rival in rivals):
                yield Reference(kind="shortest", of_two=two, risk=risk + 0.1 * missed)
    elif kind != "vehicle" and (kind != "animal" or on_a_line):
        if larger >= LARGER:
            yield Reference(kind="largest", of_two=two, risk=risk + near)
        if smaller >= LARGER and sure:
            yield Reference(kind="smallest", of_two=two, risk=risk + 0.06 + 0.25 * missed)
    lowest = all(own.box.y1 >= rival.box.y1 + 0.04 * facts.height for rival in rivals)
    if kind in {"person", "vehicle", "animal"} and larger >= LARGER and lowest:
        yield Reference(kind="camera", risk=risk + near)


def colors(facts: SceneFacts, color_share: float) -> Iterator[Reference]:
    """By color alone, when each rival is certain and has a clearly different color."""
    color = telling_color(facts, color_share)
    if color and all(_has_other_color(rival, color) for rival in facts.rivals):
        kin = same_label(facts.rivals, facts.target.label)
        risk = 0.05 + 0.4 * overlooked_chance(facts)
        yield Reference(kind="color", color=color, risk=risk)
        if len(kin) > 1 and len(kin) == len(facts.rivals):
            yield Reference(kind="one_of_its_color", color=color, risk=risk)


def clothes(facts: SceneFacts, color_share: float) -> Iterator[Reference]:
    """By a garment of clear color, when everybody else's garment there is known and clearly of another color."""
    own = facts.target
    if noun(own.label).kind != "person" or not facts.rivals:
        return
    worn = facts.garments(own)
    for garment in worn:
        edited = facts.part is not None and garment.index == facts.part.index
        alone = sum(1 for other in worn if other.label == garment.label) == 1
        if edited or not alone or not _is_plain(garment, color_share):
            continue
        if all(_wears_another_color(rival, garment, facts) for rival in facts.rivals):
            yield Reference(
                kind="clothes",
                color=garment.color,
                anchors=(garment,),
                risk=0.05 + 0.3 * overlooked_chance(facts),
            )
            if facts.part is None and _is_clad_in_one_color(own, garment, facts):
                yield Reference(kind="clad", color=garment.color, risk=0.06 + 0.3 * overlooked_chance(facts))


def part_color(facts: SceneFacts, color_share: float) -> Iterator[Reference]:
    """A part by its own color, without its whole: "the red shirt", under the same condition as `clothes`."""
    part = facts.part
    if part is None or not facts.rivals or not _is_plain(part, color_share):
        return
    if all(_wears_another_color(rival, part, facts) for rival in facts.rivals):
        yield Reference(kind="part_color", color=part.color, risk=0.05 + 0.3 * overlooked_chance(facts))


def telling_color(facts: SceneFacts, color_share: float) -> str:
    """The target's color when it may be named, else ``""``; never for people, who are told by their clothes."""
    own = facts.target
    untold = {"person", "screen", "plant"}
    return own.color if _is_plain(own, color_share) and noun(own.label).kind not in untold else ""


def _is_plain(entity: Entity, color_share: float) -> bool:
    """Whether its color is one that may distinguish things, and covers enough of it."""
    return entity.color in COLOR_CONTRAST and has_color_name(entity) and entity.color_share >= color_share


def _has_other_color(rival: Entity, color: str) -> bool:
    return rival.color in COLOR_CONTRAST[color] and rival.color_share >= NAMED_SHARE


def _wears_another_color(rival: Entity, garment: Entity, facts: SceneFacts) -> bool:
    """Whether a rival is certain, and what it wears at the garment's place is known and clearly of another color."""
    worn = facts.garments(rival)
    needed = set(noun(garment.label).covers)
    there = [each for each in worn if needed & set(noun(each.label).covers)]
    covered = {where for each in there for where in noun(each.label).covers}
    if noun(garment.label).kind != GARMENT or not needed or not there:
        return False
    # Who wears a dress has no trousers to be known; a top says enough about a dress.
    complete = needed <= covered or "torso" in needed & covered
    return complete and all(_has_other_color(each, garment.color) for each in there)


def _is_clad_in_one_color(own: Entity, garment: Entity, facts: SceneFacts) -> bool:
    """Whether "in red" says enough: the torso and all that is known is red, and nothing known of a rival nearly is."""
    worn = facts.garments(own)
    in_one = all(each.color == garment.color for each in worn) and own.color == garment.color
    others = [each for rival in facts.rivals for each in (rival, *facts.garments(rival))]
    clear = all(
        each.color in COLOR_CONTRAST[garment.color] or each.color == "mixed" for each in others
    ) and all(
        each.color in COLOR_CONTRAST[garment.color]
        for rival in facts.rivals
        for each in facts.garments(rival)
    )
    return in_one and clear and "torso" in noun(garment.label).covers


def _on_a_line(own: Entity, rivals: tuple[Entity, ...]) -> bool:
    """Whether all feet are at about one height of the picture, so that all are equally far away."""
    tallest = max(entity.box.height for entity in (own, *rivals))
    return all(abs(own.box.y1 - rival.box.y1) <= LEVEL * tallest for rival in rivals)


def _stands(person: Entity) -> bool:
    return person.box.height >= STANDING * person.box.width
