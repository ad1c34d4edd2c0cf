"""Dry run: units and inputs per stage, how many are reused or open, and the estimated time, bytes and GPU-hours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice

from flows.build.asked_per_input import children_per_input
from flows.build.gpu_hours import StageCost, stage_cost
from flows.build.plans import Build, draft, draft_following
from flows.build.role_rates import Rate, measured_rates
from flows.build.stage_memory import cards_here, cards_needed
from flows.ray.cluster import cores
from tasks.records.outcomes import STAGES
from tasks.sources.listing import named_like_photographs
from tasks.storage.protocol.commits import Commit, commit_from, find_commit
from tasks.storage.protocol.layout import StageKey
from tasks.storage.protocol.planning import committed_units
from tasks.storage.protocol.stage_end import find_stage_end, kept_children
from tasks.storage.protocol.units import Plan
from tasks.storage.protocol.written import written

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

LOOKED_AT = 20
"""Commits of a stage that are read to see what an input takes and becomes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PerInput:
    """What an input of a stage takes and becomes: worker seconds, bytes stored, kept children."""

    seconds: float
    bytes: float
    children: float
    measured: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StageEstimate:
    """One stage.

    Attributes:
        known: whether its number of inputs is known; else it follows from the stages before.
        measured: whether what an input takes and becomes was measured in this dataset; else it is assumed.
        seconds: for the open inputs, divided over all workers, or those of the busiest pool or server if more.
        bytes: that the open inputs will store.
        models: what pools and servers cost for the open inputs.
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
    measured: bool = False
    models: StageCost = field(default_factory=StageCost)


def estimate(build: Build) -> list[StageEstimate]:
    """One entry per stage of the run; reads the store, writes nothing.

    Raises:
        ConfigurationError: the stage before the first one is not finished.
    """
    made = _Estimator(build)
    lines: list[StageEstimate] = []
    inputs = left = 0.0
    guessing = False
    for stage in build.stages:
        if guessing:
            per = made.per_input(build.key(stage), (), stage)
            lines.append(made.guess(stage, round(inputs), round(left), per))
            inputs, left = inputs * per.children, left * per.children
            continue
        before = draft(build, stage)
        planned = build.plans[stage] = draft_following(build, before)
        line, per = made.planned(stage, planned)
        if build.listing is not None and stage == STAGES[0] and not per.measured:
            entries = build.listing.entries
            per = replace(per, children=named_like_photographs(entries) / max(1, len(entries)))
        lines.append(line)
        if find_stage_end(build.store, planned) is None:
            guessing = True
            inputs = left = line.inputs * per.children
            if planned is not before:  # a retry adds its outputs to those kept the first time
                left = line.open_inputs * per.children
                inputs = left + sum(1 for _ in kept_children(build.store, before))
    return lines


class _Estimator:
    """What is the same for all stages of a build: workers, cards, and rates measured so far."""

    def __init__(self, build: Build) -> None:
        execution = build.config.execution
        self._build = build
        self._workers = 1 if execution.pool == "in-process" else execution.workers or cores()
        self._rates: Mapping[str, Rate] = measured_rates(build.store)
        self._cards = max(
            cards_here(execution.local_gpus), cards_needed(build.config, card_gb=execution.card_gb)
        )

    def planned(self, stage: str, planned: Plan) -> tuple[StageEstimate, PerInput]:
        """A stage of which the inputs are known."""
        store = self._build.store
        done = committed_units(store, planned.key)
        open_units = [unit for unit in planned.units if unit.id not in done]
        open_inputs = sum(len(unit.members) for unit in open_units)
        own = (find_commit(store, planned.key, unit.id) for unit in planned.units if unit.id in done)
        per = self.per_input(planned.key, (commit for commit in own if commit is not None), stage)
        units = (len(planned.units), len(planned.units) - len(open_units))
        return self._line(stage, planned.inputs, open_inputs, per, units=units), per

    def guess(self, stage: str, inputs: int, left: int, per: PerInput) -> StageEstimate:
        """A stage of which the inputs follow from the stages before."""
        return self._line(stage, inputs, left, per)

    def per_input(self, key: StageKey, commits: Iterable[Commit], stage: str) -> PerInput:
        """From some commits of the plan, else from any under this configuration (a pilot's), else assumed."""
        found = list(islice(commits, LOOKED_AT)) or self._any_commits(key)
        inputs = sum(int(commit.counts["inputs"]) for commit in found)
        if not inputs:
            return PerInput(
                seconds=SECONDS_PER_INPUT[stage],
                bytes=BYTES_PER_INPUT[stage],
                children=children_per_input(self._build.config, stage),
                measured=False,
            )
        size = sum((commit.tar.bytes if commit.tar else 0) + commit.rows.bytes for commit in found)
        return PerInput(
            seconds=sum(float(commit.run.get("seconds", 0.0)) for commit in found) / inputs,
            bytes=size / inputs,
            children=sum(int(commit.counts["children_kept"]) for commit in found) / inputs,
            measured=True,
        )

    def _any_commits(self, key: StageKey) -> list[Commit]:
        store = self._build.store
        paths = [info.path for info in islice(written(store, key.commits), LOOKED_AT)]
        return [commit_from(store.get(path), path) for path in paths]

    def _line(
        self, stage: str, inputs: int, left: int, per: PerInput, units: tuple[int, int] | None = None
    ) -> StageEstimate:
        cost = stage_cost(self._build.config, stage, left, self._rates, cards=self._cards)
        return StageEstimate(
            stage=stage,
            config8=self._build.digests[stage],
            known=units is not None,
            inputs=inputs,
            units=units[0] if units else 0,
            reused_units=units[1] if units else 0,
            open_inputs=left,
            seconds=max(left * per.seconds / self._workers, cost.hours * 3600),
            bytes=round(left * per.bytes),
            measured=per.measured,
            models=cost,
        )
