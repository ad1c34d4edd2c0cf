"""A text as tokens, with quoted writing, names and numbers on things masked, since they state no facts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from tasks.stages.instruction.words.vocabulary import senses, singular, word_set, words

QUOTE = "§"
"""The text of a token that replaces quoted writing or a name."""

_QUOTED = re.compile(
    r"“[^”]{0,200}”|‘[^’]{0,200}’|\"[^\"]{0,200}\"|«[^»]{0,200}»"
    r"|(?<![A-Za-z0-9])'(?=\S)[^'\n]*?(?:(?<=[a-z])'(?=[a-z])[^'\n]*?)*(?<=\S)'(?![A-Za-z])"
)
_SAYING = re.compile(
    r"\b(?:says|saying|reads|reading|reading:|labell?ed|titled|named|spelling|spells|bearing the words)\s+"
    r"((?:[A-Z][\w'’&!.-]*\s*)+)"
)
_CAPITALS = re.compile(r"\b[A-Z][A-Z0-9&'’-]*[A-Z0-9]\b")
_NUMBERED = re.compile(
    r"\b(?:number(?:ed)?|no\.|jersey|route|line|bus|lane|gate|#)\s*#?\s*(\d+)\b", re.IGNORECASE
)
_NAME = re.compile(r"(?<=[a-z,;] )[A-Z][a-z]+\b(?!-shirt)")
_TOKEN = re.compile(
    rf"{QUOTE}+|[a-z0-9]+(?:['’]?-[a-z0-9]+|['’](?!s\b)[a-z]+)*|['’]s?(?![a-z])|[.,;:!?()—–…]"
)
_ENDS = frozenset(".!?;…")
_ABBREVIATIONS = {
    "centre": "center",
    "colours": "colors",
    "colour": "color",
    "grey": "gray",
    "lefthand": "left-hand",
    "left-most": "leftmost",
    "right-most": "rightmost",
    "centrally": "center",
    "center-left": "center left",
    "center-right": "center right",
}


@dataclass(frozen=True, slots=True)
class Token:
    """One word or punctuation mark: lower-case text, its position, and the number of its sentence and clause."""

    text: str
    start: int
    end: int
    sentence: int
    clause: int

    @property
    def is_word(self) -> bool:
        """Whether it is a word (or masked writing) and not punctuation."""
        return self.text[0].isalnum() or self.text == QUOTE


def quotes(text: str) -> tuple[str, ...]:
    """The quoted writing in a text, without its quotation marks, in order."""
    return tuple(match.group()[1:-1].strip() for match in _QUOTED.finditer(text))


@cache
def mute(text: str, labels: frozenset[str] = frozenset()) -> str:
    """The text, of equal length, with quoted writing, writing after "says", names and numbers on things as `QUOTE`."""
    for pattern in (_QUOTED, _SAYING, _NUMBERED):
        text = pattern.sub(_blank, text)
    letters = [word for word in text.split() if word[:1].isalpha()]
    upper = sum(1 for word in letters if word[0].isupper())
    if letters and upper > 0.6 * len(letters):  # in title case or capitals, names cannot be recognized
        return text
    text = _CAPITALS.sub(lambda match: _blank_name(match, labels), text)
    return _NAME.sub(lambda match: _blank_name(match, labels), text)


@cache
def tokenize(text: str, labels: frozenset[str] = frozenset()) -> tuple[Token, ...]:
    """The tokens of a text; clauses end at commas, sentences at full stops, semicolons and the like."""
    found: list[Token] = []
    sentence = clause = 0
    for match in _TOKEN.finditer(mute(text, labels).lower()):
        word = match.group()
        if word[0] == QUOTE:
            word = QUOTE
        elif word.startswith(("'", "’")):
            word = "'s"
        for part in _ABBREVIATIONS.get(word, word).split(" "):
            found.append(Token(part, match.start(), match.end(), sentence, clause))
        if word in _ENDS:
            sentence, clause = sentence + 1, clause + 1
        elif word in {",", ":", "(", ")", "—", "–"}:
            clause += 1
    return tuple(found)


def plain(text: str, labels: frozenset[str] = frozenset()) -> str:
    """The masked text in lower case, for patterns over letters; positions are those of the text."""
    return mute(text, labels).lower().replace("’", "'")


def contrasted(tokens: tuple[Token, ...], index: int) -> bool:
    """Whether a word such as "unlike" or "while" precedes a token in its clause, which then may be about others."""
    position = index - 1
    while position >= 0 and tokens[position].sentence == tokens[index].sentence:
        if tokens[position].text in word_set("contrast"):
            return True
        if tokens[position].clause != tokens[index].clause and tokens[position].text == ",":
            return tokens[position + 1].text in word_set("contrast")
        position -= 1
    return False


def _blank(match: re.Match[str]) -> str:
    if match.lastindex:
        start, end = match.span(1)
        return match.string[match.start() : start] + QUOTE * (end - start) + match.string[end : match.end()]
    return QUOTE * (match.end() - match.start())


def _blank_name(match: re.Match[str], labels: frozenset[str]) -> str:
    word = match.group()
    known = singular(word.lower(), labels) in senses() or any(
        word.lower() in label.split() for label in labels
    )
    colors = words()["colors"]
    return word if known and word.lower() not in colors else QUOTE * len(word)
