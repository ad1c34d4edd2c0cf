"""The embedded instructor: writes instruction and reasoning from scene facts with sentence patterns."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from prompts import load_data, load_prompt
from tasks.backends.embedded.language.arguments import chosen_argument
from tasks.backends.embedded.language.descriptions import (
    editing_description,
    result_description,
    scene_description,
)
from tasks.backends.embedded.language.localization import target_localization
from tasks.backends.embedded.language.realization import Writer
from tasks.backends.embedded.language.reference import ALONE, Reference
from tasks.backends.embedded.language.references import candidate_references
from tasks.backends.embedded.language.saying import edit_slots, say_reference
from tasks.backends.embedded.language.scene_facts import GARMENT, FactLimits, SceneFacts, gather_facts
from tasks.backends.embedded.nouns import DATA as NOUNS
from tasks.backends.embedded.nouns import noun
from tasks.backends.one_by_one import OneByOne
from tasks.records.errors import Reason, SampleError
from tasks.records.records import EditType, GroundedTarget, ModelIdentity, Reasoning
from tasks.records.settings_base import Settings
from tasks.roles.questions import InstructQuestion, WrittenInstruction

PATTERNS = "patterns_instructor"
VERSION = 14
"""Raised when the code of this backend changes the output; the pattern file has its own digest."""


LABEL_CHECK = "label_confidence"
"""The judge's measurement of a label by detector and classifier together."""


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
                ``backend_error`` for an edit type without patterns, or one that needs an argument and got none.
        """
        limits = FactLimits(
            weak=self.options.weak_score, named=self.options.named_score, color_share=self.options.color_share
        )
        edit_type, target = question.edit_type, question.target
        if edit_type.value not in self._patterns["instruction"]:
            raise SampleError(Reason.BACKEND_ERROR, f"no sentence patterns for {edit_type.value}")
        writer = Writer(
            patterns=self._patterns,
            seed=question.seed,
            key=target.scene.source.sid,
            turn=_turn(question),
        )
        if len(target.indices) > 1:
            raise _declined(writer, noun(target.label).many)
        facts = gather_facts(target, limits)
        argument = chosen_argument(question, facts, writer)
        named = facts.target.score >= self.options.named_score or _has_confirmed_label(target)
        sure = named and facts.is_sole_part
        reference = self._choose_reference(facts, writer) if sure else None
        if reference is None:
            raise _declined(writer, noun(target.label).one)
        ref = say_reference(reference, facts, writer)
        localization = target_localization(facts, reference, ref, limits, writer)
        if localization is None:
            raise _declined(writer, noun(target.label).one)
        slots = edit_slots(argument, facts, ref, writer)
        return WrittenInstruction(
            edit_type=edit_type.value,
            instruction=writer.say(_order_path(edit_type, facts), slots),
            argument=argument.text,
            reasoning=Reasoning(
                scene_description=scene_description(facts, limits, writer),
                target_localization=localization,
                editing_description=editing_description(facts, edit_type, slots, writer, question.along),
                post_edit_description=result_description(facts, edit_type, slots, writer, question.along),
            ),
        )

    def _choose_reference(self, facts: SceneFacts, writer: Writer) -> Reference | None:
        """One of the wordings close to the safest, by seed: first a kind, then one of that kind."""
        safe = [
            r
            for r in candidate_references(facts, self.options.color_share)
            if r.risk <= self.options.max_risk
        ]
        if (
            facts.part is None
        ):  # the noun of the only thing of its kind tells little; a relation is worth more risk
            safe = [r for r in safe if r.kind != ALONE] or safe
        if not safe:
            return None
        safe = [r for r in safe if r.risk <= safe[0].risk + self.options.slack]
        kinds = sorted({r.kind for r in safe})
        kind = kinds[writer.draw("reference.kind", len(kinds))]
        of_kind = [r for r in safe if r.kind == kind]
        return of_kind[writer.draw("reference.one", len(of_kind))]


def _order_path(edit_type: EditType, facts: SceneFacts) -> str:
    worn = edit_type is EditType.MATERIAL and noun(facts.edited.label).kind == GARMENT
    return f"instruction.{edit_type.value}" + ("_worn" if worn else "")


def _has_confirmed_label(target: GroundedTarget) -> bool:
    """Whether the target judge had a second opinion on the label, so that the detector need not be sure by itself."""
    return any(check.name == LABEL_CHECK and check.passed for check in target.judgement)


_TURNS = (
    EditType.COLOR,
    EditType.REMOVE,
    EditType.MATERIAL,
    EditType.APPEARANCE,
    EditType.REPLACE,
    EditType.ADD,
    EditType.TEXT,
    EditType.ACTION,
)
"""Types that are often asked for of one target come after each other."""


def _turn(question: InstructQuestion) -> int:
    """Differs between the samples of one photograph as far as their ids and types do, and between tries."""
    number = question.target.target_id.rpartition("-t")[2]
    target = int(number) if number.isdigit() else 0
    return target + _TURNS.index(question.edit_type) + question.attempt


def _declined(writer: Writer, word: str) -> SampleError:
    return SampleError(Reason.NO_UNIQUE_REFERENCE, writer.say("refusal", {"noun": word}))
