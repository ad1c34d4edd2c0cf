"""Facts stated by the words of a text: nouns, colors, ordinals, sides, sizes, numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from prompts import load_data
from tasks.backends.embedded.nouns import known_labels, noun

DATA = "words"
"""Name of the word list in ``prompts``."""

_EXTREMES = {"most_left": "count_left", "most_right": "count_right"}
""""Leftmost" and "first from the left" count as the same two facts."""

_BEFORE_FRUIT = re.compile(
    r"\b(the|an|this|that|another|other|leftmost|rightmost|largest|biggest|smallest|first|second|third|\w+ly)\s+$"
)
"""Words right before ``orange`` when it is the fruit and not the new color."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WordFact:
    """One fact word: ``kind`` is noun, color, ordinal, side, size or number; where it stands in the text."""

    kind: str
    value: str
    start: int
    end: int


def scan(text: str, labels: Iterable[str] = ()) -> tuple[WordFact, ...]:
    """All fact words of a text in order; overlapping phrases yield the longest.

    Args:
        text: any English text.
        labels: class labels of the scene, found as nouns in addition to the word list.
    """
    pattern, meanings = _lexicon(tuple(sorted(set(labels))))
    found: list[WordFact] = []
    lowered = text.lower()
    for match in pattern.finditer(lowered):
        kind, value = meanings[match.group()]
        if match.group() == "orange":
            kind, value = _orange(lowered, match, pattern, meanings, "orange" in labels)
        found.append(WordFact(kind=kind, value=value, start=match.start(), end=match.end()))
    return tuple(found)


def fact_set(text: str, labels: Iterable[str] = ()) -> frozenset[tuple[str, str]]:
    """The (kind, value) pairs that a text states; different wordings of one fact are equal."""
    facts: set[tuple[str, str]] = set()
    for fact in scan(text, labels):
        if fact.value in _EXTREMES:
            facts |= {("ordinal", "1"), ("side", _EXTREMES[fact.value])}
        else:
            facts.add((fact.kind, fact.value))
    return frozenset(facts)


def mentions(text: str, phrases: Iterable[str]) -> list[str]:
    """The phrases that occur in the text as whole words, in the order given."""
    lowered = text.lower()
    return [phrase for phrase in phrases if re.search(rf"\b{re.escape(phrase.lower())}\b", lowered)]


@cache
def _lexicon(labels: tuple[str, ...]) -> tuple[re.Pattern[str], dict[str, tuple[str, str]]]:
    words = load_data(DATA)
    meanings: dict[str, tuple[str, str]] = {}
    every = tuple(dict.fromkeys((*known_labels(), *labels)))
    # A label's own name comes first: a shirt may be a "top", but where there is a label of its own, it is that.
    for names in (lambda n: (n.label, n.one, n.many), lambda n: n.also):
        for label in every:
            for word in names(noun(label)):
                meanings.setdefault(word.lower(), ("noun", label))
    meanings |= {str(color): ("color", str(color)) for color in words["colors"]}
    meanings |= {str(word): ("color", str(color)) for word, color in words["color_synonyms"].items()}
    meanings |= {str(word): ("ordinal", str(rank)) for word, rank in words["ordinals"].items()}
    meanings |= {str(word): ("number", str(count)) for word, count in words["numbers"].items()}
    for kind, section in (("side", "sides"), ("size", "sizes")):
        for value, phrases in words[section].items():
            meanings |= {str(phrase): (kind, str(value)) for phrase in phrases}
    longest_first = sorted(meanings, key=lambda phrase: (-len(phrase), phrase))
    body = "|".join(re.escape(phrase) for phrase in longest_first)
    return re.compile(rf"\b(?:{body})\b"), meanings


def _orange(
    text: str,
    match: re.Match[str],
    pattern: re.Pattern[str],
    meanings: dict[str, tuple[str, str]],
    fruit_in_scene: bool,
) -> tuple[str, str]:
    """The fruit, if the scene has one, after an article and not before a noun; else the color."""
    following = pattern.match(text, match.end() + 1)
    before_noun = following is not None and meanings[following.group()][0] == "noun"
    after_article = _BEFORE_FRUIT.search(text[: match.start()]) is not None
    is_fruit = fruit_in_scene and not before_noun and after_article
    return ("noun", "orange") if is_fruit else ("color", "orange")
