"""Places in a text: which sides it names, of what, and whether it names them for the target."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tasks.stages.instruction.words.draft import Draft
from tasks.stages.instruction.words.phrases import NounPhrase
from tasks.stages.instruction.words.reading import Reading, mentions, named_by, subject_is_other, to_target
from tasks.stages.instruction.words.scene import WordScene
from tasks.stages.instruction.words.subjects import subjects
from tasks.stages.instruction.words.tokens import contrasted
from tasks.stages.instruction.words.vocabulary import (
    ANYTHING,
    FITTING,
    PARTS,
    QUANTITY,
    color_names,
    kinds,
    singular,
    word_set,
)

TARGET, BESIDE = "target", "beside"
"""What a place refers to: the target, or possibly something close beside it."""

_PLACE = {
    "left": "left",
    "left-hand": "left",
    "right": "right",
    "right-hand": "right",
    "upper": "top",
    "top": "top",
    "lower": "bottom",
    "bottom": "bottom",
    "center": "center",
    "middle": "center",
    "central": "center",
    "mid": "center",
}


@dataclass(frozen=True, slots=True)
class Place:
    """A place in words: its sides, its tokens, and what it is a place of.

    Attributes:
        start, end: tokens, half-open.
        sides: of ``left``, ``right``, ``top``, ``bottom``, ``center``.
        of: ``picture``, ``bare`` (not stated), or ``thing``.
        landmark: the phrase of that thing.
        to: whether it is "to the left of", that is, beside the thing and not part of it.
        beside: whether it is certainly "to the left of", so that the target is not on the thing.
        reach: how far out: ``half``, ``edge`` (an edge or corner, or "far"), or ``center`` ("left of the center").
    """

    start: int
    end: int
    sides: tuple[str, ...]
    of: str
    landmark: NounPhrase | None
    to: bool
    reach: str = "half"
    beside: bool = False


def speaking_of_target(draft: Draft) -> Iterator[tuple[str, Reading, tuple[NounPhrase, ...], bool]]:
    """Instruction, rewriting, localization and beginnings of parts 3 and 4 with their phrases for the target.

    The last value is whether the text is about the target alone, as an order is.
    """
    if draft.reply is None:
        return
    for name, reading, order in draft.orders():
        yield name, reading, named_by(reading, order), True
    reading = draft.part("localization")
    yield "localization", reading, mentions(reading, draft.scene), False
    for name, reading, named in subjects(draft, result=True):
        yield name, reading, named, True


def places(reading: Reading) -> Iterator[Place]:
    """Every place in a text given with a preposition, or as part of the picture."""
    index = 0
    while index < len(reading.tokens):
        if reading.word(index) not in _PLACE:
            index += 1
            continue
        start = index
        while reading.word(start - 1) in word_set("strengths"):
            start -= 1
        end, sides = index, []
        while reading.word(end) in _PLACE or reading.word(end) in word_set("strengths"):
            if reading.word(end) in _PLACE:
                sides.append(_PLACE[reading.word(end)])
            end += 1
        index = end
        if (past := _past_center(reading, end)) and sides[-1] in ("left", "right"):
            yield Place(start, past, (sides[-1],), "picture", None, to=False, reach="center")
            index = past
            continue
        if (place := _place(reading, start, end, tuple(dict.fromkeys(sides)))) is not None:
            yield place


def said_of(  # noqa: PLR0911
    reading: Reading, place: Place, named: tuple[NounPhrase, ...], scene: WordScene, *, is_order: bool
) -> str:
    """`TARGET`; `BESIDE` if another thing is between them in the sentence; ``""`` for something else."""
    if contrasted(reading.tokens, place.start):
        return ""
    clause, sentence = reading.tokens[place.start].clause, reading.tokens[place.start].sentence
    before = [p for p in reading.phrases if p.end <= place.start and reading.tokens[p.start].clause == clause]
    beside = TARGET
    for phrase in reversed(before):
        if phrase in named:
            return beside
        if {"it", "she", "he", "they"} & set(reading.words(phrase.end, place.start)):
            break
        relates = reading.word(phrase.start - 1)
        between = set(reading.words(phrase.end + 1, place.start))
        is_first_of_two = reading.word(phrase.end) == "and" and between <= word_set("place_prepositions") | {
            "the"
        }
        if is_first_of_two and (
            relates in word_set("close") or (relates == "of" and reading.word(phrase.start - 2) in _PLACE)
        ):
            continue  # "to the right of (above) the red apple and to the left of the banana"
        if to_target(phrase, scene) in FITTING and phrase.noun not in (None, "one"):
            return ""
        if not (relates in word_set("holders") or kinds(phrase.noun or "") & (PARTS | {QUANTITY, ANYTHING})):
            if relates not in word_set("close") or _is_direction(reading, phrase.start, relates):
                return ""
            beside = BESIDE
    first = reading.sentence_start(place.start)
    if all(reading.word(i) in word_set("place_prepositions") | {"the"} for i in range(first, place.start)):
        after = next(
            (
                p
                for p in reading.phrases
                if p.start >= place.end and reading.tokens[p.start].sentence == sentence
            ),
            None,
        )
        is_about = after in named or (
            after is not None and reading.word(after.start - 1) in word_set("pronouns")
        )
        return TARGET if is_about or (is_order and named) else ""
    if is_order:
        return beside if any(phrase.end <= place.start for phrase in named) else ""
    if subject_is_other(reading, place.start, scene) or (
        before and before[0].determiner in word_set("others")
    ):
        return ""
    return beside


def _place(reading: Reading, start: int, end: int, sides: tuple[str, ...]) -> Place | None:  # noqa: PLR0911
    article = reading.word(start - 1) in ("the", "its")
    before = reading.word(start - 2) if article else reading.word(start - 1)
    regions = end + (1 if reading.words(end, end + 2) == ("hand", "side") else 0)
    while reading.word(regions) in word_set("regions") - {"of"}:
        regions += 1
    has_region = regions > end
    of_thing = reading.word(regions) == "of" and not set(reading.words(regions + 1, regions + 4)) & word_set(
        "picture"
    )
    if reading.word(start - 1) in word_set("possessives") or _is_direction(
        reading, start - (2 if article else 1), before, of_thing=of_thing
    ):
        return None
    if (
        not article and of_thing and sides in (("left",), ("right",)) and end == regions
    ):  # "directly left of the tree"
        phrase = reading.phrase_at(regions + 1)
        return Place(start, regions, sides, "thing", phrase, to=True) if phrase is not None else None
    prepositional = before in word_set("place_prepositions") or (
        before in ("and", ",") and article and len(sides) + has_region > 1
    )
    if not prepositional and not (before in word_set("located") or (has_region and article)):
        return None
    if not article and before not in word_set("located") and not (prepositional and len(sides) > 1):
        return None
    landmark, of = None, "bare"
    if reading.word(regions) in ("of", "in") and reading.word(regions + 1) in (
        "the",
        "this",
        "a",
        "an",
        "his",
        "her",
        "its",
        "their",
        "both",
        "all",
    ):
        if set(reading.words(regions + 2, regions + 4)) & word_set("picture"):
            of = "picture"
        elif reading.word(regions) == "of":
            of, landmark = "thing", reading.phrase_at(regions + 1)
    elif reading.word(regions) == "of" or reading.word(regions) == "'s":
        of = "thing"
    elif not has_region and _goes_on_with_noun(reading, end):
        return None
    unplaced = {"top", "bottom", "center"} & set(sides)
    if (
        of == "bare"
        and unplaced
        and not {"left", "right"} & set(sides)
        and reading.word(end) not in ("part", "half", "corner", "portion")
    ):
        return None
    said = set(reading.words(start, regions))
    reach = "edge" if said & {"far", "extreme", "edge", "corner", "margin"} else "half"
    to = before in ("to", "on", "at") and not has_region
    return Place(start, regions, sides, of, landmark, to=to, reach=reach, beside=to and before == "to")


def _past_center(reading: Reading, end: int) -> int:
    """The token after ``(left) of the image's center``, 0 if something else follows."""
    at = end + 1
    if reading.word(end) != "of":
        return 0
    while reading.word(at) in word_set("picture") | {"the", "'s", "very", "exact", "its"}:
        at += 1
    return at + 1 if reading.word(at) in ("center", "middle") else 0


