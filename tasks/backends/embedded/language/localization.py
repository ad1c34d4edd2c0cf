"""Target localization: category, appearance, absolute, sequential and relative position, what rules others out."""

from __future__ import annotations

from tasks.backends.embedded.language.agreement import agreeing
from tasks.backends.embedded.language.descriptions import described, zone
from tasks.backends.embedded.language.elimination import ruled_out
from tasks.backends.embedded.language.realization import Writer
from tasks.backends.embedded.language.reference import SMALL_KINDS, Reference
from tasks.backends.embedded.language.references import candidate_references
from tasks.backends.embedded.language.relations import (
    beside,
    clearly_above,
    clearly_left,
    rests_on,
    stands_on_or_at,
    wholly_left,
)
from tasks.backends.embedded.language.scene_facts import (
    GARMENT,
    TABLE,
    Entity,
    FactLimits,
    SceneFacts,
    has_color_name,
    same_label,
)
from tasks.backends.embedded.nouns import noun
from tasks.imaging.geometry import gap

CLOTHES = frozenset({"black", "blue", "green", "red", "yellow", "purple"})
"""Colors that on a person are clothes; no gray, which is also white cloth in shade."""

CLOTHES_SHARE = 0.6
"""Share of a person's mask that must carry that color."""

COUNTED = 0.17
"""Largest risk at which the position among its class is stated."""

ALONE = 0.2
"""Largest chance of an overlooked instance at which a thing is called the only one."""

CLOSE = 0.02
"""Gap, as a share of the picture's width, up to which two things are close to each other."""


def target_localization(
    facts: SceneFacts, reference: Reference, ref: str, limits: FactLimits, writer: Writer
) -> str | None:
    """Category, appearance, position, what rules the others out, then the wording of the instruction.

    Positions are those of the whole where the target is a part.

    Returns:
        The text, or None when nothing but the part of the picture is certain.
    """
    sequence, told = _sequence(facts, limits, writer)
    others = ruled_out(facts, reference, writer)
    if others:
        told |= {facts.target.label}
    relative = _relative(facts, reference, told, writer)
    if not (sequence or relative or others):
        return None
    resolution = writer.say("localization.resolution", {"ref": ref})
    parts = (_category(facts, limits, writer), sequence, relative, others, resolution)
    return " ".join(part for part in parts if part)


def _pronouns(facts: SceneFacts, writer: Writer) -> dict[str, str]:
    """For sentences about what is told from its rivals, which is called by name beside a part of it."""
    part = facts.part
    again = part is None or not noun(part.label).pair  # "they" would be the trousers
    return agreeing(noun(facts.target.label), writer, by_name=part is not None, again=again)


def _category(facts: SceneFacts, limits: FactLimits, writer: Writer) -> str:
    """What it is, what it looks like, and in which part of the picture it is."""
    part = facts.part
    slots = {"zone": zone(facts, facts.target, writer), "thing": _appearance(facts, limits, writer)}
    slots |= agreeing(noun(facts.target.label), writer, by_name=part is not None)
    absolute = writer.say("localization.absolute", slots)
    if part is None:
        if writer.draw("category_placed", 2):
            return writer.say("localization.category_placed", slots)
        return f"{writer.say('localization.category', slots)} {absolute}"
    whole, word = noun(facts.target.label), noun(part.label)
    several = same_label(facts.rivals, facts.target.label)
    owner = writer.say(
        "localization.one_of_several" if several else "localization.the_only",
        {"many": whole.many, "noun": whole.one},
    )
    path = "category_worn" if word.kind == GARMENT else "category_part"
    said = [writer.say(f"localization.{path}", {"thing": described(part, limits), "owner": owner})]
    rest = [g for g in facts.garments(facts.target) if g.index != part.index and _is_plain(g, limits)]
    if rest:
        also = {**agreeing(word, writer), "clothes": writer.listing([described(g, limits) for g in rest])}
        said.append(writer.say("localization.also_wears", also))
    return " ".join((*said, absolute))


