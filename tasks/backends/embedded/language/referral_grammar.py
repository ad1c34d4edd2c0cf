"""A small grammar for references: from the words of an instruction to constraints on the object meant.

    reference  =  ["the"] part ("of" | "worn by" | "that") whole ["is wearing"]  |  whole "'s" part  |  whole
    whole      =  ["the"] {size | color | ordinal | extreme} NOUN {modifier}  |  "the" color "one of the" NOUN
    part       =  [color] NOUN, one that names parts of the scene
    modifier   =  (left_of | right_of | above | below | on | next_to | in_front | with) NOUN  |  between NOUN NOUN
               |  nearest NOUN  |  camera  |  ordinal count_side  |  count_side  |  extreme  |  half_side  |  zone
               |  corner  |  edge
               |  size
               |  ("in" | "wearing") ["the" | "a"] color [garment NOUN]

The first noun is the object, but for an addition, where it is the noun after the place; a color after it belongs to the
edit. Unknown words constrain nothing, so that more objects fit and the reference counts as ambiguous.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from tasks.backends.embedded.language.text_facts import WordFact, scan

ONE_NOUN = frozenset(
    {"left_of", "right_of", "above", "below", "nearest", "on", "next_to", "in_front", "with"}
)
"""Relations to the next noun."""

_PLACES = ("zone_", "corner_", "edge_")

_ADDED = re.compile(
    r"^(?:please |could you |i would like you to )*(?:add|put|place|insert)\b.*?"
    r"\b(?:(?:to|on) the (?:left|right) of|next to|beside|behind|in (?:front|place) of|on)"
    r"(?= the\b)"
)
"""What comes before the words for the target in an order to add something to it."""

_WRITING = re.compile(r"\b(?:writing|number) on(?= the\b)")
"""The edited writing is on the target, which says nothing about where the target is."""

_CLAD = re.compile(r"^(?:who is |that is )?(?:dressed |clad )?(?:in|wearing)(?: the| an?)?$")
_PART_FIRST = re.compile(r"^(?:of|worn by|that) the$")
_ONE_OF = re.compile(r"^(?:one|ones) of the$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """A relation and the labels it refers to (none for ``camera``, halves, zones, corners and edges)."""

    name: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Clothes:
    """A color that is worn, and the garment's label, ``""`` where only the color is said."""

    color: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Referral:
    """Constraints on the object meant.

    Attributes:
        label: class of the thing; ``""`` where only a part is named.
        color: color adjective, or ``""``.
        size: ``largest``, ``smallest``, ``tallest``, ``shortest`` or ``""``.
        rank, side: ordinal and the side (``left``, ``right``) it counts from; 0 and ``""`` when there is none.
        relations: in the order of the words.
        clothes: what the thing wears, or None.
        part: label of its part that is meant, ``""`` for the thing itself; ``part_color`` is the part's adjective.
    """

    label: str
    color: str
    size: str
    rank: int
    side: str
    relations: tuple[Relation, ...]
    clothes: Clothes | None = None
    part: str = ""
    part_color: str = ""


def parse_referral(instruction: str, labels: Iterable[str], parts: Iterable[str] = ()) -> Referral | None:
    """The constraints in an instruction, or None when it names no class.

    Args:
        instruction: one sentence.
        labels: class labels of the scene, so that unknown nouns are found.
        parts: those of them that name parts of other objects.
    """
    text = words_for_target(instruction)
    every = frozenset(parts)
    words = list(scan(text, {*labels, *every}))
    part, part_color = _take_part(text, words, every)
    clothes = _take_clothes(text, words)
    head = next((i for i, word in enumerate(words) if word.kind == "noun"), None)
    if head is None and not part:
        return None
    head = len(words) if head is None else head
    before, after = words[:head], words[head + 1 :]
    rank, side = _order(words)
    return Referral(
        label=words[head].value if head < len(words) else "",
        color=_color_of(text, before, words[head]) if head < len(words) else "",
        size=next((w.value for w in words if w.kind == "size"), ""),
        rank=rank,
        side=side,
        relations=tuple(_relations(after)),
        clothes=clothes,
        part=part,
        part_color=part_color,
    )


