"""What models do to the text of a reply: think first, go round in loops, put blanks and quotes around a word."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

EQUAL_RUN = 20
"""More equal characters in a row than this are an overflow of the model's numbers, not writing."""

BLANK_RUN = 200
"""More blanks in a row than this are a loop of a model that a JSON grammar lets write any number of them."""

RUNAWAY = 240
"""So many blanks or equal characters at the end of an unfinished reply, and it is not waited for any longer."""

SHORT_PERIOD, SHORT_TIMES = 4, 6
"""Words of a short phrase, and how often in a row makes it a loop; of fewer words, as often as fills that span."""

LONG_PERIOD, LONG_TIMES = 40, 4
"""Words of a sentence, and how often in a row makes it a loop; nobody writes it four times by intention."""

_THOUGHT = r"(?:think|thinking|thought|reasoning)"
_THINK = re.compile(rf"^\s*<{_THOUGHT}>.*?</{_THOUGHT}>", re.DOTALL | re.IGNORECASE)
_END_OF_THOUGHT = re.compile(rf"</{_THOUGHT}>", re.IGNORECASE)
_UNCLOSED = re.compile(rf"^\s*<{_THOUGHT}>", re.IGNORECASE)
_EQUAL = re.compile(rf"([^\s])\1{{{EQUAL_RUN},}}")
_SYLLABLE = re.compile(rf"(\S{{2,8}}?)\1{{{EQUAL_RUN},}}")
_BLANKS = re.compile(rf"\s{{{BLANK_RUN + 1},}}")
_AROUND = " \"'`▁Ġ\n\t:,{}[]"


def without_thoughts(text: str) -> str:
    """``text`` without the think block it begins with.

    The opening tag may be missing, since some templates put it into the prompt. A block that is never closed stays.
    """
    return text[_end_of_thoughts(text) :]


def is_unfinished_thought(text: str) -> bool:
    """Whether a text is a think block that is never closed."""
    return _UNCLOSED.match(text) is not None


def endless(text: str) -> str:
    """What goes on without end in a text, in a few words for a message, or ``""``."""
    if _EQUAL.search(text):
        return f"more than {EQUAL_RUN} equal characters"
    if _SYLLABLE.search(text):
        return f"a few characters more than {EQUAL_RUN} times"
    if _BLANKS.search(text):
        return f"more than {BLANK_RUN} blanks"
    if _loops(text.lower().split()):
        return "a phrase that goes round"
    return ""


def runs_away(end: str) -> bool:
    """Whether the ``end`` of an unfinished reply is blanks or one character, `RUNAWAY` times and more."""
    tail = end[-RUNAWAY:]
    if len(tail) < RUNAWAY:
        return False
    return tail.isspace() or len(set(tail)) == 1


def bare(token: str) -> str:
    """A token's word, without the blanks, quotes and brackets that tokenizers and JSON put around it."""
    return token.strip(_AROUND)


def choice_places(
    tokens: Sequence[tuple[str, Mapping[str, float]]], choices: Sequence[str]
) -> tuple[Mapping[str, float], ...]:
    """For each token that is one of ``choices``, in order, the log-probabilities of its alternatives.

    Args:
        tokens: of a reply, each with its alternatives; tokens of a think block and blanks may come first.
        choices: words that the reply, or the values of its object, are limited to.
    """
    if not choices:
        return ()
    begins = _end_of_thoughts("".join(token for token, _ in tokens))
    found, place = [], 0
    for token, alternatives in tokens:
        if place >= begins and alternatives and bare(token) in choices:
            found.append(alternatives)
        place += len(token)
    return tuple(found)


def _end_of_thoughts(text: str) -> int:
    """Where the answer begins: after a think block, closed or without its opening tag; else 0."""
    closed = _THINK.match(text)
    if closed is None and not _UNCLOSED.match(text):
        closed = _END_OF_THOUGHT.search(text)
    return closed.end() if closed else 0


def _loops(words: Sequence[str]) -> bool:
    """Whether a run of words follows itself so often that it is a loop."""
    for period in range(1, min(LONG_PERIOD, len(words) // 2) + 1):
        span = SHORT_PERIOD * SHORT_TIMES if period <= SHORT_PERIOD else period * LONG_TIMES
        run = 0
        for i in range(period, len(words)):
            run = run + 1 if words[i] == words[i - period] else 0
            if run >= span - period:
                return True
    return False
