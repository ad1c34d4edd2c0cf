"""One stage of a build on its way: plan it, run its units, close it; the same with and without Prefect."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from flows.build.plans import Build, exclusion_note, plan
from flows.build.fan_out import Pool, StageJob, UnitRun, start_units
from flows.build.pool_in_process import InProcessPool
from flows.build.progress import Progress
from flows.build.unit_queue import Limits
from tasks.stages.config import BuildConfig, ExecutionSettings
from tasks.records.errors import EnvironmentFault
from tasks.records.outcomes import STAGES
from tasks.worker.run_unit import WorkContext, Worker
from tasks.stages.registry import build_stage, stage_digests
from tasks.storage.protocol.planning import committed_units
from tasks.storage.protocol.stage_end import StageEnd, close_stage, decide_duplicates
from tasks.storage.objects.store import StoreOptions, open_store
from tasks.storage.protocol.units import Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class StageWork:
    """A planned stage: its plan, the units that were done before, and the run of the rest."""

    stage: str
    plan: Plan
    done_before: int
    run: UnitRun


def begin(build: Build, stage: str, pool: Pool, progress: Progress) -> StageWork:
    """Plans a stage and gets its open units ready to run."""
    planned = plan(build, stage)
    if stage == STAGES[0] and (note := exclusion_note(build)):
        progress.note(note)
    done = committed_units(build.store, planned.key)
    open_units = [unit for unit in planned.units if unit.id not in done]
    progress.begin(
        stage,
        units=len(planned.units),
        done=len(planned.units) - len(open_units),
        inputs=planned.inputs,
        open_inputs=sum(len(unit.members) for unit in open_units),
    )
    run = start_units(
        stage_job(build, stage),
        open_units,
        pool,
        limits=limits(build.config.execution),
        partitions=build.config.execution.partitions,
        on_done=progress.advance,
    )
    done_before = len(planned.units) - len(open_units)
    return StageWork(stage=stage, plan=planned, done_before=done_before, run=run)


def close(build: Build, stage: str) -> StageEnd:
    """Checks the count law over the stage and writes its end.

    Raises:
        DataFault: a unit is missing or the counts don't add up.
    """
    # Equal bytes at several locations show only when all of ingest is done.
    return close_stage(build.store, build.plans[stage], decide_duplicates if stage == STAGES[0] else None)


def run_stage(
    build: Build,
    stage: str,
    pool: Pool,
    progress: Progress,
    run_partition: Callable[[StageWork, int], None] | None = None,
) -> StageEnd:
    """One stage from plan to end; ``run_partition`` lets Prefect wrap each partition in a task run."""
    work = begin(build, stage, pool, progress)
    for number in range(len(work.run.partitions)):
        if run_partition is None:
            work.run.run_partition(number)
        else:
            run_partition(work, number)
    end = close(build, stage)
    progress.end(stage)
    return end


def stage_job(build: Build, stage: str) -> StageJob:
    """What a pool needs to work for the stage; only names and settings travel to workers."""
    key = build.key(stage)
    make = partial(make_worker, build.located, stage, key.config8, build.store.uri, build.store.options)
    after = STAGES[STAGES.index(stage) + 1 :]
    return StageJob(
        stage=stage,
        key=f"{stage}-{key.config8}",
        make_worker=make,
        is_committed=lambda unit_id: build.store.exists(key.commit_path(unit_id)),
        following=stage_job(build, after[0]) if build.whole and after else None,
    )


def make_worker(config: BuildConfig, stage: str, config8: str, uri: str, options: StoreOptions) -> Worker:
    """Built in the worker's process: its own connection, and the stage with its models.

    Raises:
        EnvironmentFault: a model can't be loaded, or the store can't be reached, or this process would work by
            other code, prompts or models than the driver planned with.
    """
    own = stage_digests(config)[stage]
    if own != config8:
        msg = f"{stage}: a worker's code, prompts or models make it {own}, the driver's {config8}; give both the same"
        raise EnvironmentFault(msg)
    context = WorkContext(
        config8=config8,
        build_stage=partial(build_stage, config, stage),
        trial_timeout_s=config.execution.timeout_floor_s,
        **({"read_ahead": ()} if stage == "publish" else {}),  # a shard copies bytes, it decodes nothing
    )
    return Worker(stage, build_stage(config, stage), open_store(uri, options), context)


def limits(execution: ExecutionSettings) -> Limits:
    """The queue's limits from the configuration."""
    return Limits(
        timeout_factor=execution.timeout_factor,
        timeout_floor_s=execution.timeout_floor_s,
        max_environment_faults=execution.max_environment_faults,
        max_failed_share=execution.max_failed_share,
        failed_share_after=execution.failed_share_after,
    )


@contextmanager
def opened_pool(execution: ExecutionSettings, *, verbose: bool = False) -> Iterator[Pool]:
    """The pool of the configuration; a local Ray starts in the background."""
    if execution.pool == "in-process":
        yield InProcessPool()
        return
    from flows.ray.pool import RayPool  # noqa: PLC0415  (a build without Ray must not need it)
    from flows.ray.cluster import ClusterSettings, RayCluster  # noqa: PLC0415

    cluster = RayCluster(
        ClusterSettings(
            address=execution.ray_address,
            workers=execution.workers,
            threads=execution.threads_per_worker,
            dashboard=execution.dashboard,
            verbose=verbose,
        )
    )
    pool = RayPool(cluster, units_ahead=execution.units_ahead)
    try:
        yield pool
    finally:
        pool.close()
        cluster.stop()
