"""The embedded instructor: writes instruction and reasoning from scene facts with sentence patterns."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from prompts import load_data, load_prompt
from tasks.backends.embedded.language.descriptions import (
    editing_description,
    pronouns,
    result_description,
    scene_description,
    zone,
)
from tasks.backends.embedded.language.localization import target_localization
from tasks.backends.embedded.language.realization import Writer, upper_first, with_article
from tasks.backends.embedded.language.references import COLORED, Reference, candidate_references
from tasks.backends.embedded.language.scene_facts import FactLimits, SceneFacts, gather_facts, has_color_name
from tasks.backends.embedded.nouns import DATA as NOUNS
from tasks.backends.embedded.nouns import noun
from tasks.backends.one_by_one import OneByOne
from tasks.records.errors import Reason, SampleError
from tasks.records.records import ModelIdentity, Reasoning
from tasks.records.settings_base import Settings
from tasks.roles.questions import InstructQuestion, WrittenInstruction

PATTERNS = "patterns_instructor"
VERSION = 5
"""Raised when the code of this backend changes the output; the pattern file has its own digest."""


class SceneFactsOptions(Settings):
    """Options of the backend ``scene-facts``."""

    weak_score: float = Field(
        default=0.2, ge=0, le=1, description="score from which a weak detection counts as a possible instance"
    )
    named_score: float = Field(
        default=0.8, ge=0, le=1, description="score from which a thing may be named in a text"
    )
    color_share: float = Field(
        default=0.7,
        ge=0,
        le=1,
        description="share of the mask in one color from which the color may be named",
    )
    max_risk: float = Field(
        default=0.22,
        ge=0,
        le=1,
        description="largest estimated risk that a wording fits something else",
    )
    slack: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="wordings within this risk of the safest are chosen from, for variety",
    )


class SceneFactsInstructor(OneByOne[InstructQuestion, WrittenInstruction]):
    """Writes only what geometry and measured colors carry; declines when no wording is safe. Looks at no pixels."""

    Options: ClassVar[type[Settings]] = SceneFactsOptions
    answering = frozenset(SceneFactsOptions.model_fields)
    reproducible = True
    wire = 1
    prompts = (PATTERNS, NOUNS)

    def __init__(self, options: SceneFactsOptions | None = None) -> None:
        self.options = options or SceneFactsOptions()
        self._patterns = load_data(PATTERNS)

    @classmethod
    def identity_of(cls, options: SceneFactsOptions) -> ModelIdentity:
        """No model; the digest is that of the pattern file."""
        del options
        return ModelIdentity(
            role="instructor",
            backend="scene-facts",
            model="scene facts and sentence patterns",
            revision=f"groundedit/{VERSION}",
            digest=load_prompt(PATTERNS).sha256,
        )

    def answer_one(self, question: InstructQuestion) -> WrittenInstruction:
        """Instruction and four-part reasoning, all in sentences that end in a full stop.

        Raises:
            SampleError: ``no_unique_reference`` when nothing true would single the target out (nor ever for a group);
                ``backend_error`` for an edit type without patterns.
        """
        limits = FactLimits(
            weak=self.options.weak_score, named=self.options.named_score, color_share=self.options.color_share
        )
        if question.edit_type.value not in self._patterns["instruction"]:
            raise SampleError(Reason.BACKEND_ERROR, f"no sentence patterns for {question.edit_type.value}")
        writer = Writer(patterns=self._patterns, seed=question.seed, key=question.target.target_id)
        if len(question.target.indices) > 1:
            raise _declined(writer, noun(question.target.label).many)
        facts = gather_facts(question.target, limits)
        sure = facts.target.score >= self.options.named_score
        reference = self._choose_reference(facts, writer) if sure else None
        if reference is None:
            raise _declined(writer, noun(question.target.label).one)
        ref = say_reference(reference, facts, writer)
        localization = target_localization(facts, reference, ref, limits, writer)
        if localization is None:
            raise _declined(writer, noun(question.target.label).one)
        slots = _edit_slots(question, facts, ref, writer)
        return WrittenInstruction(
            edit_type=question.edit_type.value,
            instruction=writer.say(f"instruction.{question.edit_type.value}", slots),
            argument=question.argument,
            reasoning=Reasoning(
                scene_description=scene_description(facts, limits, writer),
                target_localization=localization,
                editing_description=editing_description(question.edit_type, slots, writer),
                post_edit_description=result_description(facts, question.edit_type, slots, writer),
            ),
        )

    def _choose_reference(self, facts: SceneFacts, writer: Writer) -> Reference | None:
        """One of the wordings close to the safest, by seed: first a kind, then one of that kind."""
        safe = [
            r
            for r in candidate_references(facts, self.options.color_share)
            if r.risk <= self.options.max_risk
        ]
        safe = [r for r in safe if r.risk <= safe[0].risk + self.options.slack]
        if not safe:
            return None
        kinds = sorted({r.kind for r in safe})
        kind = kinds[writer.draw("reference.kind", len(kinds))]
        of_kind = [r for r in safe if r.kind == kind]
        return of_kind[writer.draw("reference.one", len(of_kind))]


def say_reference(reference: Reference, facts: SceneFacts, writer: Writer) -> str:
    """The reference as a noun phrase that begins with ``the``."""
    word = noun(facts.target.label)
    slots = {
        "noun": f"{reference.color} {word.one}" if reference.color else word.one,
        "side": reference.side,
        **pronouns(word, writer),
        "ordinal": str(writer.entry("ordinals")[reference.rank if reference.kind == "ordinal" else 0]),
        "zone": zone(facts, facts.target, writer),
    }
    for name, anchor in zip(("a", "b"), reference.anchors, strict=False):
        slots[name] = noun(anchor.label).many if reference.group else noun(anchor.label).one
    # A wording with a color uses the patterns of the one without; the color is part of the noun.
    return writer.say(f"reference.{reference.kind.removeprefix(COLORED)}", slots)


def _edit_slots(question: InstructQuestion, facts: SceneFacts, ref: str, writer: Writer) -> dict[str, str]:
    word = noun(question.target.label)
    effects = writer.entry("effects")
    phrases = effects.get(question.argument, {})
    old = facts.target.color if has_color_name(facts.target) else ""
    return {
        **pronouns(word, writer),
        "ref": ref,
        "Ref": upper_first(ref),
        "effect": str(phrases.get("effect", question.argument)),
        "shown": str(phrases.get("shown", question.argument)),
        "noun": word.one,
        "many": word.many,
        "old": old,
        "an_old": with_article(old),
        "argument": question.argument,
        "an_argument": with_article(question.argument),
    }


def _declined(writer: Writer, word: str) -> SampleError:
    return SampleError(Reason.NO_UNIQUE_REFERENCE, writer.say("refusal", {"noun": word}))
