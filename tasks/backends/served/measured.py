"""A judge's probability as a measurement; the stage that applies a threshold decides by it, not the judge."""

from __future__ import annotations

from tasks.records.measuring import measure
from tasks.records.records import Measurement


def measured(name: str, probability: float | None, answer: bool) -> Measurement:
    """The measurement ``name``, or ``name_unknown`` with the bare answer, 0 or 1, of a server without probabilities."""
    if probability is None:
        return measure(f"{name}_unknown", float(answer), decides=False)
    return measure(name, probability, decides=False)
