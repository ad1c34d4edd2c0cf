"""For ``status``: the state of a build's last run, and the counters of its pools and servers per role."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flows.cli.tables import text_table

HEADER = (
    "role", "answered by", "questions", "kept used", "answered", "questions/s",
    "queued", "in flight", "batch fill", "failed", "restarts", "state",
)  # fmt: skip

SILENT_S = 60.0
"""A run that has not written for this long was probably killed."""


def run_text(run: Mapping[str, Any]) -> str:
    """A sentence about the run, then a line per role answered outside the workers."""
    state, age = run["state"], float(run["age_s"])
    if state == "running":
        state = f"running, {age:.0f} s ago" if age < SILENT_S else f"silent for {age / 60:.0f} min (killed?)"
    reason = f": {run['reason']}" if run.get("reason") else ""
    line = f"last run: {state}, process {run['pid']} on {run['host']}{reason}"
    rows = _rows(run["services"], run["per_s"])
    return f"{line}\n\n{text_table([HEADER, *rows], right=range(2, 11))}" if rows else line


def _rows(services: Mapping[str, Any], rates: Mapping[str, float]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for name, route in services.get("routes", {}).items():
        pool = services["pools"].get(route["run"])
        server = services["servers"].get(route["run"])
        fill = route["batch_fill"]
        rows.append(
            (
                str(route["role"]),
                str(route["run"]),
                str(route["asked"]),
                str(route["kept_used"]),
                str(route["answered"]),
                f"{rates.get(name, 0.0):.2f}",
                str(route["queued"]),
                str(route["in_flight"]),
                f"{fill:.0%}" if fill is not None else "-",
                str(route["refused"] + route["failed"]),
                str((pool or server or {}).get("restarts", "-")),
                _state(pool, server),
            )
        )
    return rows


def _state(pool: Mapping[str, Any] | None, server: Mapping[str, Any] | None) -> str:
    if pool is not None:
        return "stopped" if pool["stopped"] else f"{pool['replicas']} ready, {pool['starting']} starting"
    if server is not None:
        return "stopped" if server["stopped"] else f"{server['state']}, down {server['times_down']} times"
    return "kept answers alone"
