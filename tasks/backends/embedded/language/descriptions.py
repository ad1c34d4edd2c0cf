"""Scene, editing and post-edit description: three of the four parts of the reasoning, from scene facts."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterator, Sequence

from tasks.backends.embedded.language.agreement import agreeing
from tasks.backends.embedded.language.realization import Writer, upper_first
from tasks.backends.embedded.language.relations import wholly_left
from tasks.backends.embedded.language.scene_facts import (
    TABLE,
    Entity,
    FactLimits,
    SceneFacts,
    has_color_name,
    same_label,
)
from tasks.backends.embedded.nouns import Noun, noun
from tasks.imaging.geometry import gap
from tasks.records.records import EditType

MAX_LISTED = 5
"""Classes named in the scene description."""

LARGE_SHARE = 0.25
"""Share of the picture from which a thing is said to take up much of it."""

SURE_COUNT = 0.05
"""Chance of an overlooked instance up to which "two" is said without "at least"; larger numbers always have it."""

ZONE_BANDS = (0.3, 0.4, 0.6, 0.7)
"""Ends of the zones' bands, as shares of the picture's width and height."""

CENTER = 2
"""Number of the middle band."""

ACROSS_CENTER = (0.38, 0.62)
"""Between these shares of width and height a thing across the middle is in the center."""

ACROSS = 0.05
"""A thing lies across the middle when it extends beyond it by this share on either side."""


def scene_description(facts: SceneFacts, limits: FactLimits, writer: Writer) -> str:
    """Two or three sentences: what is there, with hedged counts, what is worn, and the layout."""
    labels = _labels_to_list(facts)
    things = writer.listing([_count_phrase(facts, label, limits, writer) for label in labels])
    first = writer.say("scene.listing", {"things": things, "Things": upper_first(things)})
    worn = _worn(facts, limits, writer)
    if worn:
        first = f"{first} {worn}"
    options = list(_layout_sentences(facts, labels, writer))
    start = writer.draw("scene.layout", len(options))
    # The first option is the overall order where there is one; with a second sentence the layout is told better.
    chosen = [options[0], options[start]] if start else [options[0]]
    return " ".join((first, *chosen))


def editing_description(
    facts: SceneFacts, edit_type: EditType, slots: dict[str, str], writer: Writer, along: Sequence[int] = ()
) -> str:
    """What changes and what does not; ``along`` goes with the target."""
    gone = dict.fromkeys(noun(e.label).one for e in facts.named if e.index in along)
    if edit_type is EditType.REMOVE and gone:
        things = writer.listing([f"the {name}" for name in gone])
        return writer.say("editing.Remove_along", {**slots, "things": things})
    return writer.say(f"editing.{_patterns_of(edit_type, slots)}", slots)


def result_description(
    facts: SceneFacts, edit_type: EditType, slots: dict[str, str], writer: Writer, along: Sequence[int] = ()
) -> str:
    """What the picture shows afterwards, and what stayed the same; ``along`` went with the target."""
    own = {**slots, "zone": zone(facts, facts.edited, writer), "others": _others(facts, writer, along)}
    return writer.say(f"result.{_patterns_of(edit_type, own)}", own)


def _patterns_of(edit_type: EditType, slots: dict[str, str]) -> str:
    """Path of the patterns; there are some for a recoloring without an old color, and for removing trousers."""
    if edit_type is EditType.COLOR and not slots["old"]:
        return f"{edit_type.value}_from_no_name"
    return (
        f"{edit_type.value}_of_plural" if edit_type is EditType.REMOVE and not slots["s"] else edit_type.value
    )


def zone(facts: SceneFacts, entity: Entity, writer: Writer) -> str:
    """Name of the part of the picture with the entity's center; of a half, where the center is between two parts.

    A half is named only when the whole thing lies in it; a thing across the middle gets the part of its center.
    """
    box = entity.box
    row = _band(entity.y / facts.height, box.y0 / facts.height, box.y1 / facts.height)
    column = _band(entity.x / facts.width, box.x0 / facts.width, box.x1 / facts.width)
    return str(writer.entry("zones")[row][column])


def _band(center: float, start: float, end: float) -> int:
    """0..4, of a center and the ends of a box, all 0..1."""
    band = bisect(ZONE_BANDS, center)
    across = start < 0.5 - ACROSS and end > 0.5 + ACROSS
    if band not in (CENTER - 1, CENTER + 1) or not across:
        return band
    # In neither half as a whole; it is still on a side unless its own middle is near that of the picture.
    return 2 * bisect(ACROSS_CENTER, center)


def _labels_to_list(facts: SceneFacts) -> list[str]:
    """The target's class and the most certain and largest others."""
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
        # A second bowl in the first, or a chair's arm at the edge, is easily overlooked.
        alone = label == facts.target.label and not facts.rivals
        one = colored(entities[0], word, limits)
        return (
            word.described(one.removesuffix(word.one).strip())
            if alone
            else writer.say("at_least_one", {"noun": one})
        )
    counts = writer.entry("counts")
    count = counts[min(len(entities), len(counts) - 1)]
    firm = word.missed <= SURE_COUNT and len(entities) == 2
    return writer.say("exactly" if firm else "at_least", {"count": str(count), "many": word.many})


