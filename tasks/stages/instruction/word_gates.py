"""A profile's word gates as used by the instruction stage."""

from __future__ import annotations

from dataclasses import dataclass

from prompts import load_data
from tasks.records.edit_types import NO_ARGUMENT
from tasks.records.errors import ConfigurationError, Reason
from tasks.records.measuring import measure
from tasks.records.records import EditType, GroundedTarget, Measurement, Reasoning
from tasks.roles.offers import Offers
from tasks.roles.questions import WrittenInstruction
from tasks.stages.instruction.arguments import settled_argument
from tasks.stages.instruction.choose import ChosenEdit
from tasks.stages.instruction.settings import InstructionSettings
from tasks.stages.instruction.words.draft import Draft
from tasks.stages.instruction.words.gates import WordResult, check_words, gates_named
from tasks.stages.instruction.words.scene import word_scene

SENTENCES = "refusals"
"""File in ``prompts/`` with the feedback to a writer, by reason."""

AFTER_WRITING = ("rewriting", "round_trip", "closed_rewriting")
"""Gates on the final words, run once these exist."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """The words of a plan as it passes through the gates.

    Attributes:
        argument: what the target will become, as stored in the plan.
        replied_type: the edit type stated by the instructor.
        instruction: as the instructor wrote it; ``rewritten``: after rewriting, ``""`` before.
        referred: objects that a referrer found from the final words, None before it was asked.
    """

    target: GroundedTarget
    edit_type: EditType
    asked: str
    argument: str
    replied_type: str
    instruction: str
    reasoning: Reasoning
    rewritten: str = ""
    referred: tuple[int, ...] | None = None

    @classmethod
    def written(cls, target: GroundedTarget, edit: ChosenEdit, written: WrittenInstruction) -> Wording:
        """The words of an instructor that was asked for ``edit``."""
        argument = settled_argument(edit.edit_type, edit.argument, written.argument, written.instruction)
        return cls(
            target=target,
            edit_type=edit.edit_type,
            asked=edit.argument,
            argument=argument,
            replied_type=written.edit_type,
            instruction=written.instruction,
            reasoning=written.reasoning,
        )

    @property
    def final(self) -> str:
        """The instruction in use."""
        return self.rewritten or self.instruction


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """One gate's measurement; reason and detail are for a failed one."""

    measurement: Measurement
    reason: Reason
    detail: str = ""

    @property
    def sentence(self) -> str:
        """Feedback to the writer."""
        return refusal_sentence(self.reason)


def refusal_sentence(reason: Reason) -> str:
    """Feedback to a writer about a rejection for this reason.

    Raises:
        ConfigurationError: ``prompts/refusals.yaml`` has no sentence for it.
    """
    sentences = load_data(SENTENCES)
    if reason.value not in sentences:
        msg = f"prompts/{SENTENCES}.yaml: no sentence for {reason.value!r}"
        raise ConfigurationError(msg)
    return str(sentences[reason.value])


def first_refusal(results: tuple[GateResult, ...]) -> GateResult | None:
    """The first failed gate, or None."""
    return next((result for result in results if not result.measurement.passed), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class WordGates:
    """The gates listed by a profile."""

    names: tuple[str, ...]

    @classmethod
    def of(cls, settings: InstructionSettings) -> WordGates:
        """The gates of a configuration.

        Raises:
            ConfigurationError: an unknown gate.
        """
        return cls(names=tuple(gate.name for gate in gates_named(settings.gates, "instruction.gates")))

    def of_writing(self, wording: Wording, offers: Offers) -> tuple[GateResult, ...]:
        """Gates on the instructor's words, and whether the editor accepts the chosen argument."""
        names = [name for name in self.names if name not in AFTER_WRITING]
        return (*_checked(wording, names), _accepted(wording, offers))

    def of_final(self, wording: Wording, offers: Offers) -> tuple[GateResult, ...]:
        """All gates, including those on the final words."""
        return (*_checked(wording, self.names), _accepted(wording, offers))


def draft_of(wording: Wording) -> Draft:
    """The words in the form that gates read."""
    argument = "" if wording.argument == NO_ARGUMENT else wording.argument
    reply = WrittenInstruction(
        edit_type=wording.replied_type,
        instruction=wording.instruction,
        argument=argument,
        reasoning=wording.reasoning,
    )
    return Draft(
        scene=word_scene(wording.target),
        edit_type=wording.edit_type,
        argument=argument,
        raw="",
        reply=reply,
        rewritten=wording.rewritten,
        referred=wording.referred,
    )


def _checked(wording: Wording, names: list[str] | tuple[str, ...]) -> tuple[GateResult, ...]:
    if not names:
        return ()
    return tuple(_result(found) for found in check_words(draft_of(wording), names))


def _result(found: WordResult) -> GateResult:
    measurement = measure(
        f"words_{found.name}", float(not found.passed), high=0.0, decides=found.decided or not found.passed
    )
    return GateResult(measurement=measurement, reason=found.reason, detail=found.detail)


def _accepted(wording: Wording, offers: Offers) -> GateResult:
    """Whether the editor accepts the argument chosen by the instructor; arguments chosen before come from the offer."""
    why = ""
    if wording.argument != wording.asked:
        why = offers.of(wording.edit_type).accepts(wording.edit_type, wording.target, wording.argument)
    measurement = measure("argument_accepted", float(not why), low=1.0)
    return GateResult(measurement=measurement, reason=Reason.ARGUMENT_REFUSED, detail=why)
