"""The four parts of the reasoning, told from scene facts through sentence patterns."""

from __future__ import annotations

from collections.abc import Iterator

from tasks.backends.embedded.realisation import Writer, upper_first, with_article
from tasks.backends.embedded.references import (
    SMALL_KINDS,
    TABLE,
    Reference,
    candidate_references,
    overlooked_chance,
)
from tasks.backends.embedded.scene_facts import (
    Entity,
    FactLimits,
    SceneFacts,
    beside,
    clearly_above,
    clearly_left,
    gap,
    rests_on,
    same_label,
    zone_of,
)
from tasks.instruction.nouns import Noun, noun
from tasks.records import EditType

MAX_LISTED = 5
"""Classes named in the scene description; more read like an inventory."""

LARGE_SHARE = 0.25
"""Share of the picture from which a thing takes up much of it."""

SURE_COUNT = 0.06
"""Chance of an overlooked instance below which a number may be given without "at least"."""

CLOTHES = frozenset({"black", "white", "gray", "blue", "green", "red", "yellow", "purple"})
"""Colours that on a person can only be the clothes."""

CLOTHES_SHARE = 0.6
"""Share of a person's mask that must carry that colour."""


def scene_description(facts: SceneFacts, limits: FactLimits, writer: Writer) -> str:
    """Two or three sentences: what is there, with numbers hedged, and how it is laid out."""
    labels = _labels_to_list(facts)
    things = [_count_phrase(facts, label, limits, writer) for label in labels]
    first = writer.say("scene.listing", {"things": writer.listing(things)})
    options = list(_layout_sentences(facts, writer))
    start = writer.draw("scene.layout", len(options))
    # The first option is the overall order where there is one; with a second sentence the layout is told better.
    chosen = [options[0], options[start]] if start else [options[0]]
    return " ".join((first, *chosen))


def target_localization(
    facts: SceneFacts, reference: Reference, ref: str, limits: FactLimits, writer: Writer
) -> str | None:
    """Category, appearance, absolute, sequential and relative position, then the wording they lead to.

    Returns:
        The text, or None when no honest sequential or relative position can be given.
    """
    sequence = _sequence(facts, limits, writer)
    relative = _relative(facts, reference, writer)
    if sequence is None or relative is None:
        return None
    category = _category(facts, limits, writer)
    where = {**pronouns(noun(facts.target.label), writer), "zone": zone(facts, facts.target, writer)}
    absolute = writer.say("localization.absolute", where)
    resolution = writer.say("localization.resolution", {"ref": ref})
    return " ".join((category, absolute, sequence, relative, resolution))


def editing_description(edit_type: EditType, slots: dict[str, str], writer: Writer) -> str:
    """What is changed and what is not."""
    return writer.say(f"editing.{edit_type.value}", slots)


def result_description(facts: SceneFacts, edit_type: EditType, slots: dict[str, str], writer: Writer) -> str:
    """What the picture shows afterwards, and what stayed."""
    own = {**slots, "zone": zone(facts, facts.target, writer), "others": _others(facts, writer)}
    return writer.say(f"result.{edit_type.value}", own)


def pronouns(word: Noun, writer: Writer) -> dict[str, str]:
    """The slots {it}, {It} and {that}: a person is no "it"."""
    table = writer.entry("pronouns")
    it, that = table["person" if word.kind == "person" else "thing"]
    return {"it": str(it), "It": upper_first(str(it)), "that": str(that)}


def zone(facts: SceneFacts, entity: Entity, writer: Writer) -> str:
    """Name of the part of the picture, of nine, that holds the entity's centre."""
    row, column = zone_of(entity, facts)
    return str(writer.entry("zones")[row][column])


def _labels_to_list(facts: SceneFacts) -> list[str]:
    """The target's class and the surest and largest others."""
    weight: dict[str, float] = {}
    for entity in facts.named:
        weight[entity.label] = weight.get(entity.label, 0.0) + entity.score * entity.box.area**0.5
    weight.pop(facts.target.label, None)
    others = sorted(weight, key=lambda label: (-weight[label], label))[: MAX_LISTED - 1]
    return sorted(
        [facts.target.label, *others],
        key=lambda label: (noun(label).kind != "person", -weight.get(label, 0.0), label),
    )


def _count_phrase(facts: SceneFacts, label: str, limits: FactLimits, writer: Writer) -> str:
    entities = same_label(facts.named, label)
    word = noun(label)
    if len(entities) == 1:
        return with_article(colored(entities[0], word, limits))
    counts = writer.entry("counts")
    count = counts[min(len(entities), len(counts) - 1)]
    firm = word.missed <= SURE_COUNT and len(entities) < len(counts)
    return writer.say("exactly" if firm else "at_least", {"count": str(count), "many": word.many})


