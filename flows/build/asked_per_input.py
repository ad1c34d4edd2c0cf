"""How many questions and children an input of a stage leads to, where nothing was measured yet.

Planning figures, not results: shares kept by published pipelines of this kind and by the demo. A pilot of 50
photographs (`--limit 50`) replaces the children by measured ones.
"""

from __future__ import annotations

from tasks.records.edit_types import EDIT_TYPES, Maker
from tasks.stages.config import BuildConfig

HAS_TARGET = 0.85
"""Share of photographs with an object that may be a target."""

HARD_AND_PRECISE = 0.35
"""Share of targets that the target judge keeps: two conditions at once."""

WRITES = 1.1
"""Tries of the instructor per plan; most texts pass at once."""

GOOD_WORDS = 0.8
"""Plans with words that pass the gates, per target, however many plans it may have."""

PASSES_GATES = 0.85
"""Share of edits that reach the edit judge: the gates on pixels refuse the others."""

GOOD_EDIT = 0.6
"""Share of those that the edit judge keeps."""


def children_per_input(config: BuildConfig, stage: str) -> float:
    """Expected inputs of the next stage per input of this one."""
    if stage == "grounding":
        return HAS_TARGET * HARD_AND_PRECISE * config.grounding.target.max_targets
    if stage == "instruction":
        return GOOD_WORDS
    if stage == "editing":
        return PASSES_GATES * GOOD_EDIT
    return 1.0


def questions_per_input(config: BuildConfig, stage: str) -> dict[str, float]:
    """Setting of a role -> questions per input of the stage; the edit types' weights count."""
    if stage == "grounding":
        targets = HAS_TARGET * config.grounding.target.max_targets
        return {"tagger": 1.0, "detector": 1.0, "segmenter": HAS_TARGET, "judge": targets}
    if stage == "instruction":
        plans = float(config.instruction.plans_per_target)
        rewritten = 1.0 if config.instruction.rewrite_tries else 0.0
        return {
            "instructor": WRITES * plans,
            "rewriter": rewritten * plans,
            "referrer": (1.0 + rewritten) * plans,
            "text_judge": (1.0 + rewritten) * plans,
        }
    if stage == "editing":
        removed = _removal_share(config)
        tries = 1 + (config.editing.tries - 1) * (1 - PASSES_GATES)
        return {
            "editor": (1 - removed) * tries,
            "inpainter": removed * len(config.editing.removal.tries()),
            "detector": removed,
            "segmenter": removed,
            "judge": PASSES_GATES,
            "second_judge": PASSES_GATES,
        }
    return {}


def _removal_share(config: BuildConfig) -> float:
    weights = config.instruction.weights
    total = sum(weights.values())
    removed = sum(weights.get(row.edit_type, 0.0) for row in EDIT_TYPES if row.maker is Maker.INPAINTER)
    return removed / total if total else 0.0