def _appearance(facts: SceneFacts, limits: FactLimits, writer: Writer) -> str:
    own, word = facts.target, noun(facts.target.label)
    if word.kind == "person":
        worn = [garment for garment in facts.garments(own) if _is_plain(garment, limits)]
        if worn:
            clothes = writer.listing([described(garment, limits) for garment in worn])
            return writer.say("localization.person_in", {"clothes": clothes})
        if own.color in CLOTHES and own.color_share >= CLOTHES_SHARE:
            return writer.say("localization.person_clothes", {"color": own.color})
        return writer.say("localization.person", {})
    if not has_color_name(own) or word.kind in {"screen", "plant"} or own.color == word.one:
        return word.with_article
    if own.color_share >= limits.color_share:
        return word.described(own.color)
    slots = {**agreeing(word, writer), "a_noun": word.with_article, "color": own.color}
    return writer.say("localization.mostly", slots)


def _is_plain(garment: Entity, limits: FactLimits) -> bool:
    return has_color_name(garment) and garment.color_share >= limits.color_share


def _sequence(facts: SceneFacts, limits: FactLimits, writer: Writer) -> tuple[str | None, frozenset[str]]:
    """Position in an order: among its class when that is safe, else among identified things; and those things."""
    word = noun(facts.target.label)
    counted = [
        r
        for r in candidate_references(facts, limits.color_share)
        if r.kind in {"ordinal", "extreme"} and r.risk <= COUNTED
    ]
    if counted:
        ordinal = str(writer.entry("ordinals")[counted[0].rank])
        slots = {"many": word.many, "side": counted[0].side, "ordinal": ordinal}
        said = writer.say("localization.sequence_class", {**slots, **_pronouns(facts, writer)})
        return said, frozenset({facts.target.label})
    before = [m for m in _marks(facts) if all(wholly_left(e, facts.target, facts.width) for e in m)]
    after = [m for m in _marks(facts) if all(wholly_left(facts.target, e, facts.width) for e in m)]
    if before or after:
        named = {"a": max(before, key=lambda m: max(e.x for e in m))} if before else {}
        named |= {"b": min(after, key=lambda m: min(e.x for e in m))} if after else {}
        slots = _pronouns(facts, writer) | {slot: _name(mark) for slot, mark in named.items()}
        name = "between" if before and after else "after" if before else "before"
        said = writer.say(f"localization.sequence_{name}", slots)
        return said, frozenset(mark[0].label for mark in named.values())
    among = _sequence_among_class(facts, writer)
    if among is not None:
        return among, frozenset({facts.target.label})
    said_down, mark = _sequence_downwards(facts, writer)
    return (said_down, mark) if said_down else (_sequence_alone(facts, writer), frozenset())


def _marks(facts: SceneFacts) -> list[tuple[Entity, ...]]:
    """Things that an order may use: identified ones, and classes taken together."""
    single = [anchor for anchor in facts.anchors if not stands_on_or_at(facts.target, anchor)]
    return [*((anchor,) for anchor in single), *facts.groups]


def _name(mark: tuple[Entity, ...]) -> str:
    word = noun(mark[0].label)
    return word.many if len(mark) > 1 else word.one


def _sequence_downwards(facts: SceneFacts, writer: Writer) -> tuple[str | None, frozenset[str]]:
    """Position from top to bottom, where there is none from left to right."""
    slots = _pronouns(facts, writer)
    for mark in _marks(facts):
        told = frozenset({mark[0].label})
        if all(clearly_above(e, facts.target) for e in mark):
            return writer.say("localization.sequence_below", {**slots, "a": _name(mark)}), told
        if all(clearly_above(facts.target, e) for e in mark):
            return writer.say("localization.sequence_above", {**slots, "b": _name(mark)}), told
    return None, frozenset()


def _sequence_among_class(facts: SceneFacts, writer: Writer) -> str | None:
    """Before or after another instance of its class, without a count."""
    sure = [r for r in facts.rivals if r.index >= 0 and r.label == facts.target.label]
    before = any(clearly_left(r, facts.target, facts.width) for r in sure)
    after = any(clearly_left(facts.target, r, facts.width) for r in sure)
    if not before and not after:
        return None
    name = "among" if before and after else "last" if before else "first"
    word = noun(facts.target.label)
    return writer.say(f"localization.sequence_{name}", {"noun": word.one, **_pronouns(facts, writer)})


