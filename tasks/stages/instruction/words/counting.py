"""Which things a phrase counts, and how: the peers of a target and the axis of an ordinal."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.imaging.geometry import intersection
from tasks.stages.instruction.words.phrases import NounPhrase
from tasks.stages.instruction.words.reading import Reading
from tasks.stages.instruction.words.scene import Peers, Thing, WordScene, rows
from tasks.stages.instruction.words.vocabulary import (
    ANYTHING,
    FITTING,
    PARTS,
    Relation,
    kinds,
    measured_names,
    relation,
    word_set,
    words,
)

AHEAD = 14
"""Number of tokens after a phrase within which ``from the left`` still belongs to it."""

STARTS = {
    "left": "left",
    "right": "right",
    "top": "top",
    "bottom": "bottom",
    "left-hand": "left",
    "right-hand": "right",
}


@dataclass(frozen=True, slots=True)
class Counted:
    """Nouns and adjectives with a number that agrees with the scene, so that they include all of those things."""

    nouns: frozenset[str] = frozenset()
    modifiers: frozenset[str] = frozenset()

    def holds(self, noun: str | None) -> bool:
        """Whether the noun was counted, alone or as the end of another one (``player`` of ``soccer player``)."""
        return any(noun == each or each.endswith(f" {noun}") for each in self.nouns)


NOTHING_COUNTED = Counted()


def axis_of(reading: Reading, phrase: NounPhrase) -> tuple[str, int]:
    """Where an ordinal starts counting, and the token of ``from``.

    Returns:
        (``left``, ``right``, ``top`` or ``bottom``; ``other`` for a start unknown to boxes; ``""`` if none, index).
    """
    sentence_end = reading.sentence_end(phrase.start)
    for index in range(phrase.end, min(sentence_end, phrase.end + AHEAD)):
        if reading.word(index) in words()["ordinals"]:
            break
        if start := _start_at(reading, index):
            return start, index
    for index in range(reading.sentence_start(phrase.start), phrase.start):
        if start := _start_at(reading, index):
            return start, index
    return "", phrase.end


def peers_of(
    reading: Reading,
    phrase: NounPhrase,
    scene: WordScene,
    axis_at: int | None = None,
    counted: Counted = NOTHING_COUNTED,
) -> Peers:
    """The things that a phrase with an ordinal, superlative or number counts.

    Args:
        reading: the phrase's text.
        phrase: of that text.
        scene: the detected things.
        axis_at: token of the ``from`` at which an ordinal starts counting.
        counted: phrases of the texts whose number agrees with the scene.
    """
    narrowed = is_narrowed(reading, phrase, scene, axis_at, counted)
    sure: list[Thing] = []
    maybe: list[Thing] = []
    for thing in scene.things:
        fits = _counted(phrase, thing, scene)
        if fits is None:
            continue
        fits = fits or (counted.holds(phrase.noun) and not phrase.colors)
        if thing in scene.targets:
            sure.append(thing)
        else:
            (sure if fits and not narrowed else maybe).append(thing)
    maybe += [thing for thing in scene.weak if _counted(phrase, thing, scene) is not None]
    return Peers(sure=tuple(sure), maybe=tuple(maybe))


def is_narrowed(
    reading: Reading,
    phrase: NounPhrase,
    scene: WordScene,
    axis_at: int | None = None,
    counted: Counted = NOTHING_COUNTED,
) -> bool:
    """Whether words around the noun may restrict the phrase to some of these things."""
    if set(phrase.modifiers) - word_set("neutral") - counted.modifiers:
        return True
    if phrase.side in ("left", "right", "middle") and phrase.ordinals:
        return True
    if any(size in words()["positives"] for size in phrase.sizes):
        return True
    end = phrase.end if axis_at is None or axis_at < phrase.end else axis_at
    between = [
        word
        for word in reading.words(phrase.end, end)
        if word not in word_set("axis_prelude") | word_set("picture")
    ]
    if between:
        return not _names_all(reading, phrase.end, scene)
    if axis_at is not None and axis_at >= phrase.end:
        after = _after_axis(reading, axis_at)
        return reading.word(after) in word_set("narrowing") and not _names_all(reading, after, scene)
    return reading.word(phrase.end) in word_set("describing") and not _names_all(reading, phrase.end, scene)


def _counted(phrase: NounPhrase, thing: Thing, scene: WordScene) -> bool | None:
    """True: the phrase's words fit the thing; False: they may; None: they do not."""
    if phrase.noun is None or phrase.noun == "one":
        fits: bool | None = True if thing.label in {each.label for each in scene.targets} else None
        if (
            fits is None
            and "person" in kinds(thing.label) & kinds(scene.label)
            and (not phrase.text or phrase.noun)
        ):
            fits = False
    elif kinds(phrase.noun) & {ANYTHING}:
        fits = False
    else:
        fits = {
            Relation.SAME: True,
            Relation.WIDER: True,
            Relation.OTHER: None,
        }.get(relation(phrase.noun, thing.label), False)
        if relation(phrase.noun, thing.label) is Relation.UNKNOWN and thing.label != scene.label:
            fits = None
    if fits is None or not phrase.colors or thing in scene.targets:
        return fits
    own = measured_names(thing.color)
    if not own:
        return False
    return fits if any(own & color.names for color in phrase.colors) else None


