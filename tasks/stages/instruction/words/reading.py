"""Parses a text against a scene: what it orders, and which of its phrases mean the target."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from tasks.stages.instruction.words.phrases import NounPhrase, color_at, noun_phrases
from tasks.stages.instruction.words.scene import WordScene
from tasks.stages.instruction.words.tokens import Token, contrasted, tokenize
from tasks.stages.instruction.words.vocabulary import (
    ANYTHING,
    FITTING,
    PARTS,
    QUANTITY,
    Relation,
    kinds,
    measured_names,
    relation,
    word_set,
    words,
)

IS = frozenset({"is", "are", "as", "being", "be", "was", "were", "appears", "looks", "seems", "comes"})

_CLAD = frozenset({"in", "wearing", "dressed", "the", "a", "an"})

_STANDS = frozenset(
    {"stands", "sits", "hangs", "lies", "ranks", "placed", "positioned", "parked", "standing"}
)
"""Before a rank alone: "it stands third from the left"."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A text with its tokens and noun phrases."""

    text: str
    tokens: tuple[Token, ...]
    phrases: tuple[NounPhrase, ...]

    def word(self, index: int) -> str:
        """The token's text, ``""`` outside the text."""
        return self.tokens[index].text if 0 <= index < len(self.tokens) else ""

    def words(self, start: int, end: int) -> tuple[str, ...]:
        """The tokens' texts between two indices, clipped to the text."""
        return tuple(token.text for token in self.tokens[max(0, start) : max(0, end)])

    def phrase_at(self, start: int) -> NounPhrase | None:
        """The phrase that starts at a token."""
        return next((phrase for phrase in self.phrases if phrase.start == start), None)

    def sentence_end(self, index: int) -> int:
        """The first token after the sentence of a token."""
        number = self.tokens[index].sentence
        return next(
            (i for i in range(index, len(self.tokens)) if self.tokens[i].sentence != number), len(self.tokens)
        )

    def sentence_start(self, index: int) -> int:
        """The first token of the sentence of a token."""
        number = self.tokens[index].sentence
        return next(i for i, token in enumerate(self.tokens) if token.sentence == number)

    def quoted(self, phrase: NounPhrase) -> str:
        """The phrase as written."""
        return self.text[self.tokens[phrase.start].start : self.tokens[phrase.end - 1].end]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What an instruction asks for.

    Attributes:
        verb: kind of its first editing verb (``remove``, ``add``, ``change`` …), ``""`` if none is known.
        at: that verb's token, or 0.
        object: the first phrase after the verb.
        chain: phrases from the verb's object to what it belongs to; the last one should be the target.
        denotes: how the last one's noun relates to the target's label.
    """

    verb: str
    at: int
    object: NounPhrase | None
    chain: tuple[NounPhrase, ...]
    denotes: Relation

    @property
    def target(self) -> NounPhrase | None:
        """The phrase that means the target, or None if no noun of the order does."""
        return self.chain[-1] if self.chain and self.denotes in FITTING else None


@cache
def read(text: str, labels: frozenset[str]) -> Reading:
    """Parses a text; labels of the scene count as known nouns."""
    tokens = tokenize(text, labels)
    return Reading(text, tokens, noun_phrases(tokens, labels))


def to_target(phrase: NounPhrase, scene: WordScene) -> Relation:
    """How a phrase's noun relates to the target's label; a phrase without a noun takes the target's."""
    if phrase.noun is None:
        return Relation.UNKNOWN if phrase.text else Relation.SAME
    if phrase.noun == "one":
        return Relation.SAME
    found = [relation(phrase.noun, thing.label) for thing in scene.targets]
    return next((each for each in found if each in FITTING), found[0])


def verb_kind(reading: Reading, index: int) -> str:
    """Kind of an editing verb at a token, ``""`` for any other word."""
    word = reading.word(index)
    if word == "get" and reading.words(index + 1, index + 3) == ("rid", "of"):
        return "remove"
    rest = reading.words(index + 1, reading.sentence_end(index))
    if word in ("take", "cut", "crop", "clear", "wipe", "strip", "clean", "edit") and {
        "out",
        "away",
        "off",
    } & set(rest):
        return "remove"
    kind = next((str(kind) for kind, verbs in words()["edit_verbs"].items() if word in verbs), "")
    if kind == "make" and {"disappear", "vanish", "invisible"} & set(rest):
        return "remove"
    return kind


def order_of(reading: Reading, scene: WordScene) -> Order:
    """What an instruction asks for, and which of its phrases should be the target."""
    at, verb = _main_verb(reading)
    first = next((phrase for phrase in reading.phrases if phrase.end > at + 1), None)
    if first is not None:
        first = owned_by(reading, first) or first
    start: NounPhrase | None = first
    if reading.word(at + 1) in ("what", "whatever", "whoever", "everything"):
        start = None  # "replace what the woman holds": no noun says what it is
    elif verb in ("add", "write") and first is not None:
        if reading.word(first.start - 1) in word_set("onto") and reading.word(first.start - 1) != "with":
            start = first  # "write 'STAFF' on the back of the shirt": quoted writing is not a phrase
        else:
            anchor = _after_place(reading, first) if verb == "add" or first.text else None
            start = anchor or (first if verb == "write" else None)
    elif not verb and first is not None:
        start = next((p for p in reading.phrases if to_target(p, scene) in FITTING and p.noun), first)
    chain, denotes = chain_of(reading, start, scene)
    return Order(verb=verb, at=at, object=first, chain=chain, denotes=denotes)


