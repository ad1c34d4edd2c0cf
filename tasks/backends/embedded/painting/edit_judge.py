"""The embedded edit judge: two scores from measured values, each value recorded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field

from tasks.backends.one_by_one import OneByOne
from tasks.records.measuring import measure
from tasks.records.records import EditType, Measurement, ModelIdentity
from tasks.records.settings_base import Settings
from tasks.roles.questions import EditJudgeQuestion, EditScores

ACCURACY = {
    EditType.REMOVE: (("found_after_score", 0.4, 0.0), ("new_object_score", 0.6, 0.0)),
    EditType.APPEARANCE: (("change_inside_delta_e", 1.0, 7.0),),
    EditType.ADD: (("copy_found_score", 0.2, 0.6), ("copy_shape_iou", 0.5, 0.9)),
    EditType.REPLACE: (("copy_found_score", 0.2, 0.6), ("old_thing_left_share", 0.4, 0.0)),
    EditType.COLOR: (("asked_color_share", 0.35, 0.85), ("change_inside_delta_e", 8.0, 24.0)),
}
"""Gate values that tell whether the edit was done: (name, value worth 1, value worth 5)."""

ACCURACY_ELSE = (("change_inside_delta_e", 6.0, 20.0),)
"""For the types without a rule of their own, all that is known is that something changed."""

SEAMLESSNESS = (
    ("seam_share", 0.4, 0.02),
    ("raw_leak_delta_e", 8.0, 0.5),
    ("fill_contrast_ratio", 0.1, 0.8),
    ("novel_fill_share", 0.2, 0.0),
    ("trace_of_shape", 0.6, 0.1),
    ("copy_contact_loss", 1.0, 0.4),
    ("copy_halo_share", 0.6, 0.12),
)
"""Gate values that tell how well it fits in, with the same pair; those a type lacks are left out."""


class EditJudgeOptions(Settings):
    """How the single scores join."""

    worst_weight: float = Field(
        default=0.6, ge=0, le=1, description="weight of the worst figure over their mean"
    )


class RuleEditJudge(OneByOne[EditJudgeQuestion, EditScores]):
    """RegionEditAccuracy and SeamlessQuality (paper, Figure 20) by rules over the gates' numbers."""

    Options: ClassVar[type[Settings]] = EditJudgeOptions
    answering = frozenset(EditJudgeOptions.model_fields)
    reproducible = True
    wire = 1

    def __init__(self, options: EditJudgeOptions | None = None) -> None:
        self._options = options or EditJudgeOptions()

    @classmethod
    def identity_of(cls, options: EditJudgeOptions) -> ModelIdentity:
        """An algorithm without weights."""
        del options
        return ModelIdentity(
            role="edit_judge", backend="rules", model="rules over measured gates", revision="3", digest="none"
        )

    def answer_one(self, question: EditJudgeQuestion) -> EditScores:
        """Both scores, 1..5; each rests on the measurements it returns. The pictures are not looked at."""
        values = {gate.name: gate.value for gate in question.gates}
        accuracy = _scores("accuracy", values, ACCURACY.get(question.edit_type, ACCURACY_ELSE))
        seamless = _scores("seamless", values, SEAMLESSNESS)
        return EditScores(
            accuracy=self._join(accuracy),
            seamlessness=self._join(seamless),
            measurements=(*accuracy, *seamless),
        )

    def _join(self, scores: Sequence[Measurement]) -> float:
        if not scores:
            return 1.0
        points = [score.value for score in scores]
        weight = self._options.worst_weight
        return round(float(weight * min(points) + (1 - weight) * np.mean(points)), 2)


def _scores(
    prefix: str, values: dict[str, float], rules: Sequence[tuple[str, float, float]]
) -> tuple[Measurement, ...]:
    """One 1..5 score for each rule whose value was measured, linear between its two ends."""
    found = []
    for name, worst, best in rules:
        if name in values:
            share = float(np.clip((values[name] - worst) / (best - worst), 0, 1))
            note = f"1 point at {worst:g}, 5 at {best:g}"
            found.append(measure(f"{prefix}_{name}", 1 + 4 * share, decides=False, digits=2, note=note))
    return tuple(found)
