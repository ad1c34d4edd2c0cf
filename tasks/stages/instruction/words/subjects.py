"""How parts 3 and 4 refer to the target before their first verb: "The third cup from the left will be changed …"."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tasks.records.records import EditType
from tasks.stages.instruction.words.draft import Draft
from tasks.stages.instruction.words.phrases import NounPhrase
from tasks.stages.instruction.words.reading import Reading, chain_of, owned_by
from tasks.stages.instruction.words.tokens import plain
from tasks.stages.instruction.words.vocabulary import FITTING, word_set

_OPENING = re.compile(
    r"\s*(?:(?:after|following|once|when|upon|in|as|with)\b[^,.;]*\b(?:edit|edits|editing|edited|change|image|picture|"
    r"result|scene|photo|modification|replacement)\b[^,.;]*,|finally,|now,|only)\s*"
)
_VERB = re.compile(
    r"[,.;:!?]|\b(?:will|would|should|is|are|gets?|needs?|has|have|appears?|becomes?|looks?|turns?|now)\b"
)

_UNMOVED = frozenset({EditType.COLOR, EditType.MATERIAL, EditType.APPEARANCE, EditType.TEXT})
"""Types that keep the target's position and the number of its kind."""


def subjects(draft: Draft, *, result: bool) -> Iterator[tuple[str, Reading, tuple[NounPhrase, ...]]]:
    """The beginnings of part 3 and, where ``result``, of part 4, each with the phrase that means the target.

    Only a beginning is compared: words after the verb may describe the new state and neighbors.
    """
    if draft.reply is None or draft.edit_type is EditType.ADD:
        return
    parts = dict(draft.texts())
    for name in ("editing", *(("result",) if result and draft.edit_type in _UNMOVED else ())):
        reading = draft.read(_beginning(parts[name], draft.scene.labels))
        first = reading.phrases[0] if reading.phrases else None
        if first is None or first.start:
            continue
        chain, denotes = chain_of(reading, owned_by(reading, first) or first, draft.scene)
        named = chain[-1] if chain and denotes in FITTING else None
        if named is not None and not _is_new_or_other(named):
            yield name, reading, (named,)


def _beginning(text: str, labels: frozenset[str]) -> str:
    spoken = plain(text, labels)
    opening = _OPENING.match(spoken)
    start = opening.end() if opening else 0
    verb = _VERB.search(spoken, start)
    return text[start : verb.start()] if verb else ""


def _is_new_or_other(phrase: NounPhrase) -> bool:
    said = {phrase.determiner, *phrase.modifiers}
    return bool(said & (word_set("others") | {"a", "an", "new", "edited"}))
