"""Where a build's seconds went, from what it left in its store: the same reading for every way of running it.

A plan is written when a stage begins, a commit when a unit is done (it says how long the unit took, and in which
process), and the stage's end when all is counted. What lies between these is what a driver or a worker spent on
something else than units.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tasks.records.outcomes import STAGES


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSeconds:
    """Wall seconds of one stage, part by part; their sum reaches from the end of the stage before to this one's.

    Attributes:
        planning: until the plan is stored.
        loading: until a unit begins, averaged over workers: models, and a driver that hands out nothing.
        units: in units, averaged over workers.
        gaps: between one worker's units, averaged over workers.
        tail: from a worker's last unit to the last of all, averaged over workers.
        closing: from the last commit to the stage's end.
    """

    planning: float
    loading: float
    units: float
    gaps: float
    tail: float
    closing: float

    @property
    def total(self) -> float:
        """The stage's wall seconds."""
        return self.planning + self.loading + self.units + self.gaps + self.tail + self.closing


PARTS = ("planning", "loading", "units", "gaps", "tail", "closing")


def stage_seconds(out: Path, workers: int) -> dict[str, StageSeconds]:
    """By stage; a local dataset of one build that ran once."""
    found: dict[str, StageSeconds] = {}
    before: float | None = None
    for stage in STAGES:
        (folder,) = out.glob(f"stages/{stage}-*")
        begun = min(path.stat().st_mtime for path in folder.glob("plans/*"))
        ended = max(path.stat().st_mtime for path in folder.glob("stage-*.json"))
        spans = _spans(folder)
        found[stage] = _parts(before if before is not None else begun, begun, ended, spans, workers)
        before = ended
    return found


def _spans(folder: Path) -> Mapping[int, list[tuple[float, float]]]:
    """Begin and end of each unit, by process."""
    spans: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for path in folder.glob("commits/*/*.json"):
        run = json.loads(path.read_text())["run"]
        # What a commit says of its end was noted before its tar was written; the file's own time is the end.
        noted, end = datetime.fromisoformat(run["ended"]).timestamp(), path.stat().st_mtime
        spans[run["pid"]].append((noted - run["seconds"], end))
    return {pid: sorted(found) for pid, found in spans.items()}


def _parts(
    before: float, begun: float, ended: float, spans: Mapping[int, list[tuple[float, float]]], workers: int
) -> StageSeconds:
    if not spans:
        return StageSeconds(
            planning=begun - before, loading=0, units=0, gaps=0, tail=0, closing=ended - begun
        )
    last = max(found[-1][1] for found in spans.values())
    work = sum(end - begin for found in spans.values() for begin, end in found)
    loading = sum(found[0][0] - begun for found in spans.values())
    tail = sum(last - found[-1][1] for found in spans.values())
    idle = (workers - len(spans)) * (last - begun)  # a worker without a unit waited from beginning to end
    whole = workers * (last - begun)
    return StageSeconds(
        planning=begun - before,
        loading=loading / workers,
        units=work / workers,
        gaps=(whole - loading - tail - idle - work) / workers,
        tail=(tail + idle) / workers,
        closing=ended - last,
    )
