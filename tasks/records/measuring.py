"""Temporary."""

from __future__ import annotations

from tasks.records.records import Measurement


def measure(
    name: str,
    value: float,
    *,
    low: float | None = None,
    high: float | None = None,
    decides: bool = True,
    digits: int = 4,
) -> Measurement:
    """Temporary."""
    value = round(float(value), digits)
    passed = not decides or ((low is None or value >= low) and (high is None or value <= high))
    bound = f">= {low:g}" if low is not None else f"<= {high:g}" if high is not None else ""
    return Measurement(
        name=name, value=value, passed=passed, threshold=bound if decides else "information: undecided"
    )