def colored(entity: Entity, word: Noun, limits: FactLimits) -> str:
    """The noun, with its colour before it when the colour is plain; never a person's."""
    plain = entity.color not in {"mixed", "unknown"} and entity.color_share >= limits.color_share
    if not plain or word.kind in {"person", "screen", "animal", "plant"} or entity.color == word.one:
        return word.one
    return f"{entity.color} {word.one}"


def _layout_sentences(facts: SceneFacts, writer: Writer) -> Iterator[str]:
    """Every layout sentence that the facts allow; at least one."""
    unique = _in_plain_order(facts, _unique(facts))
    found = False
    if len(unique) >= 2:
        found = True
        names = [f"the {noun(e.label).one}" for e in unique[:4]]
        yield writer.say("scene.order", {"order": writer.listing(names, "scene.order_joint")})
    for entity in _unique(facts):
        slots = {"noun": noun(entity.label).one, "The": "The", "zone": zone(facts, entity, writer)}
        if entity.box.area >= LARGE_SHARE * facts.width * facts.height:
            found = True
            yield writer.say("scene.large", slots)
        elif entity.index != facts.target.index:
            found = True
            yield writer.say("scene.place", slots)
    if not found:
        yield _fallback_layout(facts, writer)


def _fallback_layout(facts: SceneFacts, writer: Writer) -> str:
    word = noun(facts.target.label)
    if len(same_label(facts.named, facts.target.label)) > 1:
        return writer.say("scene.several", {"noun": word.one})
    slots = {"An": upper_first(word.with_article.partition(" ")[0]), "noun": word.one}
    return writer.say("scene.single", {**slots, "zone": zone(facts, facts.target, writer)})


def _unique(facts: SceneFacts) -> list[Entity]:
    """Things their noun identifies, the target too when it has no rival."""
    own = [] if facts.rivals else [facts.target]
    return sorted([*facts.anchors, *own], key=lambda e: e.x)


def _in_plain_order(facts: SceneFacts, entities: list[Entity]) -> list[Entity]:
    """The longest run one can greedily take from the left in which each is plainly left of the next."""
    chain: list[Entity] = []
    for entity in entities:
        if not chain or clearly_left(chain[-1], entity, facts.width):
            chain.append(entity)
    return chain


def _category(facts: SceneFacts, limits: FactLimits, writer: Writer) -> str:
    percent = max(1, round(100 * facts.target.area / (facts.width * facts.height)))
    slots = {"percent": str(percent), **pronouns(noun(facts.target.label), writer)}
    category = writer.say("localization.category", {"thing": _appearance(facts.target, limits, writer)})
    return f"{category} {writer.say('localization.size', slots)}"


def _appearance(own: Entity, limits: FactLimits, writer: Writer) -> str:
    word = noun(own.label)
    if word.kind == "person":
        if own.color in CLOTHES and own.color_share >= CLOTHES_SHARE:
            return writer.say("localization.person_clothes", {"color": own.color})
        return writer.say("localization.person", {})
    if own.color in {"mixed", "unknown"} or word.kind == "screen":
        return word.with_article
    if own.color_share >= limits.color_share and own.color != word.one:
        return with_article(f"{own.color} {word.one}")
    return writer.say("localization.mostly", {"a_noun": word.with_article, "color": own.color})


def _sequence(facts: SceneFacts, limits: FactLimits, writer: Writer) -> str | None:
    """Its place in an order: among its class when that is safe, else among the identified things."""
    word = noun(facts.target.label)
    counted = [
        r
        for r in candidate_references(facts, limits.color_share)
        if r.kind in {"ordinal", "extreme"} and r.risk <= 0.15
    ]
    if counted:
        ordinal = str(writer.entry("ordinals")[counted[0].rank])
        slots = {"many": word.many, "side": counted[0].side, "ordinal": ordinal}
        return writer.say("localization.sequence_class", {**slots, **pronouns(word, writer)})
    before = [m for m in _marks(facts) if all(clearly_left(e, facts.target, facts.width) for e in m)]
    after = [m for m in _marks(facts) if all(clearly_left(facts.target, e, facts.width) for e in m)]
    if before or after:
        slots = pronouns(word, writer)
        slots |= {"a": _name(max(before, key=lambda m: max(e.x for e in m)))} if before else {}
        slots |= {"b": _name(min(after, key=lambda m: min(e.x for e in m)))} if after else {}
        name = "between" if before and after else "after" if before else "before"
        return writer.say(f"localization.sequence_{name}", slots)
    return _sequence_among_class(facts, writer) or _sequence_downwards(facts, writer)


