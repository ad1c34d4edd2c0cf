"""The word gates by name, in the order in which they run and are reported.

    gate          rejects                                                             reason
    refusal       a model that declines                                               refused_by_model
    schema        not a JSON object, a part that is missing or empty                  bad_reply
    degenerate    endless parts and loops                                             degenerate_text
    marking       words about the box or mask shown to the instructor                 mentions_marking
    one_edit      two imperative verbs with different objects                         two_edits
    edit_type     another type in the reply's key or its verbs                        wrong_edit_type
    rewriting     a rewriting that contradicts the instruction                        rewrite_contradicts
    noun          another kind of thing, or another label of the scene                wrong_noun
    result        another color, thing, material or writing than requested            wrong_color_word, wrong_argument
    side          another side of the picture                                         wrong_side
    ordinal       another rank from the stated side                                   wrong_ordinal
    size          another size among its kind                                         wrong_size
    color         another color than the measured one                                 wrong_color_word
    count         numbers that differ by two or more, or between parts                wrong_count
    round_trip    final words that lead to other things than the target               ambiguous_reference

    closed_parts, closed_rewriting                                                    parts_disagree, rewrite_lost_fact
                  for the embedded writers only: facts in one closed vocabulary; not part of ``all``

A gate compares only unambiguous words; if there are none it passes undecided.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tasks.records.errors import ConfigurationError, Reason
from tasks.roles.backends import WORD_GATES, word_gate
from tasks.stages.instruction.words.appearance import color, size
from tasks.stages.instruction.words.counts import count
from tasks.stages.instruction.words.draft import Draft, Finding, finding
from tasks.stages.instruction.words.form import degenerate, marking, refusal, schema
from tasks.stages.instruction.words.gate_names import ALL, NAMES
from tasks.stages.instruction.words.nouns import noun
from tasks.stages.instruction.words.orders import edit_type, one_edit
from tasks.stages.instruction.words.ordinals import ordinal
from tasks.stages.instruction.words.results import result
from tasks.stages.instruction.words.rewriting import rewriting, round_trip
from tasks.stages.instruction.words.sides import side


@dataclass(frozen=True, slots=True, kw_only=True)
class WordGate:
    """One gate: its name, what it checks, and its reason unless the finding has another one."""

    name: str
    look: Callable[[Draft], Finding]
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class WordResult:
    """Result of one gate for a draft.

    Attributes:
        name: of the gate.
        passed: whether the draft passes.
        decided: whether it found words unambiguous enough to compare; always true for a failed gate.
        detail: the draft's words and the scene's facts, deterministic; ``""`` if it passed.
        reason: why the draft is rejected if it failed.
    """

    name: str
    passed: bool
    decided: bool
    detail: str
    reason: Reason


ALWAYS: tuple[WordGate, ...] = (
    WordGate(name="refusal", look=refusal, reason=Reason.REFUSED_BY_MODEL),
    WordGate(name="schema", look=schema, reason=Reason.BAD_REPLY),
    WordGate(name="degenerate", look=degenerate, reason=Reason.DEGENERATE_TEXT),
    WordGate(name="marking", look=marking, reason=Reason.MENTIONS_MARKING),
    WordGate(name="one_edit", look=one_edit, reason=Reason.TWO_EDITS),
    WordGate(name="edit_type", look=edit_type, reason=Reason.WRONG_EDIT_TYPE),
    WordGate(name="rewriting", look=rewriting, reason=Reason.REWRITE_CONTRADICTS),
    WordGate(name="round_trip", look=round_trip, reason=Reason.AMBIGUOUS_REFERENCE),
)
"""Gates that need no geometry."""

GEOMETRY: tuple[WordGate, ...] = (
    WordGate(name="noun", look=noun, reason=Reason.WRONG_NOUN),
    WordGate(name="result", look=result, reason=Reason.WRONG_ARGUMENT),
    WordGate(name="side", look=side, reason=Reason.WRONG_SIDE),
    WordGate(name="ordinal", look=ordinal, reason=Reason.WRONG_ORDINAL),
    WordGate(name="size", look=size, reason=Reason.WRONG_SIZE),
    WordGate(name="color", look=color, reason=Reason.WRONG_COLOR_WORD),
    WordGate(name="count", look=count, reason=Reason.WRONG_COUNT),
)
"""Gates that compare words with boxes, masks and colors."""

# The round trip comes last: a plainly wrong word explains more than where it led the referrer.
GENERAL: tuple[WordGate, ...] = tuple(sorted((*ALWAYS, *GEOMETRY), key=lambda gate: NAMES.index(gate.name)))
"""Gates for any writer, in the order they are reported."""


def _of_writers(name: str, reason: Reason) -> WordGate:
    def look(draft: Draft) -> Finding:
        return finding(word_gate(name)(draft), decided=True)

    return WordGate(name=name, look=look, reason=reason)


GATES: Mapping[str, WordGate] = {
    gate.name: gate
    for gate in (*(_of_writers(name, reason) for name, (_, reason) in WORD_GATES.items()), *GENERAL)
}
"""All gates by name, in the order they are reported; those for one kind of writer come first."""


def gates_named(names: Sequence[str], key: str = "gates") -> tuple[WordGate, ...]:
    """The gates with the given names, in the reported order; ``all`` means every one of `GENERAL`.

    Args:
        names: of `GATES`, or ``all``.
        key: the setting or option named in errors.

    Raises:
        ConfigurationError: an unknown name.
    """
    unknown = [name for name in names if name != ALL and name not in GATES]
    if unknown:
        msg = f"{key}: unknown gate {unknown[0]!r} (available: {ALL}, {', '.join(GATES)})"
        raise ConfigurationError(msg)
    return tuple(gate for name, gate in GATES.items() if name in names or (ALL in names and gate in GENERAL))


def check_words(draft: Draft, names: Sequence[str] = (ALL,)) -> tuple[WordResult, ...]:
    """Every listed gate's result, in the reported order; all gates run even if an earlier one failed."""
    return tuple(_result(gate, gate.look(draft)) for gate in gates_named(names))


def first_refused(results: Sequence[WordResult]) -> WordResult | None:
    """The first failed result, or None."""
    return next((result for result in results if not result.passed), None)


def _result(gate: WordGate, found: Finding) -> WordResult:
    return WordResult(
        name=gate.name,
        passed=not found.faults,
        decided=found.decided,
        detail="; ".join(found.faults),
        reason=found.reason or gate.reason,
    )
