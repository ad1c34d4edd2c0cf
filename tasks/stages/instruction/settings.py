"""Settings of instruction: edit-type weights, the models that write, the gates."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from tasks.records.edit_types import EDIT_TYPES
from tasks.records.records import EditType
from tasks.records.settings_base import RoleSettings, Settings
from tasks.roles.backends import WORD_GATES
from tasks.stages.instruction.words.gate_names import ALL, NAMES

PAPER_COUNTS = {row.edit_type: row.weight for row in EDIT_TYPES}
"""Samples per edit type in the paper's Figure 2: the default weights."""

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Chance = Annotated[float, Field(ge=0, le=1)]


class InstructionSettings(Settings):
    """Settings of the paper's second stage: type, instruction, reasoning, rewriting."""

    instructor: RoleSettings
    rewriter: RoleSettings
    referrer: RoleSettings
    text_judge: RoleSettings | None = Field(default=None, description="optional last check of the words")
    gates: tuple[str, ...] = Field(default=("all",), description="word gates, by name")
    min_agreement: float = Field(default=0.5, ge=0, le=1, description="minimum probability by the text judge")
    min_referent_iou: float = Field(
        default=0.5, gt=0, le=1, description="overlap from which a referrer's box means an object"
    )
    rewrite_tries: int = Field(
        default=2, ge=0, description="rewritings tried before the original instruction is used; 0: none"
    )
    weights: dict[EditType, Weight] = Field(default=PAPER_COUNTS, description="relative, not normalized")
    chances: dict[EditType, Chance] = Field(
        default={},
        description="probability that a plan may be of this type at all, for types that would fit nearly every target; "
        "types that are not named: 1",
    )
    plans_per_target: int = Field(
        default=1, ge=1, description="maximum edits per target, of different types if possible"
    )
    most_per_type: dict[EditType, Annotated[int, Field(ge=1)]] = Field(
        default={},
        description="maximum edits of a type per target, with different arguments; types that are not named: no limit",
    )
    tries: int = Field(default=2, ge=1, description="maximum tries to write a plan's words")
    unit_size: int = Field(default=32, gt=0, description="inputs per unit; not part of the stage's digest")

    @field_validator("gates")
    @classmethod
    def _gates_exist(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in (ALL, *NAMES, *WORD_GATES):
                msg = f"unknown gate {name!r} (available: {ALL}, {', '.join((*NAMES, *WORD_GATES))})"
                raise ValueError(msg)
        return names
