"""The words for a reference, and the slots of the sentences about an edit."""

from __future__ import annotations

from tasks.backends.embedded.language.agreement import agreeing
from tasks.backends.embedded.language.arguments import Argument
from tasks.backends.embedded.language.descriptions import zone
from tasks.backends.embedded.language.realization import Writer, upper_first, with_article
from tasks.backends.embedded.language.reference import COLORED, Reference
from tasks.backends.embedded.language.scene_facts import GARMENT, SceneFacts, has_color_name, part
from tasks.backends.embedded.nouns import noun

_ENDS = {"left": 0, "right": 2}
"""Sides of the picture as the numbers that `part` gives them."""

NUMBER, WRITING = "number", "writing"
"""What a thing's lettering is called, by what it is to say."""


def say_reference(reference: Reference, facts: SceneFacts, writer: Writer) -> str:
    """The reference to the target as a noun phrase that begins with ``the``; a part is told by its whole."""
    if reference.kind == "part_color":
        word = noun(facts.edited.label)
        return writer.say("reference.part_color", {"noun": f"{reference.color} {word.one}"})
    whole = _say_whole(reference, facts, writer)
    if facts.part is None:
        return whole
    word = noun(facts.part.label)
    paths = [] if word.is_place else ["part.any"]
    paths += ["part.garment"] if word.kind == GARMENT else []
    # "The person on the left's shirt" is English, but no pleasure to read.
    paths += ["part.possessive"] if whole.endswith(noun(facts.target.label).one) else []
    return writer.say(paths or ["part.any"], {"part": word.one, "whole": whole})


def _say_whole(reference: Reference, facts: SceneFacts, writer: Writer) -> str:
    word = noun(facts.target.label)
    kind = reference.kind.removeprefix(COLORED)
    named = reference.color if kind not in {"clothes", "clad", "one_of_its_color"} else ""
    slots = {
        **agreeing(word, writer),
        "noun": f"{named} {word.one}" if named else word.one,
        "many": word.many,
        "side": reference.side,
        "color": reference.color,
        "ordinal": str(writer.entry("ordinals")[reference.rank if kind == "ordinal" else 0]),
        "corner": str(writer.entry("corners").get(reference.rank if kind == "corner" else 0, "")),
        "edge": str(writer.entry("edges").get(reference.side, "")),
        "zone": zone(facts, facts.target, writer),
    }
    for name, anchor in zip(("a", "b"), reference.anchors, strict=False):
        slots[name] = noun(anchor.label).many if reference.group else noun(anchor.label).one
    if kind == "clothes":
        garment = noun(reference.anchors[0].label)
        slots["clothes"] = f"{reference.color} {garment.one}"
        slots["some_clothes"] = garment.described(reference.color)
        # "The skirt worn by the person wearing a red top" has one "wearing" too many.
        kind = "clothes_beside_part" if facts.part is not None else kind
    # A wording with a color uses the patterns of the one without; the color is part of the noun.
    paths = [f"reference.{kind}_of_two" if reference.of_two else f"reference.{kind}"]
    if kind == "extreme" and part(facts.target.x / facts.width) == _ENDS[reference.side]:
        paths.append("reference.extreme_aside")
    return writer.say(paths, slots)


def edit_slots(argument: Argument, facts: SceneFacts, ref: str, writer: Writer) -> dict[str, str]:
    """The slots of instruction, editing and result."""
    own = facts.edited
    word = noun(own.label)
    phrases = writer.entry("effects").get(argument.text, {})
    old = own.color if has_color_name(own) and own.color != word.one else ""
    thing = with_article(argument.thing)
    return {
        **agreeing(word, writer),
        "ref": ref,
        "Ref": upper_first(ref),
        "effect": str(phrases.get("effect", argument.text)),
        "shown": str(phrases.get("shown", argument.text)),
        "noun": word.one,
        "many": word.many,
        "old": old,
        "argument": argument.thing,
        "an_argument": thing,
        "An_argument": upper_first(thing),
        "place": argument.place,
        "writing": NUMBER if argument.text.isdigit() else WRITING,
    }
