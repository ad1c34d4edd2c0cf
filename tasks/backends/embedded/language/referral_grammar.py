"""A small grammar for references: from the words of an instruction to constraints on the object meant.

    reference  =  ["the"] {size | color | ordinal | extreme} NOUN {modifier}
    modifier   =  (left_of | right_of | above | below | on) NOUN  |  between NOUN NOUN  |  nearest NOUN  |  camera
               |  ordinal count_side  |  count_side  |  extreme  |  half_side  |  zone  |  size

The first noun is the object; a color after it belongs to the edit. Unknown words constrain nothing, so that more
objects fit and the reference counts as ambiguous.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tasks.backends.embedded.language.text_facts import WordFact, scan

ONE_NOUN = frozenset({"left_of", "right_of", "above", "below", "nearest", "on"})
"""Relations to the next noun."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """A relation and the labels it refers to (none for ``camera``, halves and zones)."""

    name: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Referral:
    """Constraints on the object meant.

    Attributes:
        label: class of the thing.
        color: color adjective, or ``""``.
        size: ``largest``, ``smallest`` or ``""``.
        rank, side: ordinal and the side (``left``, ``right``) it counts from; 0 and ``""`` when there is none.
        relations: in the order of the words.
    """

    label: str
    color: str
    size: str
    rank: int
    side: str
    relations: tuple[Relation, ...]


def parse_referral(instruction: str, labels: Iterable[str]) -> Referral | None:
    """The constraints in an instruction, or None when it names no class.

    Args:
        instruction: one sentence.
        labels: class labels of the scene, so that unknown nouns are found.
    """
    words = scan(instruction, labels)
    head = next((i for i, word in enumerate(words) if word.kind == "noun"), None)
    if head is None:
        return None
    before, after = words[:head], words[head + 1 :]
    rank, side = _order(words)
    return Referral(
        label=words[head].value,
        # Only adjectives right before the noun: in "recolor to blue the cup" blue is the argument.
        color=next((w.value for w in before if w.kind == "color" and _adjacent(w, words[head], before)), ""),
        size=next((w.value for w in words if w.kind == "size"), ""),
        rank=rank,
        side=side,
        relations=tuple(_relations(after)),
    )


def _adjacent(color: WordFact, noun: WordFact, before: tuple[WordFact, ...]) -> bool:
    """Whether only other adjectives stand between a color and the noun."""
    return noun.start - color.end <= 1 + sum(w.end - w.start + 1 for w in before if w.start > color.start)


def _order(words: tuple[WordFact, ...]) -> tuple[int, str]:
    for word in words:
        if word.value in {"most_left", "most_right"}:
            return 1, word.value.removeprefix("most_")
    ordinal = next((int(w.value) for w in words if w.kind == "ordinal"), 0)
    side = next((w.value.removeprefix("count_") for w in words if w.value.startswith("count_")), "")
    return (ordinal or (1 if side else 0)), side


def _relations(after: tuple[WordFact, ...]) -> Iterable[Relation]:
    for i, word in enumerate(after):
        if word.kind != "side":
            continue
        nouns = [w.value for w in after[i + 1 :] if w.kind == "noun"]
        if word.value in ONE_NOUN and nouns:
            yield Relation(name=word.value, labels=(nouns[0],))
        elif word.value == "between" and len(nouns) >= 2:
            yield Relation(name="between", labels=(nouns[0], nouns[1]))
        elif word.value in {"camera", "half_left", "half_right"} or word.value.startswith("zone_"):
            yield Relation(name=word.value)
