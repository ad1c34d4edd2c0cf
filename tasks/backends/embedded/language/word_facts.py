"""Checks of the embedded writers' own words: texts built from one closed vocabulary must state the same facts.

They are gates on words that a profile of the embedded writers lists by name (`tasks.roles.backends.WORD_GATES`). Free
English from another writer fails them by right, since it has other words for the same facts.
"""

from __future__ import annotations

from collections.abc import Set
from typing import Protocol

from tasks.backends.embedded.language.referral_grammar import without_writing, words_for_target
from tasks.backends.embedded.language.text_facts import fact_set, mentions
from tasks.records.edit_types import NO_ARGUMENT
from tasks.records.records import Reasoning

Facts = frozenset[tuple[str, str]]


class SceneLabels(Protocol):
    """The labels that a text may use as nouns: the target's own, and those of everything that was found."""

    @property
    def label(self) -> str:
        """Of the target."""
        ...

    @property
    def whole_label(self) -> str:
        """Of what the target is a part of, ``""`` for a thing of its own."""
        ...

    @property
    def labels(self) -> Set[str]:
        """Of all things."""
        ...


class InstructorTexts(Protocol):
    """What the instructor wrote."""

    @property
    def instruction(self) -> str:
        """Before rewriting."""
        ...

    @property
    def reasoning(self) -> Reasoning:
        """All four parts."""
        ...


class WrittenEdit(Protocol):
    """What these checks read of a draft."""

    @property
    def scene(self) -> SceneLabels:
        """What the texts speak of."""
        ...

    @property
    def argument(self) -> str:
        """What the target is to become; ``""`` or ``"none"`` when the edit has no argument."""
        ...

    @property
    def reply(self) -> InstructorTexts | None:
        """None when the instructor's reply could not be read."""
        ...

    @property
    def rewritten(self) -> str:
        """The instruction after rewriting, ``""`` without one."""
        ...


def closed_parts(draft: WrittenEdit) -> tuple[str, ...]:
    """Facts of the final instruction that the reasoning lacks, one sentence each; empty when it has them all.

    The localization must state every noun, color, ordinal, side, size and number of the instruction; all other parts
    must name the target (the first one may name its whole), and the last two what it becomes.
    """
    if draft.reply is None:
        return ()
    labels = tuple(sorted(draft.scene.labels))
    reasoning, argument = draft.reply.reasoning, _argument(draft)
    # The argument's own words are no fact about the target as it is now.
    becomes = fact_set(f"to {argument}") if argument else frozenset()
    asked = fact_set(words_for_target(draft.rewritten or draft.reply.instruction), labels) - becomes
    faults = _sentences("localization lacks", asked - fact_set(reasoning.target_localization, labels))
    target, whole = ("noun", draft.scene.label), ("noun", draft.scene.whole_label)
    for part in ("scene_description", "editing_description", "post_edit_description"):
        named = fact_set(getattr(reasoning, part), labels)
        if target not in named and not (part == "scene_description" and whole in named):
            faults.append(f"{part} lacks the target's noun")
    for part in ("editing_description", "post_edit_description"):
        if argument and not mentions(getattr(reasoning, part), [argument]):
            faults.append(f"{part} lacks {argument!r}")
    return tuple(faults)


def closed_rewriting(draft: WrittenEdit) -> tuple[str, ...]:
    """Facts that the rewriting lost or added, one sentence each; empty without a rewriting."""
    if draft.reply is None or not draft.rewritten:
        return ()
    labels = tuple(sorted(draft.scene.labels))
    texts = (without_writing(text) for text in (draft.reply.instruction, draft.rewritten))
    before, after = (fact_set(text, labels) for text in texts)
    return (*_sentences("lost", before - after), *_sentences("added", after - before))


def _argument(draft: WrittenEdit) -> str:
    return "" if draft.argument == NO_ARGUMENT else draft.argument


def _sentences(what: str, facts: Facts) -> list[str]:
    return [f"{what} {kind} {value}" for kind, value in sorted(facts)]
