"""The argument of a written edit: as requested, as stated by the instructor, or as read from its sentence."""

from __future__ import annotations

import re
from functools import cache

from tasks.records.edit_types import NO_ARGUMENT, spec_of
from tasks.records.records import EditType

MAX_WORDS = 12
"""Longer matches are part of the sentence rather than an argument."""

NOTHING = frozenset({"", "none", "n/a", "null", "nothing"})
"""What models write if there is no argument."""


def settled_argument(edit_type: EditType, asked: str, stated: str, instruction: str) -> str:
    """The argument for the plan.

    Args:
        edit_type: the chosen type.
        asked: the chosen argument; ``""`` if the instructor chooses.
        stated: the argument in the reply (`WrittenInstruction.argument`); ``""`` if the reply has no such field.
        instruction: the written sentence, before rewriting.

    Returns:
        ``"none"`` for a type without argument; else the first available of asked, stated and read argument; ``""`` if
        the sentence does not match any pattern.
    """
    spec = spec_of(edit_type)
    if not spec.argument:
        return NO_ARGUMENT
    if asked not in ("", NO_ARGUMENT):
        return asked
    given = _trimmed(stated, verbatim=spec.verbatim)
    return given if given.lower() not in NOTHING else read_argument(edit_type, instruction)


def read_argument(edit_type: EditType, instruction: str) -> str:
    """What the target becomes, by the type's patterns; ``""`` if none matches."""
    sentence = " ".join(instruction.split()).rstrip(".! ")
    for pattern in _patterns(edit_type):
        found = pattern.search(sentence)
        argument = _trimmed(found["argument"], verbatim=spec_of(edit_type).verbatim) if found else ""
        if argument and len(argument.split()) <= MAX_WORDS:
            return argument
    return ""


@cache
def _patterns(edit_type: EditType) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(pattern, re.IGNORECASE) for pattern in spec_of(edit_type).reads)


def _trimmed(argument: str, *, verbatim: bool) -> str:
    """One line without surrounding quotes; unless literal, also without article and final period."""
    text = " ".join(argument.split()).strip("\"'“”‘’ ")
    if verbatim:
        return text
    return re.sub(r"^(?:an?|some)\s+(?=\S)", "", text.rstrip(".!,; "), flags=re.IGNORECASE)
