"""Class labels as nouns in sentences: singular, plural, article, kind, and what they may be confused with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import inflect

from prompts import load_data

DATA = "nouns"
"""Name of the word list in ``prompts``."""

DEFAULT_MISSED = 0.1
"""``missed`` of labels without an entry, or without that field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Noun:
    """A class noun.

    Attributes:
        label: the detector's lower-case label.
        one, many: singular and plural as written in a sentence.
        kind: coarse kind (``person``, ``animal``, ``furniture`` …; ``thing`` when unknown).
        also: other words that a text may use for it, singular and plural.
        like: labels that a viewer or a detector may take it for.
        missed: chance, 0..1, that the detector overlooks another instance in the picture.
        colors: the only colors it may be given; empty: any.
        pair: a plural word for one thing (trousers), which takes plural verbs and no article.
        covers: of a garment: the parts of the body that it covers (``torso``, ``legs``).
        is_place: whether the noun also means a place on its owner, so that "the top of" would be misread.
    """

    label: str
    one: str
    many: str
    kind: str
    also: tuple[str, ...]
    like: tuple[str, ...]
    missed: float
    colors: tuple[str, ...]
    pair: bool = False
    covers: tuple[str, ...] = ()
    is_place: bool = False

    @property
    def with_article(self) -> str:
        """``a chair``, ``an umbrella``, ``trousers``."""
        return self.described("")

    def described(self, adjective: str) -> str:
        """``a red chair``, ``an old umbrella``, ``blue trousers``; without an adjective the bare noun."""
        phrase = f"{adjective} {self.one}" if adjective else self.one
        return phrase if self.pair else f"{article(phrase)} {phrase}"


@cache
def noun(label: str) -> Noun:
    """The noun of a label; an unknown label stands for itself, with its plural by rule."""
    entry = load_data(DATA).get(label, {})
    one = str(entry.get("say", label))
    return Noun(
        label=label,
        one=one,
        many=str(entry["plural"]) if "plural" in entry else regular_plural(one),
        kind=str(entry.get("kind", "thing")),
        also=tuple(str(word) for word in entry.get("also", ())),
        like=tuple(str(word) for word in entry.get("like", ())),
        missed=float(entry.get("missed", DEFAULT_MISSED)),
        colors=tuple(str(color) for color in entry.get("colors", ())),
        pair=bool(entry.get("pair", False)),
        covers=tuple(str(where) for where in entry.get("covers", ())),
        is_place=bool(entry.get("place", False)),
    )


@cache
def known_labels() -> tuple[str, ...]:
    """The labels of the word list, in its order."""
    return tuple(str(label) for label in load_data(DATA))


def article(phrase: str) -> str:
    """``a`` or ``an``, by the sound of the phrase's first word."""
    return _english().a(phrase).partition(" ")[0] if phrase else "a"


def regular_plural(noun_phrase: str) -> str:
    """The plural of a noun phrase: bus -> buses, wine glass -> wine glasses, shelf -> shelves."""
    return _english().plural_noun(noun_phrase)


@cache
def _english() -> inflect.engine:
    return inflect.engine()


def may_be(label: str, other: str) -> bool:
    """Whether something labeled ``other`` could be called by the noun of ``label``: the same or a similar class.

    Not symmetric: a laptop may be taken for its keyboard, but a keyboard is never taken for a laptop.
    """
    return label == other or other in noun(label).like