def colored(entity: Entity, word: Noun, limits: FactLimits) -> str:
    """The noun, with its color before it when the color is plain; never a person's."""
    plain = has_color_name(entity) and entity.color_share >= limits.color_share
    if not plain or word.kind in {"person", "screen", "animal", "plant"} or entity.color == word.one:
        return word.one
    return f"{entity.color} {word.one}"


def described(entity: Entity, limits: FactLimits) -> str:
    """With article: ``a red top``, ``blue trousers``, ``a top`` where its color is not plain."""
    word = noun(entity.label)
    plain = has_color_name(entity) and entity.color_share >= limits.color_share and entity.color != word.one
    return word.described(entity.color if plain else "")


def _worn(facts: SceneFacts, limits: FactLimits, writer: Writer) -> str:
    """What the target wears, or has for a part; ``""`` where nothing is known."""
    own = noun(facts.target.label)
    worn = facts.garments(facts.target)
    only = not same_label(facts.rivals, facts.target.label)
    if worn:
        phrases = [described(garment, limits) for garment in worn]
        clothes = writer.listing(phrases)
        several = len(worn) > 1 or noun(worn[0].label).pair
        verbs = writer.entry("verbs")["many" if several else "one"]
        slots = {"clothes": clothes, "Clothes": upper_first(clothes), "is": str(verbs["is"])}
        alone = "_alone" if only else ""
        paths = [f"scene.wears{alone}"]
        if any("torso" in noun(garment.label).covers for garment in worn):
            paths.append(f"scene.dressed{alone}")
        return writer.say(paths, slots)
    if facts.part is None or only:
        return ""
    slots = {"many": own.many, "a_part": described(facts.part, limits)}
    return writer.say("scene.has_part", slots)


def _layout_sentences(facts: SceneFacts, labels: Sequence[str], writer: Writer) -> Iterator[str]:
    """All layout sentences about the listed ``labels`` that the facts allow; at least one."""
    unique = [entity for entity in _unique(facts) if entity.label in labels]
    row = _in_plain_order(facts, unique)
    found = False
    if len(row) >= 2:
        found = True
        names = [f"the {noun(e.label).one}" for e in row[:4]]
        yield writer.say("scene.order", {"order": writer.listing(names, "scene.order_joint")})
    for entity in unique:
        word = noun(entity.label)
        slots = {**agreeing(word, writer), "noun": word.one, "zone": zone(facts, entity, writer)}
        if entity.area >= LARGE_SHARE * facts.width * facts.height:
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
    slots = {**agreeing(word, writer), "noun": word.one, "zone": zone(facts, facts.target, writer)}
    if not facts.rivals:
        return writer.say("scene.place", slots)
    slots |= {"a_noun": word.with_article, "A_noun": upper_first(word.with_article)}
    return writer.say("scene.single", slots)


def _unique(facts: SceneFacts) -> list[Entity]:
    """Things identified by their noun, with the target when it has no rival."""
    own = [] if facts.rivals else [facts.target]
    # A table has no order with what stands on it.
    return sorted([*(a for a in facts.anchors if a.label != TABLE), *own], key=lambda e: e.x)


def _in_plain_order(facts: SceneFacts, entities: list[Entity]) -> list[Entity]:
    """Greedy run from the left in which each thing is clearly left of the next."""
    chain: list[Entity] = []
    for entity in entities:
        if not chain or wholly_left(chain[-1], entity, facts.width):
            chain.append(entity)
    return chain


def _others(facts: SceneFacts, writer: Writer, along: Sequence[int]) -> str:
    """What stays: of a part its whole; else identified neighbors, or the other instances of its class."""
    word = noun(facts.target.label)
    if facts.part is not None:
        return writer.say("others_whole", {"noun": word.one})
    # Named ones only: a doubtful "other vase" may be a flower pot.
    same = [e for e in facts.named if e.label == facts.target.label and e.index != facts.target.index]
    stay = [a for a in facts.anchors if a.index not in along]
    near = sorted(stay, key=lambda a: (gap(a.box, facts.target.box), a.index))[:2]
    options: list[str] = []
    if near:
        things = writer.listing([f"the {noun(a.label).one}" for a in near])
        several = len(near) > 1 or noun(near[0].label).pair
        name = "others_named" if several else "others_named_one"
        options.append(writer.say(name, {"things": things, "Things": upper_first(things)}))
    if len(same) > 1 or (same and len(facts.rivals) == 1):
        name = "others_same" if len(same) > 1 else "others_same_one"
        options.append(writer.say(name, {"many": word.many, "noun": word.one}))
    if not options:
        options.append(writer.say("others_none", {}))
    return options[writer.draw("others", len(options))]
