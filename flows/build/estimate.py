"""What a build would do: units and inputs per stage, reused and open, time and bytes guessed from what was done."""

from __future__ import annotations

from dataclasses import dataclass

from flows.build.plans import Build, draft, draft_following
from flows.ray.cluster import cores
from tasks.storage.protocol.commits import find_commit
from tasks.storage.protocol.planning import committed_units
from tasks.storage.protocol.stage_end import find_stage_end, kept_children
from tasks.storage.protocol.units import Plan

SECONDS_AN_INPUT = {"ingest": 0.15, "grounding": 3.0, "instruction": 0.05, "editing": 1.5, "publish": 0.1}
"""Of one core, measured on the demo; a stage that has commits is judged by those."""

BYTES_AN_INPUT = {
    "ingest": 300_000,
    "grounding": 300_000,
    "instruction": 10_000,
    "editing": 1_000_000,
    "publish": 2_000_000,
}
"""Stored, measured on the demo; publish counts twice, for the stage's data and the release."""

CHILDREN_AN_INPUT = {"ingest": 1.0, "grounding": 1.5, "instruction": 0.8, "editing": 0.5, "publish": 1.0}
"""Inputs of the next stage for each of this one's, when this one is not done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageEstimate:
    """One stage: ``known`` is False while its inputs are guessed from the stage before; bytes and seconds are guesses.

    ``seconds`` counts the open inputs on all workers together.
    """

    stage: str
    config8: str
    known: bool
    inputs: int
    units: int
    reused_units: int
    open_inputs: int
    seconds: float
    bytes: int


def estimate(build: Build) -> list[StageEstimate]:
    """One line per stage of the run; reads the store, writes nothing.

    Raises:
        ConfigurationError: the stage before the first one is not finished.
    """
    workers = build.config.execution.workers or cores()
    if build.config.execution.pool == "in-process":
        workers = 1
    lines: list[StageEstimate] = []
    inputs = left = 0.0
    guessing = False
    for stage in build.stages:
        if guessing:
            lines.append(_guess(build, stage, round(inputs), round(left), workers))
            inputs, left = inputs * CHILDREN_AN_INPUT[stage], left * CHILDREN_AN_INPUT[stage]
            continue
        before = draft(build, stage)
        planned = build.plans[stage] = draft_following(build, before)
        line = _planned(build, stage, planned, workers)
        lines.append(line)
        if find_stage_end(build.store, planned) is None:
            guessing = True
            inputs = left = line.inputs * CHILDREN_AN_INPUT[stage]
            if planned is not before:  # what was kept the first time is kept, and done in the next stage
                left = line.open_inputs * CHILDREN_AN_INPUT[stage]
                inputs = left + sum(1 for _ in kept_children(build.store, before))
    return lines


def _planned(build: Build, stage: str, planned: Plan, workers: int) -> StageEstimate:
    done = committed_units(build.store, planned.key)
    open_units = [unit for unit in planned.units if unit.id not in done]
    open_inputs = sum(len(unit.members) for unit in open_units)
    rate, size = _measured(build, planned, done)
    return StageEstimate(
        stage=stage,
        config8=planned.key.config8,
        known=True,
        inputs=planned.inputs,
        units=len(planned.units),
        reused_units=len(planned.units) - len(open_units),
        open_inputs=open_inputs,
        seconds=open_inputs * rate / workers,
        bytes=round(open_inputs * size),
    )


def _guess(build: Build, stage: str, inputs: int, left: int, workers: int) -> StageEstimate:
    return StageEstimate(
        stage=stage,
        config8=build.digests[stage],
        known=False,
        inputs=inputs,
        units=0,
        reused_units=0,
        open_inputs=left,
        seconds=left * SECONDS_AN_INPUT[stage] / workers,
        bytes=left * BYTES_AN_INPUT[stage],
    )


def _measured(build: Build, planned: Plan, done: set[str], looked_at: int = 20) -> tuple[float, float]:
    """Seconds of a worker and bytes for one input, from some commits of the stage, or the demo's."""
    commits = [
        commit
        for unit in [u for u in planned.units if u.id in done][:looked_at]
        if (commit := find_commit(build.store, planned.key, unit.id)) is not None
    ]
    inputs = sum(int(commit.counts["inputs"]) for commit in commits)
    if not inputs:
        return SECONDS_AN_INPUT[planned.key.stage], BYTES_AN_INPUT[planned.key.stage]
    seconds = sum(float(commit.run.get("seconds", 0.0)) for commit in commits)
    size = sum((commit.tar.bytes if commit.tar else 0) + commit.rows.bytes for commit in commits)
    return seconds / inputs, size / inputs
