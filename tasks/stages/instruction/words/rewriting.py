"""Gates on the final words: the rewriting contradicts nothing, and the referrer finds the target."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tasks.records.records import EditType
from tasks.stages.instruction.words.appearance import color, size
from tasks.stages.instruction.words.counting import axis_of
from tasks.stages.instruction.words.draft import Draft, Finding, finding
from tasks.stages.instruction.words.nouns import noun
from tasks.stages.instruction.words.orders import types_of
from tasks.stages.instruction.words.ordinals import ordinal
from tasks.stages.instruction.words.reading import Order, Reading
from tasks.stages.instruction.words.results import new_things, quoted_result
from tasks.stages.instruction.words.sides import side
from tasks.stages.instruction.words.tokens import plain
from tasks.stages.instruction.words.vocabulary import (
    FITTING,
    Relation,
    are_different,
    canonical_color,
    color_names,
    genders,
    relation,
    same_color,
    words,
)

_ADVERB_AFTER_RIGHT = re.compile(
    r"\bright(?=\s+(?:next|behind|in front|beside|above|below|under|at|on top|after|before|by|near|there|here|now|"
    r"across|outside|inside|where|over|angle|up|down|between|beneath|against|alongside)\b)"
)
_COUNTED_FROM = re.compile(
    r"\bfrom (?:the )?(?:far )?(?:left|right|top|bottom)\b|\b(?:left|right)(?:-)?most\b"
)
"""Ranks and extremes may be counted from the other side; boxes decide whether that is equivalent."""

_LEFT_AS_VERB = re.compile(
    r"\b(?:is|are|be|was|were|been|what's)\s+left\b|\bleft\s+(?:behind|over|out|intact|unchanged|alone|untouched)\b"
)


def rewriting(draft: Draft) -> Finding:
    """The rewriting may drop and add words, but must not contradict the instruction."""
    if draft.reply is None or not draft.rewritten:
        return finding([], decided=False)
    (_, before, order_before), (_, after, order_after) = list(draft.orders())
    faults = [
        *_swapped("side", _sides(before), _sides(after)),
        *_swapped_ordinals(before, after),
        *_swapped("size", _sizes(before), _sizes(after)),
        *_swapped_colors(before, after),
        *_swapped("number", _numbers(before), _numbers(after)),
        *_other_thing(draft, order_before, order_after),
        *_other_company(draft, before, after),
        *_other_result(draft, before, after, order_before, order_after),
    ]
    for gate in (side, ordinal, size, color, noun):
        said = gate(draft).faults
        if not any(fault.startswith("instruction ") for fault in said):
            faults += [fault for fault in said if fault.startswith("rewriting ")]
    types_before, types_after = types_of(before, order_before), types_of(after, order_after)
    if types_before.isdisjoint(types_after):
        faults.append(f"{' or '.join(sorted(types_before))} became {' or '.join(sorted(types_after))}")
    return finding(faults, decided=True)


def round_trip(draft: Draft) -> Finding:
    """The referrer, given only the final words, finds the target and nothing else."""
    if draft.referred is None:
        return finding([], decided=False)
    found, expected = sorted(set(draft.referred)), sorted(draft.scene.target)
    faults = (
        [] if found == expected else [f"the words lead to {found or 'nothing'}, the target is {expected}"]
    )
    return finding(faults, decided=True)


def _swapped(kind: str, before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Values of one fact that both texts state and that differ completely: {fact: value}."""
    return [
        f"{kind} {value} became {after[fact]}"
        for fact, value in sorted(before.items())
        if fact in after and after[fact] != value
    ]


def _sides(reading: Reading) -> dict[str, str]:
    """The left or right, and the top or bottom, that a text names in any sense."""
    text = plain(reading.text)
    for pattern in (_COUNTED_FROM, _ADVERB_AFTER_RIGHT, _LEFT_AS_VERB):
        text = pattern.sub(" ", text)
    found = {}
    for fact, sides in (
        (
            "across",
            {"left": r"\bleft(?:most|-hand|-most|ward)?\b", "right": r"\bright(?:most|-hand|-most|ward)?\b"},
        ),
        ("along", {"top": r"\b(?:top|upper|uppermost)\b", "bottom": r"\b(?:bottom|lower|lowest)\b"}),
        ("depth", {"front": r"\bforeground\b", "back": r"\bbackground\b"}),
    ):
        named = [side for side, pattern in sides.items() if re.search(pattern, text)]
        if len(named) == 1:
            found[fact] = named[0]
    return found


def _swapped_ordinals(before: Reading, after: Reading) -> list[str]:
    first, second = _ordinals(before), _ordinals(after)
    if not first or not second:
        return []
    shared = set(first) & set(second)
    wrong = [axis for axis in sorted(shared) if first[axis] != second[axis]]
    if not shared and ("" in first or "" in second):
        said = {value for values in first.values() for value in values} - {-1}
        now = {value for values in second.values() for value in values} - {-1}
        if not said or not now:
            return []
        return [f"ordinal {sorted(said)} became {sorted(now)}"] if said.isdisjoint(now) else []
    return [f"ordinal {sorted(first[axis])} became {sorted(second[axis])}" for axis in wrong]


