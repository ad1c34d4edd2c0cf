"""Unit counts and times per stage as Ray metrics, scraped together with Ray's own."""

from __future__ import annotations

from ray.util.metrics import Counter, Gauge, Histogram

from tasks.worker.run_unit import UnitSummary

UNIT_SECONDS = [0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600]
"""Upper bounds of the histogram's buckets; a unit should take from seconds to a few minutes."""


class StageMetrics:
    """Metrics reported by a driver; create it after Ray is up."""

    def __init__(self) -> None:
        tags = ("stage",)
        self._open = Gauge("groundedit_open_units", "units without a commit", tag_keys=tags)
        self._in_flight = Gauge("groundedit_units_in_flight", "units handed to workers", tag_keys=tags)
        self._units = Counter("groundedit_units_total", "units committed", tag_keys=tags)
        self._inputs = Counter("groundedit_inputs_total", "inputs committed", tag_keys=tags)
        self._kept = Counter("groundedit_kept_total", "children kept", tag_keys=tags)
        self._seconds = Histogram(
            "groundedit_unit_seconds", "seconds a unit took", boundaries=UNIT_SECONDS, tag_keys=tags
        )
        self._stage = {"stage": ""}

    def observe(self, stage: str, *, open_units: int, in_flight: int) -> None:
        """Reports the state of the stage."""
        self._stage = {"stage": stage}
        self._open.set(open_units, tags=self._stage)
        self._in_flight.set(in_flight, tags=self._stage)

    def count(self, summary: UnitSummary, seconds: float) -> None:
        """Counts one more committed unit."""
        self._units.inc(1, tags=self._stage)
        if summary.inputs:
            self._inputs.inc(summary.inputs, tags=self._stage)
        if summary.kept:
            self._kept.inc(summary.kept, tags=self._stage)
        self._seconds.observe(seconds, tags=self._stage)