def _goes_on_with_noun(reading: Reading, end: int) -> bool:
    word = reading.word(end)
    if (
        color_names(word)
        or word in word_set("materials")
        or word.endswith(("er", "ic", "ful", "ous", "less", "ly"))
    ):
        return False  # what the order turns it into: "make the man on the left older"
    if word in word_set("color_adverbs") or (_has_causative(reading, end) and not singular(word)):
        return False  # "make the dog on the left jump"
    ends = word_set("boundaries") | word_set("prepositions") | word_set("participles")
    return bool(word) and word[0].isalnum() and word not in ends and not word.endswith(("ing", "ed"))


def _has_causative(reading: Reading, end: int) -> bool:
    return any(
        word in ("make", "let", "have", "help")
        for word in reading.words(reading.sentence_start(end - 1), end)
    )


def _is_direction(reading: Reading, index: int, before: str, *, of_thing: bool = False) -> bool:
    """Whether the words before are "facing to", "walking toward": a direction, not a place.

    Args:
        reading: the text.
        index: token of the preposition.
        before: the preposition.
        of_thing: whether "of the bus" follows: walking to the left of it is a place.
    """
    if before in word_set("facing"):
        return True
    onward = before in ("to", "toward", "towards") and not of_thing
    verb = reading.word(index - 1)
    if onward and verb.endswith("ing") and verb not in word_set("located"):  # "gliding toward the left"
        return True
    for position in range(index - 1, max(-1, index - 5), -1):
        word = reading.word(position)
        if position == reading.sentence_start(position):
            return False  # "turn the car on the right red" is an order
        if word in word_set("facing") or (onward and word in word_set("moving")):
            return True
        if word in (",", ".", ";"):
            return False
    return False