def _sequence_alone(facts: SceneFacts, writer: Writer) -> str | None:
    """States that nothing else in view has its noun, so that there is no order."""
    if facts.rivals or noun(facts.target.label).missed > ALONE:
        return None
    word = noun(facts.target.label)
    return writer.say("localization.sequence_alone", {"noun": word.one, **_pronouns(facts, writer)})


def _relative(facts: SceneFacts, reference: Reference, told: frozenset[str], writer: Writer) -> str | None:
    """One unambiguous relation to a neighbor, preferably one that the wording does not use.

    Not to things of the labels in ``told``, of which other sentences say as much.
    """
    own = facts.target
    used = {anchor.index for anchor in reference.anchors}
    for anchor in sorted(facts.anchors, key=lambda a: (a.index in used, gap(a.box, own.box), a.index)):
        slots = {"a": noun(anchor.label).one, **_pronouns(facts, writer)}
        if anchor.label == TABLE and noun(own.label).kind in SMALL_KINDS and rests_on(own, anchor):
            return writer.say("localization.relative_on", slots)
        if stands_on_or_at(own, anchor) or anchor.label in told:
            continue
        for side, other in (("left", "right"), ("right", "left")):
            if beside(own, anchor, side, facts.width):
                return writer.say("localization.relative_side", {**slots, "side": side, "other_side": other})
        if clearly_above(own, anchor):
            return writer.say("localization.relative_higher", slots)
        if clearly_above(anchor, own):
            return writer.say("localization.relative_lower", slots)
    return _relative_to_class(facts, told, writer) or _relative_close(facts, writer)


def _relative_to_class(facts: SceneFacts, told: frozenset[str], writer: Writer) -> str | None:
    """On a side of all things of a class, or of another one of its own class."""
    own = facts.target
    for group in facts.groups:
        if group[0].label in told:
            continue
        for side in ("left", "right"):
            if all(beside(own, member, side, facts.width) for member in group):
                slots = {"a": _name(group), "side": side, **_pronouns(facts, writer)}
                return writer.say("localization.relative_group", slots)
        slots = {"a": _name(group), **_pronouns(facts, writer)}
        if all(clearly_above(own, member) for member in group):
            return writer.say("localization.relative_higher", slots)
        if all(clearly_above(member, own) for member in group):
            return writer.say("localization.relative_lower", slots)
    sure = [] if own.label in told else [r for r in facts.rivals if r.index >= 0 and r.label == own.label]
    for rival in sorted(sure, key=lambda r: (gap(r.box, own.box), r.index)):
        for side, other in (("left", "right"), ("right", "left")):
            if beside(own, rival, side, facts.width):
                slots = {**_pronouns(facts, writer), "noun": noun(own.label).one, "other_side": other}
                return writer.say("localization.relative_other", slots)
    return None


def _relative_close(facts: SceneFacts, writer: Writer) -> str | None:
    own = facts.target
    near = [a for a in facts.anchors if gap(a.box, own.box) == 0]
    if near:
        slots = {"a": noun(near[0].label).one, **_pronouns(facts, writer)}
        return writer.say("localization.relative_close", slots)
    return _relative_some(facts, writer)


def _relative_some(facts: SceneFacts, writer: Writer) -> str | None:
    """Close to a thing of another class that is not identified by its noun."""
    own = facts.target
    others = [e for e in facts.named if e.label != own.label and e.index != own.index]
    close = [e for e in others if gap(e.box, own.box) <= CLOSE * facts.width]
    if not close:
        return None
    nearest = min(close, key=lambda e: (gap(e.box, own.box), e.index))
    slots = {"a_thing": noun(nearest.label).with_article, **_pronouns(facts, writer)}
    return writer.say("localization.relative_some", slots)
