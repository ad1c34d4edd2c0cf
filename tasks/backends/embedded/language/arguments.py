"""What an edit turns its target into, as words: as requested, with a place apart, or chosen where nothing was."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tasks.backends.embedded.language.look_references import COLOR_CONTRAST
from tasks.backends.embedded.language.realization import Writer
from tasks.backends.embedded.language.scene_facts import SceneFacts
from tasks.backends.embedded.nouns import noun
from tasks.records.edit_types import NO_ARGUMENT, spec_of
from tasks.records.errors import Reason, SampleError
from tasks.records.records import EditType
from tasks.roles.questions import InstructQuestion

_PLACE = re.compile(r"\s+(?P<place>to the (?:left|right)|in front|behind|next to|beside|on)(?: of)?(?: it)?$")
"""Where something is added, at the end of an argument: ``another dog to the left``."""

_OF = {"to the left": "to the left of", "to the right": "to the right of", "in front": "in front of"}

BESIDE = "next to"
"""Where something is added when its argument does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """An argument.

    Attributes:
        text: as it is recorded.
        thing: the words for what comes or what it becomes, without the place.
        place: of an addition: the words between it and the target (``to the left of``).
    """

    text: str
    thing: str
    place: str


def chosen_argument(question: InstructQuestion, facts: SceneFacts, writer: Writer) -> Argument:
    """The requested argument; where none is, one of the listed ones that is unlike what the target is now.

    Raises:
        SampleError: ``backend_error`` when one is needed and none is listed for the type.
    """
    if question.argument not in ("", NO_ARGUMENT) or not spec_of(question.edit_type).argument:
        return _as_words(question.argument)
    choices = [str(each) for each in writer.entry("choices").get(question.edit_type.value, ())]
    if question.edit_type is EditType.COLOR:
        allowed, now = noun(facts.edited.label).colors, COLOR_CONTRAST.get(facts.edited.color)
        choices = [c for c in choices if (not allowed or c in allowed) and (now is None or c in now)]
    if not choices:
        slots = {"type": question.edit_type.value, "noun": noun(facts.edited.label).one}
        raise SampleError(Reason.BACKEND_ERROR, writer.say("no_choice", slots))
    return _as_words(choices[writer.draw("choice", len(choices))])


def _as_words(text: str) -> Argument:
    found = _PLACE.search(text)
    if found is None:
        return Argument(text=text, thing=text, place=BESIDE)
    place = found.group("place")
    return Argument(text=text, thing=text[: found.start()], place=_OF.get(place, place))