def mentions(reading: Reading, scene: WordScene) -> tuple[NounPhrase, ...]:
    """Phrases of a description that mean the target, not something it is related to or contrasted with."""
    found: list[NounPhrase] = []
    for phrase in reading.phrases:
        if to_target(phrase, scene) not in FITTING or phrase.determiner in word_set("others"):
            continue
        if phrase.owner is not None and _is_other(phrase.owner):
            continue  # "the other man's shirt"
        if _is_owner_of_part(reading, phrase, scene):
            found.append(phrase)
            continue
        if phrase.start and is_clad_as_another(reading, phrase, scene):
            continue
        before = reading.word(phrase.start - 1)
        apposed = before in (",", ":", "(", "–", "—") and any(each.end == phrase.start - 1 for each in found)
        apposed = apposed or (before == ":" and bool(found)) or _is_of_piece(reading, phrase)
        if (phrase.noun in (None, "one") and before in (",", "and", "(", "also")) or before.endswith(
            ("ing", "ed")
        ):  # "…, second from the left"
            apposed = _is_out_of_all(reading, phrase) or (
                bool(found)
                and reading.tokens[found[-1].start].sentence == reading.tokens[phrase.start].sentence
            )
        if (
            (
                before in word_set("away")
                and not apposed
                and reading.word(phrase.start - 2) not in ("consists", "composed")
            )
            or _is_other(phrase)
            or contrasted(reading.tokens, phrase.start)
        ):
            continue
        if phrase.noun is None and before in IS and subject_is_other(reading, phrase.start, scene):
            continue  # "every other person is shorter"
        if (
            phrase.noun in (None, "one")
            and not apposed
            and before not in IS | {"", ".", ":"} | (_STANDS if phrase.ordinals else frozenset())
            and reading.word(phrase.start - 2) not in IS
        ):
            continue
        is_empty = kinds(phrase.noun or "") & {ANYTHING, QUANTITY} and phrase.noun != "one"
        if is_empty and not scene.label.endswith(phrase.noun or " "):
            continue
        if phrase.determiner in ("a", "an") and found and not apposed and before not in IS:
            continue
        if phrase.number and len(scene.target) == 1:
            continue
        found.append(phrase)
    return tuple(found)


def _is_owner_of_part(reading: Reading, phrase: NounPhrase, scene: WordScene) -> bool:
    """``the shirt of (worn by, that) the man``, ``the man's shirt``, where words about the shirt speak of the man."""
    if (
        scene.part is None
        or phrase.noun is None
        or _is_other(phrase)
        or contrasted(reading.tokens, phrase.start)
    ):
        return False
    label = scene.things[scene.part].label
    owned = owned_by(reading, phrase)
    if owned is not None:
        return relation(owned.noun or "", label) in FITTING
    start = reading.sentence_start(phrase.start)
    before = [each for each in reading.phrases if start <= each.start and each.end <= phrase.start]
    link = reading.words(before[-1].end if before else start, phrase.start)
    if not before:
        return link[-2:] == ("worn", "by")
    fits = relation(before[-1].noun or "", label) in FITTING and not _is_other(before[-1])
    return fits and link in {("of",), ("worn", "by"), ("that",), (",", "worn", "by"), ("on",)}


def is_clad_as_another(reading: Reading, phrase: NounPhrase, scene: WordScene) -> bool:
    """``The person in the yellow coat is …``, where the target is known not to wear it, and another one to do so."""
    at = phrase.end
    while reading.word(at) in _CLAD:
        at += 1
    colored = color_at(reading.tokens, at) if at > phrase.end else None
    if phrase.start != reading.sentence_start(phrase.start) or colored is None:
        return False
    own = [part for thing in scene.targets for part in scene.parts_of(thing)]
    others = [part for part in scene.things if part.part_of is not None and part not in own]
    worn, elsewhere = (
        {name for part in parts for name in measured_names(part.color)} for parts in (own, others)
    )
    names = colored[0].names
    return bool(worn) and not names & worn and bool(names & elsewhere)


def _is_out_of_all(reading: Reading, phrase: NounPhrase) -> bool:
    """``Of the four people, the second from the left is …``"""
    start = reading.sentence_start(phrase.start)
    inside = [each for each in reading.phrases if start < each.start < phrase.start]
    return (
        reading.word(start) in ("of", "among")
        and len(inside) == 1
        and inside[0].start == start + 1
        and inside[0].end == phrase.start - 1
    )


