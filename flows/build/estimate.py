"""Dry run: units and inputs per stage, how many are reused or open, and the estimated time and bytes."""

from __future__ import annotations

from dataclasses import dataclass

from flows.build.plans import Build, draft, draft_following
from flows.ray.cluster import cores
from tasks.storage.protocol.commits import find_commit
from tasks.storage.protocol.planning import committed_units
from tasks.storage.protocol.stage_end import find_stage_end, kept_children
from tasks.storage.protocol.units import Plan

SECONDS_PER_INPUT = {"ingest": 0.15, "grounding": 3.0, "instruction": 0.05, "editing": 1.5, "publish": 0.1}
"""On one core, measured on the demo; a stage that has commits is estimated from those instead."""

BYTES_PER_INPUT = {
    "ingest": 300_000,
    "grounding": 300_000,
    "instruction": 10_000,
    "editing": 1_000_000,
    "publish": 2_000_000,
}
"""Bytes stored, measured on the demo; publish counts twice, for the stage's data and for the release."""

CHILDREN_PER_INPUT = {"ingest": 1.0, "grounding": 1.5, "instruction": 0.8, "editing": 0.5, "publish": 1.0}
"""Expected inputs of the next stage per input of this one, while this one is unfinished."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageEstimate:
    """One stage; ``known`` is False while its number of inputs is itself an estimate.

    ``seconds`` covers the open inputs, divided over all workers; ``bytes`` is what they will store.
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
    """One entry per stage of the run; reads the store, writes nothing.

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
            inputs, left = inputs * CHILDREN_PER_INPUT[stage], left * CHILDREN_PER_INPUT[stage]
            continue
        before = draft(build, stage)
        planned = build.plans[stage] = draft_following(build, before)
        line = _planned(build, stage, planned, workers)
        lines.append(line)
        if find_stage_end(build.store, planned) is None:
            guessing = True
            inputs = left = line.inputs * CHILDREN_PER_INPUT[stage]
            if planned is not before:  # a retry adds its outputs to those kept the first time
                left = line.open_inputs * CHILDREN_PER_INPUT[stage]
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
        seconds=left * SECONDS_PER_INPUT[stage] / workers,
        bytes=left * BYTES_PER_INPUT[stage],
    )


def _measured(build: Build, planned: Plan, done: set[str], looked_at: int = 20) -> tuple[float, float]:
    """Worker seconds and bytes per input, from up to ``looked_at`` commits of the stage, else the demo's figures."""
    commits = [
        commit
        for unit in [u for u in planned.units if u.id in done][:looked_at]
        if (commit := find_commit(build.store, planned.key, unit.id)) is not None
    ]
    inputs = sum(int(commit.counts["inputs"]) for commit in commits)
    if not inputs:
        return SECONDS_PER_INPUT[planned.key.stage], BYTES_PER_INPUT[planned.key.stage]
    seconds = sum(float(commit.run.get("seconds", 0.0)) for commit in commits)
    size = sum((commit.tar.bytes if commit.tar else 0) + commit.rows.bytes for commit in commits)
    return seconds / inputs, size / inputs