def _marks(facts: SceneFacts) -> list[tuple[Entity, ...]]:
    """What an order may be told by: identified things, and classes taken together."""
    return [*((anchor,) for anchor in facts.anchors), *facts.groups]


def _name(mark: tuple[Entity, ...]) -> str:
    word = noun(mark[0].label)
    return word.many if len(mark) > 1 else word.one


def _sequence_downwards(facts: SceneFacts, writer: Writer) -> str | None:
    """Its place from top to bottom, where there is none from left to right."""
    slots = pronouns(noun(facts.target.label), writer)
    for mark in _marks(facts):
        if all(clearly_above(e, facts.target) for e in mark):
            return writer.say("localization.sequence_below", {**slots, "a": _name(mark)})
        if all(clearly_above(facts.target, e) for e in mark):
            return writer.say("localization.sequence_above", {**slots, "b": _name(mark)})
    return None


def _sequence_among_class(facts: SceneFacts, writer: Writer) -> str | None:
    """Before or after another one of its class; says nothing on how many there are."""
    sure = [r for r in facts.rivals if r.index >= 0 and r.label == facts.target.label]
    before = any(clearly_left(r, facts.target, facts.width) for r in sure)
    after = any(clearly_left(facts.target, r, facts.width) for r in sure)
    if not before and not after:
        return None
    name = "among" if before and after else "last" if before else "first"
    word = noun(facts.target.label)
    return writer.say(f"localization.sequence_{name}", {"noun": word.one, **pronouns(word, writer)})


def _relative(facts: SceneFacts, reference: Reference, writer: Writer) -> str | None:
    """One unmistakable relation to a neighbour, preferably to one that the wording doesn't use yet."""
    own = facts.target
    used = {anchor.index for anchor in reference.anchors}
    for anchor in sorted(facts.anchors, key=lambda a: (a.index in used, gap(a.box, own.box), a.index)):
        slots = {"a": noun(anchor.label).one, **pronouns(noun(own.label), writer)}
        if anchor.label == TABLE and noun(own.label).kind in SMALL_KINDS and rests_on(own, anchor):
            return writer.say("localization.relative_on", slots)
        for side, other in (("left", "right"), ("right", "left")):
            if beside(own, anchor, side, facts.width):
                return writer.say("localization.relative_side", {**slots, "side": side, "other_side": other})
        if clearly_above(own, anchor):
            return writer.say("localization.relative_higher", slots)
        if clearly_above(anchor, own):
            return writer.say("localization.relative_lower", slots)
    return _relative_to_class(facts, writer) or _relative_close(facts, writer)


def _relative_to_class(facts: SceneFacts, writer: Writer) -> str | None:
    """On a side of all things of a class, or of another one of its own class."""
    own = facts.target
    for group in facts.groups:
        for side in ("left", "right"):
            if all(beside(own, member, side, facts.width) for member in group):
                slots = {"a": _name(group), "side": side, **pronouns(noun(own.label), writer)}
                return writer.say("localization.relative_group", slots)
    sure = [r for r in facts.rivals if r.index >= 0 and r.label == own.label]
    for rival in sorted(sure, key=lambda r: (gap(r.box, own.box), r.index)):
        for side, other in (("left", "right"), ("right", "left")):
            if beside(own, rival, side, facts.width):
                slots = {"noun": noun(own.label).one, "other_side": other}
                return writer.say("localization.relative_other", slots)
    return None


def _relative_close(facts: SceneFacts, writer: Writer) -> str | None:
    own = facts.target
    near = [a for a in facts.anchors if gap(a.box, own.box) == 0]
    if not near:
        return None
    slots = {"a": noun(near[0].label).one, **pronouns(noun(own.label), writer)}
    return writer.say("localization.relative_close", slots)


def _others(facts: SceneFacts, writer: Writer) -> str:
    """What stays: identified neighbours, or the others of its class."""
    word = noun(facts.target.label)
    same = [r for r in facts.rivals if r.index >= 0 and r.label == facts.target.label]
    near = sorted(facts.anchors, key=lambda a: (gap(a.box, facts.target.box), a.index))[:2]
    options: list[str] = []
    if near:
        things = upper_first(writer.listing([f"the {noun(a.label).one}" for a in near]))
        name = "others_named" if len(near) > 1 else "others_named_one"
        options.append(writer.say(name, {"Things": things}))
    if same:
        sure = len(same) == 1 and overlooked_chance(facts) <= SURE_COUNT
        name = "others_same_one" if sure else "others_same"
        options.append(writer.say(name, {"many": word.many, "noun": word.one}))
    if not options:
        options.append(writer.say("others_none", {}))
    return options[writer.draw("others", len(options))]
