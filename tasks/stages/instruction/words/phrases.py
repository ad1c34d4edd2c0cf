"""Noun phrases of a text: determiner, modifiers and noun, as far as the words alone tell."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

from tasks.stages.instruction.words.tokens import QUOTE, Token
from tasks.stages.instruction.words.vocabulary import (
    color_names,
    is_plural,
    senses,
    singular,
    word_set,
    words,
)

LONGEST_NOUN = 3
"""Maximum words of a noun that is looked up (``cell phone``, ``alarm clock``)."""

_SIDES = {
    "left": "left",
    "left-hand": "left",
    "leftmost": "leftmost",
    "right": "right",
    "right-hand": "right",
    "rightmost": "rightmost",
    "middle": "middle",
    "center": "middle",
    "central": "middle",
    "centermost": "middle",
    "middlemost": "middle",
}
_SIZES = ("superlatives", "comparatives", "positives")
_NEVER_STARTS = frozenset({"'s", QUOTE})


@dataclass(frozen=True, slots=True)
class Color:
    """A color as written, its last word, and the measured color names it may stand for."""

    text: str
    word: str
    names: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class NounPhrase:
    """One noun phrase.

    Attributes:
        start, end: tokens, half-open.
        determiner: its first word when that is one (``the``, ``another``), else ``""``.
        ordinals: ranks in written order; -1 means the last.
        determiner: its first word if it is one (``the``, ``another``), else ``""``.
        sizes: size words (``tallest``, ``smaller``, ``tall``).
        colors: colors before the noun.
        side: ``left``, ``right``, ``leftmost``, ``rightmost``, ``middle`` as an adjective, else ``""``.
        modifiers: all other words before the noun.
        noun: the head in the singular if it is known, else None.
        text: the head as written; ``""`` if the phrase has none (``the second from the left``).
        plural: whether the head is in the plural.
        certain: False if an unknown word after the noun may be the real head.
        owner: the phrase before ``'s``.
    """

    start: int
    end: int
    determiner: str = ""
    ordinals: tuple[int, ...] = ()
    number: int | None = None
    sizes: tuple[str, ...] = ()
    colors: tuple[Color, ...] = ()
    side: str = ""
    modifiers: tuple[str, ...] = ()
    noun: str | None = None
    text: str = ""
    plural: bool = False
    certain: bool = True
    owner: NounPhrase | None = None


@dataclass(slots=True)
class _Reader:
    """Reads phrases from left to right; ``at`` is the next token."""

    tokens: tuple[Token, ...]
    labels: frozenset[str]
    at: int = 0

    def word(self, ahead: int = 0) -> str:
        position = self.at + ahead
        return self.tokens[position].text if position < len(self.tokens) else ""

    def noun_here(self) -> tuple[str, int] | None:
        """A known noun that starts here, in the singular, and its number of tokens."""
        for length in range(LONGEST_NOUN, 0, -1):
            span = self.tokens[self.at : self.at + length]
            if len(span) == length and all(token.is_word for token in span):
                one = singular(" ".join(token.text for token in span), self.labels)
                if one is not None:
                    return one, length
        return None


def noun_phrases(tokens: tuple[Token, ...], labels: frozenset[str]) -> tuple[NounPhrase, ...]:
    """All noun phrases of a text in order.

    Args:
        tokens: of one text.
        labels: labels of the scene, which are known nouns in this text.
    """
    found: list[NounPhrase] = []
    reader = _Reader(tokens, labels)
    while reader.at < len(tokens):
        phrase = _read(reader)
        if phrase is None:
            reader.at += 1
            continue
        if found and phrase.start - found[-1].end == 1 and tokens[found[-1].end].text == "'s":
            phrase = replace(phrase, owner=found[-1])
        found.append(phrase)
    return tuple(found)


def color_at(tokens: tuple[Token, ...], at: int) -> tuple[Color, int] | None:
    """A color that starts at a token, with its shade and second word (``dark navy blue``), and its tokens."""
    position, names, text = at, frozenset[str](), []
    last = ""
    while position < len(tokens):
        word = tokens[position].text
        shades = words()["shades"]
        if word in shades and position + 1 < len(tokens) and color_names(tokens[position + 1].text):
            names |= frozenset(shades[word])
        elif own := color_names(word):
            names |= own
            last = word
        else:
            break
        text.append(word)
        position += 1
    return (Color(" ".join(text), last, names), position - at) if last else None


def _read(reader: _Reader) -> NounPhrase | None:
    start = reader.at
    phrase = NounPhrase(start=start, end=start)
    if reader.word() in word_set("determiners") and not (reader.word() == "one" and _ends(reader, 1)):
        if (
            reader.word() == "that"
            and reader.word(1).endswith("s")
            and singular(reader.word(1), reader.labels) is None
        ):
            return None  # "the barrel that stands …"
        phrase = replace(phrase, determiner=reader.word())
        reader.at += 1
    said = bool(phrase.determiner)
    while reader.at < len(reader.tokens):
        step = _modifier(reader, phrase, said)
        if step is None:
            break
        phrase, said = step, True
    phrase = _head(reader, phrase)
    if not phrase.text and phrase.determiner and phrase.modifiers and phrase.colors:
        phrase = _unknown_head_before_color(reader, phrase)
    counts = phrase.ordinals or phrase.sizes or phrase.side in ("leftmost", "rightmost") or phrase.number
    if not phrase.text and not (said and counts):
        reader.at = start
        return None
    return replace(phrase, end=reader.at)


def _ends(reader: _Reader, ahead: int) -> bool:
    """Whether no phrase can continue at a token: punctuation, a preposition, a verb, a participle."""
    word = reader.word(ahead)
    if not word or not (word[0].isalnum()):
        return True
    return (
        word in word_set("boundaries") or word in word_set("prepositions") or word in word_set("participles")
    )


def _modifier(reader: _Reader, phrase: NounPhrase, said: bool) -> NounPhrase | None:  # noqa: PLR0911, PLR0912
    """The phrase with one more word before its noun, or None if the noun (or nothing) comes next."""
    word = reader.word()
    following_ends = _ends(reader, 1)
    ordinals = words()["ordinals"]
    if word in ordinals and reader.word(1) != "'s":
        reader.at += 1
        more = replace(phrase, ordinals=(*phrase.ordinals, int(ordinals[word])))
        while reader.word() in ("and", ",", "to") and (
            reader.word(1) in ordinals or (reader.word(1) in ("the", "and") and reader.word(2) in ordinals)
        ):
            reader.at += 1 if reader.word(1) in ordinals else 2
            more = replace(more, ordinals=(*more.ordinals, int(ordinals[reader.word()])))
            reader.at += 1
        return more
    numbers = words()["numbers"]
    if word in numbers or (word.isdigit() and len(word) <= 2 and not following_ends):
        reader.at += 1
        return replace(phrase, number=int(numbers.get(word, word if word.isdigit() else 0)))
    if any(word in words()[kind] for kind in _SIZES):
        reader.at += 1
        return replace(phrase, sizes=(*phrase.sizes, word))
    if word in _SIDES and (said or word.endswith("most")):
        if word.endswith("most") or _noun_follows(reader):
            reader.at += 1
            return replace(phrase, side=_SIDES[word])
        return None
    if (colored := color_at(reader.tokens, reader.at)) is not None:
        color, length = colored
        if word in reader.labels and length == 1 and following_ends:
            return None
        reader.at += length
        if reader.word() == "and" and (second := color_at(reader.tokens, reader.at + 1)) is not None:
            reader.at += 1 + second[1]
            return replace(phrase, colors=(*phrase.colors, color, second[0]))
        return replace(phrase, colors=(*phrase.colors, color))
    if reader.noun_here() is not None or word in word_set("determiners") or (not said and word in _verbs()):
        return None
    if _ends(reader, 0) and not (word in word_set("participles") and said and not following_ends):
        return None
    if not word[0].isalnum() or (following_ends and reader.word(1) != ","):
        return None
    if reader.word(1) == "," and not _goes_on_after_comma(reader):
        return None
    reader.at += 1
    if reader.word() == ",":
        reader.at += 1
    return replace(phrase, modifiers=(*phrase.modifiers, word))


def _noun_follows(reader: _Reader) -> bool:
    """Whether a noun follows, at most one plain word later: ``the left (wooden) chair``, but not ``the left side``."""
    if reader.word(1) in (
        "side",
        "half",
        "part",
        "edge",
        "corner",
        "end",
        "portion",
        "third",
        "section",
        "area",
    ):
        return False
    for ahead in (1, 2):
        if (
            reader.word(ahead) in ("one", "ones")
            or _Reader(reader.tokens, reader.labels, reader.at + ahead).noun_here()
        ):
            return not _ends(reader, ahead)
        if _ends(reader, ahead):
            return False
    return False


@cache
def _verbs() -> frozenset[str]:
    return frozenset(str(verb) for verbs in words()["edit_verbs"].values() for verb in verbs)


def _goes_on_after_comma(reader: _Reader) -> bool:
    """``a tall, slender vase``: another plain word and then a known noun."""
    ahead = _Reader(reader.tokens, reader.labels, reader.at + 3)
    return not _ends(reader, 2) and not _ends(reader, 3) and ahead.noun_here() is not None


def _head(reader: _Reader, phrase: NounPhrase) -> NounPhrase:
    """The phrase with its noun: the last known one of a compound, or an unknown word after a determiner."""
    word = reader.word()
    if (
        word in _NEVER_STARTS
        or word in word_set("determiners") - {"one"}
        or not word
        or not word[0].isalnum()
    ):
        return phrase
    after_word = reader.at > phrase.start
    if word in ("one", "ones") and after_word:
        reader.at += 1
        return replace(phrase, noun="one", text=word, plural=word == "ones")
    known = reader.noun_here()
    if known is not None and _ends(reader, 0) and not after_word:
        known = None  # "can", "stand" and "face" are nouns only after a determiner
    if known is None:
        if _ends(reader, 0) or not after_word or word in words()["ordinals"]:
            return phrase
        reader.at += 1
        return replace(phrase, text=word, plural=word.endswith("s"))
    while known is not None:
        noun, length = known
        phrase = replace(
            phrase,
            noun=noun,
            text=" ".join(token.text for token in reader.tokens[reader.at : reader.at + length]),
            plural=is_plural(reader.tokens[reader.at + length - 1].text),
            modifiers=(*phrase.modifiers, *((phrase.text,) if phrase.text else ())),
        )
        reader.at += length
        goes_on = not phrase.plural and not _ends(reader, 0) and color_at(reader.tokens, reader.at) is None
        known = (
            reader.noun_here() if goes_on else None
        )  # "monitors line a desk": no compound starts with a plural
    return replace(phrase, certain=not _may_be_head(reader, phrase))


def _unknown_head_before_color(reader: _Reader, phrase: NounPhrase) -> NounPhrase:
    """``paint the sky green``: an unknown noun, then what it becomes."""
    last = phrase.modifiers[-1]
    at = max(i for i in range(phrase.start, reader.at) if reader.tokens[i].text == last)
    if not all(color_names(token.text) for token in reader.tokens[at + 1 : reader.at]):
        return phrase
    reader.at = at + 1
    return replace(phrase, text=last, modifiers=phrase.modifiers[:-1], colors=())


def _may_be_head(reader: _Reader, phrase: NounPhrase) -> bool:
    """Whether the word after a known noun is an unknown one that may be a noun itself (``car key``)."""
    word = reader.word()
    if _ends(reader, 0) or word in senses() or color_names(word) or word in word_set("determiners"):
        return False
    if word.endswith(("ing", "ed", "er", "ly", "ic", "y")) or word in word_set("materials"):
        return False
    verb = word.endswith("s") and not phrase.plural
    return not verb and word not in words()["ordinals"] and word not in words()["numbers"]