def _ordinals(reading: Reading) -> dict[str, frozenset[int]]:
    """Ranks by start of counting; ``leftmost`` is the first from the left."""
    found: dict[str, frozenset[int]] = {}
    for phrase in reading.phrases:
        following = reading.word(phrase.end - 1)
        if phrase.ordinals and following not in words()["not_counted"]:
            kind = f"{phrase.noun} " if phrase.noun in words()["rows"] else ""
            axis = kind + axis_of(reading, phrase)[0]
            found[axis] = found.get(axis, frozenset()) | frozenset(phrase.ordinals)
        if phrase.side in ("leftmost", "rightmost"):
            found[phrase.side.removesuffix("most")] = frozenset({1})
    return found


def _sizes(reading: Reading) -> dict[str, str]:
    found: dict[str, set[int]] = {}
    for section in ("superlatives", "comparatives", "positives"):
        for word, (measure, direction) in words()[section].items():
            if re.search(rf"\b{word}\b", reading.text.lower()):
                found.setdefault(str(measure), set()).add(int(direction))
    return {
        measure: "large" if 1 in directions else "small"
        for measure, directions in found.items()
        if len(directions) == 1
    }


def _numbers(reading: Reading) -> dict[str, str]:
    return {
        str(phrase.noun): str(phrase.number)
        for phrase in reading.phrases
        if phrase.number and phrase.noun and phrase.noun != "one"
    }


def _swapped_colors(before: Reading, after: Reading) -> list[str]:
    """A color that is missing while an incompatible one was added."""
    first, second = _colors(before), _colors(after)
    lost = {color for color in first if not any(same_color(color, other) for other in second)}
    new = {color for color in second if not any(same_color(color, other) for other in first)}
    if lost and new:
        return [f"color {', '.join(sorted(lost))} became {', '.join(sorted(new))}"]
    return []


def _colors(reading: Reading) -> set[str]:
    return {canonical_color(token.text) for token in reading.tokens if color_names(token.text)}


def _other_thing(draft: Draft, before: Order, after: Order) -> list[str]:
    """The rewriting's thing cannot be the target, although the instruction's is."""
    if before.target is None or not after.chain:
        return []
    word, first = after.chain[-1].noun, before.target.noun
    if word is None or not after.chain[-1].certain or first is None:
        return []
    if after.denotes is Relation.OTHER:
        return [f"noun {first} became {word}"]
    if (
        after.denotes in FITTING
        and relation(word, first) is Relation.OTHER
        and relation(first, word) is Relation.OTHER
    ):
        return [f"noun {first} became {word}"]
    return []


def _other_company(draft: Draft, before: Reading, after: Reading) -> list[str]:
    """Things around the target that were replaced by others of the scene; and men that became women."""
    first, second = _nouns(before), _nouns(after)
    labels = {thing.label for thing in draft.scene.things} - {thing.label for thing in draft.scene.targets}
    lost = {label for label in labels & first if not any(_may_mean(noun, label) for noun in second)}
    new = {label for label in labels & second if not any(_may_mean(noun, label) for noun in first)}
    if lost and new:
        return [f"noun {', '.join(sorted(lost))} became {', '.join(sorted(new))}"]
    was, now = ({gender for noun in nouns for gender in genders(noun)} for nouns in (first, second))
    if was and now and was.isdisjoint(now):
        return [f"{', '.join(sorted(was))} became {', '.join(sorted(now))}"]
    return []


def _nouns(reading: Reading) -> set[str]:
    return {phrase.noun for phrase in reading.phrases if phrase.noun and phrase.noun != "one"}


def _may_mean(noun: str, label: str) -> bool:
    return relation(noun, label) is not Relation.OTHER


def _other_result(
    draft: Draft, before: Reading, after: Reading, order_before: Order, order_after: Order
) -> list[str]:
    """What the target becomes, or what is added, is another thing or another writing."""
    faults = []
    if draft.edit_type in (EditType.REPLACE, EditType.ADD):
        first = new_things(before, order_before, draft.edit_type)
        second = new_things(after, order_after, draft.edit_type)
        if first and second and all(are_different(a, b) for a in first for b in second):
            faults.append(f"{', '.join(first)} became {', '.join(second)}")
    if draft.edit_type is EditType.COLOR:
        named = {
            canonical_color(word)
            for word in re.findall(r"[a-z]+", draft.argument.lower())
            if color_names(word)
        }
        if (
            named
            and not any(same_color(a, b) for a in named for b in _colors(after))
            and _colors(before) & named
        ):
            faults.append(f"the color {', '.join(sorted(named))} is lost")
    first_text, second_text = quoted_result(before.text), quoted_result(after.text)
    if first_text and second_text and first_text.lower() != second_text.lower():
        faults.append(f"writing {first_text!r} became {second_text!r}")
    return faults
