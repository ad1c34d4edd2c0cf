"""The gates on an instruction and its reasoning: each one measures, and has its own reason to refuse.

    gate              refuses                                                         reason
    edit type         a reply of another type, or words that ask for another edit     wrong_edit_type
    parts             a part that lacks a fact of the final instruction               parts_disagree
    marking           words about the box or mask the instructor was shown            mentions_marking
    rewriting         a rewriting that lost or added a fact word                      rewrite_lost_fact
    reference         words that fit another thing as well, or none                   ambiguous_reference

The sixth, the reply's schema, is `tasks.stages.instruction.parsing` (bad_reply): without it nothing can be measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from prompts import load_data
from tasks.backends.embedded.language.text_facts import DATA, fact_set, mentions
from tasks.records.errors import Reason
from tasks.records.measuring import measure
from tasks.records.records import EditType, GroundedTarget, Measurement, Reasoning
from tasks.stages.instruction.edit_types import NO_ARGUMENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What the gates look at: the asked edit, the words before and after rewriting, and who was found."""

    target: GroundedTarget
    edit_type: EditType
    argument: str
    replied_type: str
    instruction_before_rewriting: str
    instruction: str
    reasoning: Reasoning
    referred: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """One gate's measurement, its reason, and what exactly was wrong (``""`` when it passed)."""

    measurement: Measurement
    reason: Reason
    detail: str


def check(draft: Draft) -> tuple[GateResult, ...]:
    """All gates, in a fixed order; every gate measures even when an earlier one refuses."""
    return (
        _edit_type(draft),
        _parts(draft),
        _marking(draft),
        _rewriting(draft),
        _reference(draft),
    )


def first_refusal(results: Sequence[GateResult]) -> GateResult | None:
    """The first gate that refused, or None."""
    return next((result for result in results if not result.measurement.passed), None)


def _edit_type(draft: Draft) -> GateResult:
    """The type under the reply's key, and an instruction that asks for it."""
    wrong: list[str] = []
    if draft.replied_type.lower() != draft.edit_type.value.lower():
        wrong.append(f"reply says {draft.replied_type!r}")
    removes = bool(mentions(draft.instruction_before_rewriting, load_data(DATA)["removal_verbs"]))
    # A verb such as "take" may ask for anything, so only the clear cases count.
    if removes and draft.edit_type is not EditType.REMOVE:
        wrong.append("the instruction asks for a removal")
    if draft.argument != NO_ARGUMENT and not mentions(draft.instruction_before_rewriting, [draft.argument]):
        wrong.append(f"the instruction lacks {draft.argument!r}")
    return _result("edit_type_faults", wrong, Reason.WRONG_EDIT_TYPE)


def _parts(draft: Draft) -> GateResult:
    """Each fact of the final instruction must be found again where it belongs."""
    labels = _labels(draft)
    asked = fact_set(draft.instruction, labels) - _argument_facts(draft)
    localized = fact_set(draft.reasoning.target_localization, labels)
    wrong = [f"localisation lacks {kind} {value}" for kind, value in sorted(asked - localized)]
    label = ("noun", draft.target.label)
    for part in ("scene_description", "editing_description", "post_edit_description"):
        if label not in fact_set(getattr(draft.reasoning, part), labels):
            wrong.append(f"{part} lacks the target's noun")
    for part in ("editing_description", "post_edit_description"):
        if draft.argument != NO_ARGUMENT and not mentions(getattr(draft.reasoning, part), [draft.argument]):
            wrong.append(f"{part} lacks {draft.argument!r}")
    return _result("parts_disagreements", wrong, Reason.PARTS_DISAGREE)


def _marking(draft: Draft) -> GateResult:
    """No word about the drawn box or mask, unless the scene holds a thing of that name."""
    names = " ".join(_labels(draft))
    reasoning = draft.reasoning
    texts = (
        draft.instruction_before_rewriting,
        draft.instruction,
        reasoning.scene_description,
        reasoning.target_localization,
        reasoning.editing_description,
        reasoning.post_edit_description,
    )
    found = mentions(" ".join(texts), load_data(DATA)["markings"])
    wrong = [f"says {word!r}" for word in found if not mentions(names, [word])]
    return _result("marking_mentions", wrong, Reason.MENTIONS_MARKING)


def _rewriting(draft: Draft) -> GateResult:
    """The rewriting states the same nouns, colours, ordinals, sides, sizes and numbers."""
    labels = _labels(draft)
    before = fact_set(draft.instruction_before_rewriting, labels)
    after = fact_set(draft.instruction, labels)
    wrong = [f"lost {kind} {value}" for kind, value in sorted(before - after)]
    wrong += [f"added {kind} {value}" for kind, value in sorted(after - before)]
    return _result("rewriting_fact_changes", wrong, Reason.REWRITE_LOST_FACT)


def _reference(draft: Draft) -> GateResult:
    """The referrer, who knows only the final words and the scene, comes back to exactly the target."""
    expected = tuple(draft.target.indices)
    others = set(draft.referred) ^ set(expected)
    wrong = [f"words lead to {list(draft.referred)}, target is {list(expected)}"] if others else []
    measurement = measure("reference_mismatches", len(others), high=0)
    return GateResult(measurement=measurement, reason=Reason.AMBIGUOUS_REFERENCE, detail="; ".join(wrong))


def _labels(draft: Draft) -> tuple[str, ...]:
    scene = draft.target.scene
    return tuple(sorted({thing.label for thing in scene.objects} | {d.label for d in scene.distractors}))


def _argument_facts(draft: Draft) -> frozenset[tuple[str, str]]:
    """The argument's own words are no fact about the target as it is now."""
    return frozenset() if draft.argument == NO_ARGUMENT else fact_set(f"to {draft.argument}")


def _result(name: str, wrong: Sequence[str], reason: Reason) -> GateResult:
    measurement = measure(name, len(wrong), high=0)
    return GateResult(measurement=measurement, reason=reason, detail="; ".join(wrong))
