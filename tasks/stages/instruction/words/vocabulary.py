"""Meanings of words: nouns by kind and synonyms, colors by measured names, plurals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

from prompts import load_data

WORDS, NOUNS = "gate_vocabulary", "gate_nouns"
"""Names of the word lists in ``prompts``."""

PARTS = frozenset({"garment", "part", "attribute"})
"""Kinds of noun that may be named instead of the thing they belong to."""

ANYTHING, QUANTITY = "anything", "quantity"

_EMPTY = frozenset({"part", "attribute", QUANTITY, ANYTHING})

REPRESENTED = frozenset({"person", "animal", "vehicle"})
"""Kinds that a work of art or a toy may show and be called by."""

NEAR_KINDS = frozenset(
    frozenset(pair)
    for pair in (
        ("food", "tableware"), ("drink", "tableware"), ("food", "drink"), ("plant", "tableware"), ("plant", "food"),
        ("sign", "device"), ("reading", "sign"), ("reading", "device"), ("nature", "building"), ("nature", "plant"),
        ("accessory", "building"), ("sport", "vehicle"), ("instrument", "device"), ("artwork", "building"),
        ("artwork", "sign"), ("artwork", "sport"), ("artwork", "nature"), ("fitting", "building"),
    )
)  # fmt: skip
"""Pairs of kinds whose things are called by each other's nouns (a bowl of soup, a plant in its pot)."""


ANY, ROLE = -1, -2
"""Groups for nouns of every thing of a kind, and of persons by what they do."""


class Relation(StrEnum):
    """How a noun in a text relates to a label of the scene."""

    SAME = "same"
    WIDER = "wider"  # the noun names every thing with the label, and others
    NARROWER = "narrower"  # the noun names only some things with the label
    ALIKE = "alike"  # one thing may have both names
    OTHER = "other"  # no thing has both names
    UNKNOWN = "unknown"


_BASIC = frozenset("black white gray red orange yellow green blue purple pink brown".split())  # noqa: SIM905

FITTING = frozenset({Relation.SAME, Relation.WIDER, Relation.NARROWER, Relation.ALIKE})


@dataclass(frozen=True, slots=True)
class Sense:
    """One entry of a noun: its kind, its group there (or `ANY`, `ROLE`), and whether it heads the group."""

    kind: str
    group: int
    head: bool


@cache
def words() -> Mapping[str, Any]:
    """The vocabulary's sections."""
    return load_data(WORDS)


@cache
def word_set(section: str) -> frozenset[str]:
    """The words of one section."""
    return frozenset(str(word) for word in words()[section])


@cache
def senses() -> Mapping[str, tuple[Sense, ...]]:
    """Every known noun, singular, with its senses."""
    found: dict[str, list[Sense]] = {}
    for kind, entry in load_data(NOUNS).items():
        for word in entry["any"]:
            found.setdefault(str(word), []).append(Sense(kind, ANY, head=True))
        for word in entry.get("roles", ()):
            found.setdefault(str(word), []).append(Sense(kind, ROLE, head=False))
        for number, (heads, narrower) in enumerate((entry.get("groups") or {}).items()):
            for word in str(heads).split(","):
                found.setdefault(word.strip(), []).append(Sense(kind, number, head=True))
            for word in str(narrower or "").split():
                found.setdefault(word.replace("_", " "), []).append(Sense(kind, number, head=False))
    return {word: tuple(of) for word, of in found.items()}


@cache
def _singulars() -> Mapping[str, str]:
    many = {plural(word): word for word in senses()}
    extra = {
        "persons": "person",
        "peoples": "people",
        "cacti": "cactus",
        "flamingos": "flamingo",
        "geckos": "gecko",
    }
    return {**many, **extra, **{word: word for word in senses()}}


@cache
def plural(noun: str) -> str:
    """The plural of a singular noun."""
    for ending, many in words()["plurals"].items():
        if noun.endswith(ending) and (len(ending) > 2 or noun == ending):
            return noun.removesuffix(ending) + str(many)
    if noun.rpartition(" ")[2] in word_set("unchanged"):
        return noun
    if noun.endswith(("s", "x", "z", "ch", "sh")):
        return noun + "es"
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + "s"


def singular(word: str, labels: frozenset[str] = frozenset()) -> str | None:
    """The singular of a known noun or of one of the labels, from singular or plural; None for another word."""
    for label in sorted(labels):
        if word in (label, plural(label)):
            return label
    return _singulars().get(word)


def is_plural(word: str) -> bool:
    """Whether a known noun is in a plural that differs from its singular."""
    one = _singulars().get(word)
    return (one is not None and one != word) or word == "people"


def kinds(noun: str) -> frozenset[str]:
    """The kinds that a singular noun belongs to; empty if it is not known."""
    return frozenset(sense.kind for sense in _senses_of(noun))


