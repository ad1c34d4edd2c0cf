"""Measurements: created in one place, rounded before they are judged; and their bounds in words."""

from __future__ import annotations

from collections.abc import Iterable

from tasks.records.records import Measurement

DIGITS = 4
"""Decimals of a measurement unless stated otherwise."""


def measure(
    name: str,
    value: float,
    *,
    low: float | None = None,
    high: float | None = None,
    decides: bool = True,
    digits: int = DIGITS,
    note: str = "",
) -> Measurement:
    """A number with its bounds, both inclusive; the rounded value is recorded and judged.

    Args:
        name: as `Measurement.name`.
        value: in the unit of the name.
        low: minimum that passes; None: no lower bound.
        high: maximum that passes; None: no upper bound.
        decides: False for an informative number, which always passes.
        digits: decimals to round the value to.
        note: as `Measurement.note`.
    """
    # + 0.0 turns -0.0 into 0.0, so that equal values have one spelling.
    rounded = round(float(value), digits) + 0.0
    return Measurement(name=name, value=rounded, low=low, high=high, decides=decides, note=note)


def failed(measurements: Iterable[Measurement]) -> tuple[Measurement, ...]:
    """Those that did not pass, in their order."""
    return tuple(m for m in measurements if not m.passed)


def bound_words(low: float | None, high: float | None) -> str:
    """``at least 0.2``, ``at most 3``, ``between 0.1 and 0.9``, ``exactly 0``, or ``""`` without bounds."""
    if low is None and high is None:
        return ""
    if high is None:
        return f"at least {low:g}"
    if low is None:
        return f"at most {high:g}"
    return f"exactly {low:g}" if low == high else f"between {low:g} and {high:g}"


def measured_words(measurements: Iterable[Measurement]) -> str:
    """Measurements in one line for a terminal: ``region_share 0.31 (at most 0.22); entities 2 (at least 3)``."""
    parts = []
    for m in measurements:
        bound = bound_words(m.low, m.high)
        parts.append(f"{m.name} {m.value:g} ({bound})" if bound else f"{m.name} {m.value:g}")
    return "; ".join(parts)
