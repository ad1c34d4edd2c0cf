"""How a class label is said in a sentence: noun, plural, article, kind, and what it may be taken for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from prompts import load_data

DATA = "nouns"
"""The word list's name in ``prompts``."""

DEFAULT_MISSED = 0.1
"""Chance that a detector overlooks another instance, for labels the list doesn't know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Noun:
    """A class noun.

    Attributes:
        label: the detector's lower-case label.
        one, many: as written in a sentence.
        kind: coarse kind (``person``, ``animal``, ``furniture`` …; ``thing`` when unknown).
        also: other words that a text may use for it, singular and plural.
        like: labels that a viewer or a detector may take it for.
        missed: chance, 0..1, that the detector overlooks another instance in the picture.
        colors: the only colours it may be given; empty when any will do.
    """

    label: str
    one: str
    many: str
    kind: str
    also: tuple[str, ...]
    like: tuple[str, ...]
    missed: float
    colors: tuple[str, ...]

    @property
    def with_article(self) -> str:
        """``a chair``, ``an umbrella``."""
        return f"{article(self.one)} {self.one}"


@cache
def noun(label: str) -> Noun:
    """The noun of a label; an unknown label is said as it is, with a regular plural."""
    entry = load_data(DATA).get(label, {})
    one = str(entry.get("say", label))
    return Noun(
        label=label,
        one=one,
        many=str(entry.get("plural", regular_plural(one))),
        kind=str(entry.get("kind", "thing")),
        also=tuple(str(word) for word in entry.get("also", ())),
        like=tuple(str(word) for word in entry.get("like", ())),
        missed=float(entry.get("missed", DEFAULT_MISSED)),
        colors=tuple(str(color) for color in entry.get("colors", ())),
    )


@cache
def known_labels() -> tuple[str, ...]:
    """The labels of the word list, in its order."""
    return tuple(str(label) for label in load_data(DATA))


def article(word: str) -> str:
    """``a`` or ``an`` before a word."""
    return "an" if word[:1].lower() in "aeiou" and not word.lower().startswith(("uni", "eu", "one")) else "a"


def regular_plural(word: str) -> str:
    """The plural by rule: bus -> buses, berry -> berries, dog -> dogs."""
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return word + "es"
    if word.endswith("y") and word[-2:-1] not in "aeiou":
        return word[:-1] + "ies"
    return word + "s"


def may_be(label: str, other: str) -> bool:
    """Whether something labelled ``other`` might be called by the noun of ``label``: the same, or alike.

    Not symmetric: a laptop has a keyboard, but nobody takes a keyboard for a laptop.
    """
    return label == other or other in noun(label).like