def relation(noun: str, label: str) -> Relation:  # noqa: PLR0911
    """How a singular noun relates to a label; both lower-case."""
    if noun == label or plural(label) == noun:
        return Relation.SAME
    if noun in ("people", "crowd"):
        noun = "person"
    said, meant = _senses_of(noun), _senses_of(label)
    if any(sense.kind == ANYTHING for sense in said):
        return Relation.WIDER
    if not said or not meant:
        return _by_last_word(noun, label)
    if genders(noun) and genders(label) and genders(noun).isdisjoint(genders(label)):
        return Relation.OTHER
    pairs = [_compare(a, b) for a in said for b in meant]
    for best in (Relation.SAME, Relation.WIDER, Relation.NARROWER, Relation.ALIKE):
        if best in pairs:
            return best
    if "person" in kinds(noun) & kinds(label):
        # Viewers may disagree whether a young woman is a child.
        return Relation.ALIKE
    if noun.endswith(label) or label.endswith(noun):  # a board may be a surfboard
        return Relation.ALIKE
    return Relation.OTHER if Relation.UNKNOWN not in pairs else Relation.UNKNOWN


def are_different(noun: str, other: str) -> bool:
    """Whether two nouns for one new thing cannot both be right: different kinds, or different groups of one kind."""
    first, second = kinds(noun), kinds(other)
    if not first or not second or (first | second) & {"part", "attribute", ANYTHING, QUANTITY}:
        return False
    if first & second:
        return relation(noun, other) is Relation.OTHER and relation(other, noun) is Relation.OTHER
    near = {("garment", "accessory"), ("garment", "sport"), ("garment", "bag")}
    return not any(
        frozenset((a, b)) in NEAR_KINDS or (a, b) in near or (b, a) in near for a in first for b in second
    )


def are_other_garments(noun: str, other: str) -> bool:
    """Whether no garment has both names (a shirt, trousers); false where one of them is no garment."""
    first, second = ([s for s in _senses_of(each) if s.kind == "garment"] for each in (noun, other))
    pairs = [_compare(a, b) for a in first for b in second]
    return bool(pairs) and all(pair is Relation.OTHER for pair in pairs)


def color_names(word: str) -> frozenset[str]:
    """The measured color names that a color word may stand for; empty for another word."""
    colors: Mapping[str, list[str]] = words()["colors"]
    if word in colors:
        return frozenset(colors[word])
    if word.endswith("ish"):
        stem = {"redd": "red", "blu": "blue", "purpl": "purple", "whit": "white", "orang": "orange"}.get(
            word[:-3], word[:-3]
        )
        return frozenset(words()["shades"]["pale"]) | color_names(stem) if stem in colors else frozenset()
    if "-" in word:
        parts = [color_names(part) for part in word.split("-") if part]
        return frozenset().union(*parts)
    return frozenset()


@cache
def measured_names(color: str) -> frozenset[str]:
    """The measured names that a thing's stated color may stand for; empty if it is not informative (``mixed``)."""
    if color in _BASIC:
        return frozenset({color})
    found = [color_names(word) for word in color.split()]
    shades = [frozenset(words()["shades"].get(word, ())) for word in color.split()]
    return frozenset().union(*found, *shades) if any(found) else frozenset()


def same_color(one: str, other: str) -> bool:
    """Whether two color words may name one color: equal words, or a shade and a color it may be."""
    one, other = canonical_color(one), canonical_color(other)
    if one == other:
        return True
    return not {one, other} <= _BASIC and bool(color_names(one) & color_names(other))


def canonical_color(word: str) -> str:
    """One name for all words of a color (grey and gray, golden and gold)."""
    return str(words()["color_names"].get(word, word))


def canonical_material(word: str) -> str:
    """One name for all words of a material (metallic and metal)."""
    return str(words()["material_names"].get(word, word))


def _senses_of(noun: str) -> tuple[Sense, ...]:
    found = senses().get(noun)
    if found is None and " " in noun:  # "red brick house" is a house
        found = senses().get(_singulars().get(noun.rpartition(" ")[2], ""))
        if found is not None and any(
            sense.kind in _EMPTY for sense in found
        ):  # a chess piece is not a quantity
            found = ()
    if found is None:
        found = senses().get(_singulars().get(noun, ""), ())
    return found


def _by_last_word(noun: str, label: str) -> Relation:
    """Labels such as ``samovar stand`` are known by their last word only."""
    last, own = noun.rpartition(" ")[2], label.rpartition(" ")[2]
    if last == own:
        return Relation.WIDER if " " in label else Relation.NARROWER
    return Relation.UNKNOWN


def _compare(said: Sense, meant: Sense) -> Relation:
    if said.kind != meant.kind:
        return _compare_kinds(said.kind, meant.kind)
    if said.group == meant.group:
        if said.head and meant.head:
            return Relation.SAME
        return Relation.WIDER if said.head else Relation.NARROWER if meant.head else Relation.ALIKE
    if said.group == ANY:
        return Relation.WIDER
    if meant.group == ANY:
        return Relation.NARROWER
    return Relation.ALIKE if ROLE in (said.group, meant.group) else Relation.OTHER


def _compare_kinds(said: str, meant: str) -> Relation:
    pair = {said, meant}
    if pair & (PARTS | {QUANTITY, ANYTHING}) or frozenset(pair) in NEAR_KINDS:
        return Relation.UNKNOWN
    if "artwork" in pair and pair & REPRESENTED:
        return Relation.UNKNOWN
    return Relation.OTHER


def genders(noun: str) -> frozenset[str]:
    """``female`` or ``male`` for a noun that states it of a person."""
    found = set()
    for word, gender in (("woman", "female"), ("man", "male")):
        group = senses()[word][0].group
        if any(sense.kind == "person" and sense.group == group for sense in _senses_of(noun)):
            found.add(gender)
    return frozenset(found)