def _is_of_piece(reading: Reading, phrase: NounPhrase) -> bool:
    """``the yellow piece of cheese``: the piece is the thing, unless it is one of a group of several."""
    if reading.word(phrase.start - 1) != "of" or phrase.plural or phrase.determiner:
        return False
    return any(
        each.end == phrase.start - 1
        and kinds(each.noun or "") & {QUANTITY}
        and reading.word(each.start - 1) in IS | {"", "."}
        for each in reading.phrases
    )


def owned_by(reading: Reading, phrase: NounPhrase) -> NounPhrase | None:
    """The phrase right after ``'s``: "the cyclist's bicycle" is a bicycle."""
    return next((each for each in reading.phrases if each.owner == phrase), None)


def named_by(reading: Reading, order: Order) -> tuple[NounPhrase, ...]:
    """Phrases of an order that mean the target: its noun phrase, and ranks after it ("the cup, second from …")."""
    target = order.target
    if target is None:
        return ()
    sentence = reading.tokens[target.start].sentence
    ranks = [
        phrase
        for phrase in reading.phrases
        if phrase.start >= target.end
        and phrase.noun in (None, "one")
        and (phrase.ordinals or phrase.side)
        and reading.tokens[phrase.start].sentence == sentence
        and reading.word(phrase.start - 1) in IS | {",", "(", "–", "—"}
    ]
    return (target, *ranks)


def subject_is_other(reading: Reading, index: int, scene: WordScene) -> bool:
    """Whether the sentence of a token is about something other than the target, by its first phrase."""
    start = reading.sentence_start(index)
    for phrase in reading.phrases:
        if phrase.start >= start and phrase.start < index:
            if word_set("pronouns") & set(reading.words(start, phrase.start)):
                return False
            if _is_other(phrase):
                return True
            own = kinds(phrase.noun or "")
            return (
                to_target(phrase, scene) not in FITTING
                and bool(own)
                and not own & (PARTS | {ANYTHING, QUANTITY})
            )
    return False


def _is_other(phrase: NounPhrase) -> bool:
    return phrase.determiner in word_set("others") or bool(set(phrase.modifiers) & word_set("others"))


def _main_verb(reading: Reading) -> tuple[int, str]:
    for index, token in enumerate(reading.tokens):
        before = reading.word(index - 1)
        if (
            before in word_set("determiners")
            or before in word_set("prepositions") - {"to"}
            or token.text == "like"
        ):
            continue
        if (kind := verb_kind(reading, index)) and not (
            kind == "recolor" and token.text in ("color", "colour") and index
        ):
            return index, kind
    return 0, ""


def _after_place(reading: Reading, first: NounPhrase) -> NounPhrase | None:
    """The phrase after the first place word that follows what is added."""
    end = reading.sentence_end(first.start)
    for index in range(first.end, end):
        if reading.word(index) in word_set("onto"):
            if reading.words(index, index + 2) == ("in", "the") and reading.word(index + 2) in word_set(
                "picture"
            ):
                continue
            phrase = next((p for p in reading.phrases if index < p.start < end), None)
            if phrase is None or reading.word(phrase.start - 1) != "with":
                return phrase
    return None


def chain_of(
    reading: Reading, start: NounPhrase | None, scene: WordScene
) -> tuple[tuple[NounPhrase, ...], Relation]:
    """Phrases from one that is acted on to what it belongs to, and how the last one relates to the target."""
    chain: list[NounPhrase] = []
    phrase, denotes = start, Relation.UNKNOWN
    while phrase is not None:
        chain.append(phrase)
        denotes = to_target(phrase, scene)
        own = kinds(phrase.noun or "")
        generic = bool(own & {ANYTHING, QUANTITY})
        if denotes in FITTING and not (generic and reading.word(phrase.end) == "of"):
            break
        follows = bool(own & (PARTS | {QUANTITY})) or phrase.noun is None or generic
        if phrase.owner is not None and (follows or to_target(phrase.owner, scene) in FITTING):
            phrase = phrase.owner
        elif follows:
            phrase = _linked(reading, phrase)
            if phrase is not None:  # "the color of the welder's helmet"
                phrase = owned_by(reading, phrase) or phrase
        elif reading.word(phrase.end) == "of" and (whole := reading.phrase_at(phrase.end + 1)) is not None:
            # "the license plate of the car": a part of the target is named instead of it
            phrase = whole if to_target(whole, scene) in FITTING else None
        else:
            break
    return tuple(chain), denotes


def _linked(reading: Reading, phrase: NounPhrase) -> NounPhrase | None:
    """The phrase that a part belongs to: right after ``of``, ``on``, ``worn by`` …"""
    index = phrase.end
    while reading.word(index) in word_set("links") | {
        "by",
        "is",
        "are",
        "the",
        "being",
        "front",
        "top",
        "to",
    }:
        following = reading.phrase_at(index + 1) or reading.phrase_at(index)
        if (
            following is not None
            and following.start >= phrase.end
            and reading.word(index) not in ("front", "top")
        ):
            return following if following is not phrase else None
        index += 1
    return None
