"""Settings of instruction: edit-type weights, the models that write, the gates."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from tasks.records.records import EditType
from tasks.records.settings_base import RoleSettings, Settings
from tasks.stages.instruction.words.names import ALL, NAMES

PAPER_COUNTS = {
    EditType.COLOR: 12973.0,
    EditType.REMOVE: 18131.0,
    EditType.REPLACE: 7558.0,
    EditType.ADD: 3844.0,
    EditType.MATERIAL: 1095.0,
    EditType.ACTION: 417.0,
    EditType.APPEARANCE: 775.0,
    EditType.TEXT: 82.0,
}
"""Samples by edit type in the paper's Figure 2 (the pairing of label and number is inferred from their order)."""

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class InstructionSettings(Settings):
    """The second stage of the paper: type, instruction, reasoning, rewriting."""

    instructor: RoleSettings
    rewriter: RoleSettings
    referrer: RoleSettings
    weights: dict[EditType, Weight] = Field(default=PAPER_COUNTS, description="relative, not normalised")
    plans_per_target: int = Field(
        default=1, ge=1, description="different edits planned, at most; other types first"
    )
    tries: int = Field(default=2, ge=1, description="times a plan is put into words before it is refused")
    gates: tuple[str, ...] = Field(
        default=(ALL,), description="gates on words that every draft must pass: names, or 'all'"
    )
    unit_size: int = Field(default=32, gt=0, description="inputs a unit; not part of the stage's digest")

    @field_validator("gates")
    @classmethod
    def _gates_exist(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in (ALL, *NAMES):
                msg = f"unknown gate {name!r} (available: {ALL}, {', '.join(NAMES)})"
                raise ValueError(msg)
        return names