def words_for_target(instruction: str) -> str:
    """The instruction in lower case, with blanks for what an addition puts beside its target."""
    text = without_writing(instruction)
    added = _ADDED.search(text)
    return " " * added.end() + text[added.end() :] if added else text


def without_writing(instruction: str) -> str:
    """The instruction in lower case, with "the writing on" blanked out."""
    return _WRITING.sub(lambda found: " " * len(found.group()), instruction.lower())


def _take_part(text: str, words: list[WordFact], parts: frozenset[str]) -> tuple[str, str]:
    """Removes the words for a part from ``words``: the part's label and color, ``""`` each when the whole is meant."""
    nouns = [i for i, word in enumerate(words) if word.kind == "noun"]
    for i, at in enumerate(nouns):
        word = words[at]
        if word.value not in parts:
            continue
        owned = text[: word.start].rstrip().endswith(("'s", "’s")) or (
            at > 0
            and words[at - 1].kind == "color"
            and _between(text, words[at - 1], word) == ""
            and text[: words[at - 1].start].rstrip().endswith(("'s", "’s"))
        )
        following = words[at + 1 : nouns[i + 1] + 1] if i + 1 < len(nouns) else []
        linked = bool(following) and _PART_FIRST.match(_between(text, word, following[0])) is not None
        if not (owned or linked or i == 0):
            continue
        color = _color_of(text, words[:at], word)
        drop = {at} | ({at - 1} if color else set())
        words[:] = [each for j, each in enumerate(words) if j not in drop]
        return word.value, color
    return "", ""


def _take_clothes(text: str, words: list[WordFact]) -> Clothes | None:
    """Removes "in the red top", "wearing red", right after a noun, from ``words``."""
    for at, word in enumerate(words[:-1]):
        color = words[at + 1]
        if word.kind != "noun" or color.kind != "color" or not _CLAD.match(_between(text, word, color)):
            continue
        worn = words[at + 2] if at + 2 < len(words) else None
        is_named = worn is not None and worn.kind == "noun" and _between(text, color, worn) == ""
        del words[at + 1 : at + 3 if is_named else at + 2]
        return Clothes(color=color.value, label=worn.value if worn is not None and is_named else "")
    return None


def _color_of(text: str, before: list[WordFact], noun: WordFact) -> str:
    """Only adjectives right before the noun: in "recolor to blue the cup" blue is the argument."""
    for word in before:
        if word.kind != "color":
            continue
        if _adjacent(word, noun, before) or _ONE_OF.match(_between(text, word, noun)):
            return word.value
    return ""


def _adjacent(color: WordFact, noun: WordFact, before: list[WordFact]) -> bool:
    """Whether only other adjectives stand between a color and the noun."""
    return noun.start - color.end <= 1 + sum(w.end - w.start + 1 for w in before if w.start > color.start)


def _between(text: str, first: WordFact, second: WordFact) -> str:
    return " ".join(text[first.end : second.start].replace(",", " ").split())


def _order(words: list[WordFact]) -> tuple[int, str]:
    for word in words:
        if word.value in {"most_left", "most_right"}:
            return 1, word.value.removeprefix("most_")
    ordinal = next((int(w.value) for w in words if w.kind == "ordinal"), 0)
    side = next((w.value.removeprefix("count_") for w in words if w.value.startswith("count_")), "")
    return (ordinal or (1 if side else 0)), side


def _relations(after: list[WordFact]) -> Iterable[Relation]:
    for i, word in enumerate(after):
        if word.kind != "side":
            continue
        nouns = [w.value for w in after[i + 1 :] if w.kind == "noun"]
        if word.value in ONE_NOUN and nouns:
            yield Relation(name=word.value, labels=(nouns[0],))
        elif word.value == "between" and len(nouns) >= 2:
            yield Relation(name="between", labels=(nouns[0], nouns[1]))
        elif word.value in {"camera", "half_left", "half_right"} or word.value.startswith(_PLACES):
            yield Relation(name=word.value)
