"""The threshold on a target judge's probabilities, applied after the answer, so that another one asks nobody."""

from __future__ import annotations

from dataclasses import replace

from tasks.records.measuring import measure
from tasks.roles.questions import TargetVerdict

TOGETHER = "keep_probability"
PRECISE, HARD = "precise_probability", "hard_probability"
"""Measurements that hold P(yes): of one answer to both conditions, or of one answer to each."""


def with_threshold(verdict: TargetVerdict, least: float | None) -> TargetVerdict:
    """``verdict`` as decided by its probabilities, each of which must be ``least`` or more.

    Without a threshold, or for a judge that reports no probabilities, its own words stand.
    """
    if least is None:
        return verdict
    measured = tuple(
        measure(m.name, m.value, low=least, note=m.note) if m.name in (TOGETHER, PRECISE, HARD) else m
        for m in verdict.measurements
    )
    passed = {m.name: m.passed for m in measured}
    both = passed.get(TOGETHER)
    return replace(
        verdict,
        precise=passed.get(PRECISE, verdict.precise if both is None else both),
        hard=passed.get(HARD, verdict.hard if both is None else both),
        measurements=measured,
    )