def _start_at(reading: Reading, index: int) -> str:
    if reading.word(index) != "from":
        return ""
    at = index + 1
    while reading.word(at) in ("the", "far", "very", "extreme", "its", "your", "our", "viewer", "'s"):
        at += 1
    word = reading.word(at)
    if word in STARTS:
        return STARTS[word]
    return "other" if word in word_set("unmeasured_starts") else ""


def _after_axis(reading: Reading, axis_at: int) -> int:
    """The first token after ``from the left (side) (of the picture)`` or ``from left to right``."""
    at = axis_at + 1
    while reading.word(at) in {
        "the",
        "far",
        "very",
        "extreme",
        "left",
        "right",
        "top",
        "bottom",
        "side",
        "end",
        "edge",
        "hand",
        "left-hand",
        "right-hand",
        "to",
    }:
        at += 1
    return at


def _names_all(reading: Reading, at: int, scene: WordScene) -> bool:
    """``in the picture``, ``of the row``: words that include everything of the kind."""
    following = reading.words(at + 1, at + 6)
    if {"front", "back", "rear"} & set(following[:3]):
        return False
    if reading.word(at) in ("in", "of", "within", "from") and (
        set(following[:4]) & (word_set("picture") | word_set("line_ups"))
    ):
        return True
    kind = reading.phrase_at(at + 1)
    if reading.word(at) == "of" and kind is not None:
        is_all = (
            kind.noun
            and not kind.colors
            and relation(kind.noun, scene.label) in (Relation.SAME, Relation.WIDER)
        )
        if kind.number or is_all:  # "the third of the (four) cups"
            return True
    return _is_shared_place(reading, at, scene)


def _is_shared_place(reading: Reading, at: int, scene: WordScene) -> bool:
    """Whether ``on the table`` includes everything of the target's kind.

    This holds if all of them lie within the single table's box, or, for a place that was not detected, form one row.
    """
    if reading.word(at) not in ("on", "in", "at", "inside", "along", "of"):
        return False
    phrase = reading.phrase_at(at + 1)
    if phrase is None or phrase.colors or phrase.ordinals or phrase.modifiers or phrase.sizes or phrase.side:
        return False
    kind = [thing for thing in scene.things if thing.label == scene.label]
    fitting = [t for t in scene.things if phrase.noun and relation(phrase.noun, t.label) in FITTING]
    if fitting:
        return len(fitting) == 1 and all(intersection(thing.box, fitting[0].box) for thing in kind)
    worn = kinds(phrase.noun or "") & PARTS or phrase.plural
    return phrase.determiner == "the" and not worn and len(rows(kind)) == 1
