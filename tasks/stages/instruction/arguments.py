"""The argument of a written edit: what was asked for, what the instructor states, or what its sentence says."""

from __future__ import annotations

import re
from functools import cache

from tasks.records.edit_types import NO_ARGUMENT, spec_of
from tasks.records.records import EditType

MAX_WORDS = 12
"""A longer find is half of the sentence and not an argument."""

NOTHING = frozenset({"", "none", "n/a", "null", "nothing"})
"""What models write where they have no argument."""


def settled_argument(edit_type: EditType, asked: str, stated: str, instruction: str) -> str:
    """The argument that a plan carries.

    Args:
        edit_type: the drawn type.
        asked: the drawn argument; ``""`` where the instructor chose.
        stated: what its reply states (`WrittenInstruction.argument`); ``""`` where the reply has no such field.
        instruction: its sentence, before rewriting.

    Returns:
        ``"none"`` for a type that needs none; else asked, stated or read argument, the first that is there; ``""`` when
        the sentence does not say it in a known way.
    """
    spec = spec_of(edit_type)
    if not spec.argument:
        return NO_ARGUMENT
    if asked not in ("", NO_ARGUMENT):
        return asked
    given = _trimmed(stated, verbatim=spec.verbatim)
    return given if given.lower() not in NOTHING else read_argument(edit_type, instruction)


def read_argument(edit_type: EditType, instruction: str) -> str:
    """What the target becomes, by the type's patterns; ``""`` where none fits."""
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
    """One line without quotes around it; unless it is meant verbatim, without article and final period as well."""
    text = " ".join(argument.split()).strip("\"'“”‘’ ")
    if verbatim:
        return text
    return re.sub(r"^(?:an?|some)\s+(?=\S)", "", text.rstrip(".!,; "), flags=re.IGNORECASE)
