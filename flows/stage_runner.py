"""One build on its way: plan a stage, run its units, close it; the same with and without Prefect."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from flows.fan_out import Pool, StageJob, UnitRun, start_units
from flows.photographs import with_photographs
from flows.pool_in_process import InProcessPool
from flows.progress import Progress
from flows.unit_queue import Limits
from tasks.config import BuildConfig, ExecutionSettings
from tasks.errors import ConfigurationError
from tasks.outcomes import STAGES, SourceEntry
from tasks.process_unit import WorkContext, Worker
from tasks.publishing.plan_release import read_fingerprints, retry_shards, shard_grouping, sid_of
from tasks.sources.listing import list_entries
from tasks.stages import build_stage, check_roles, stage_digests, stage_material
from tasks.storage.builds import BuildRecord, link_plan, write_build
from tasks.storage.layout import StageKey
from tasks.storage.planning import (
    Grouping,
    committed_units,
    draft_plan,
    entry_inputs,
    retry_failed,
    store_plan,
    write_stage_config,
)
from tasks.storage.stage_end import (
    StageEnd,
    close_stage,
    decide_duplicates,
    failed_inputs,
    find_stage_end,
    kept_children,
)
from tasks.storage.store import Store, StoreOptions, open_store
from tasks.storage.units import Plan, PlanInput


@dataclass(slots=True)
class Build:
    """A configuration, its store, and the plans of the stages so far.

    Attributes:
        config: as asked for; it is what the build's record holds.
        located: the same with named photograph collections replaced by folders of this machine.
        record: known once ingest is planned.
        entries: of the sources, listed once.
    """

    config: BuildConfig
    located: BuildConfig
    store: Store
    digests: dict[str, str]
    retry: bool = False
    plans: dict[str, Plan] = field(default_factory=dict)
    record: BuildRecord | None = None
    entries: list[SourceEntry] | None = None

    def key(self, stage: str) -> StageKey:
        """Where the stage lies under this configuration."""
        return StageKey(stage=stage, config8=self.digests[stage])


@dataclass(frozen=True, slots=True, kw_only=True)
class StageWork:
    """A planned stage: its plan, the units that were done before, and the run of the rest."""

    stage: str
    plan: Plan
    done_before: int
    run: UnitRun


def open_build(config: BuildConfig, *, retry: bool = False) -> Build:
    """The build, its store checked for conditional put and free space.

    Raises:
        ConfigurationError: a role, exclusion file or store that cannot work.
        AssetUnavailable: photographs asked for by name can't be fetched.
        StorageFault: the store can't be written to.
    """
    check_roles(config)
    store = open_store(config.out, StoreOptions(min_free_bytes=config.execution.min_free_bytes))
    return Build(
        config=config,
        located=with_photographs(config),
        store=store,
        digests=stage_digests(config),
        retry=retry,
    )


def draft(build: Build, stage: str) -> Plan:
    """The stage's plan with nothing written; the stage before must be closed.

    Raises:
        ConfigurationError: the stage before isn't finished under this configuration.
    """
    upstream = _upstream(build, stage)
    return draft_plan(
        build.store,
        build.key(stage),
        _inputs(build, stage, upstream),
        unit_size=unit_size(build.config, stage),
        upstream=upstream.reference if upstream else "",
        grouping=_grouping(build, stage, upstream),
    )


def plan(build: Build, stage: str) -> Plan:
    """The stage's plan, stored; with ``retry``, a finished plan with failures is followed by its next generation."""
    drafted = draft(build, stage)
    write_stage_config(build.store, build.key(stage), stage_material(build.config, stage))
    wanted = store_plan(build.store, drafted)
    if build.retry and find_stage_end(build.store, wanted) is not None:
        failed = failed_inputs(build.store, wanted)
        if stage == "publish":
            wanted = retry_shards(build.store, wanted, failed)
        else:
            wanted = retry_failed(build.store, wanted, failed, unit_size(build.config, stage))
    build.plans[stage] = wanted
    _record(build, wanted)
    return wanted


def begin(build: Build, stage: str, pool: Pool, progress: Progress) -> StageWork:
    """Plans a stage and gets its open units ready to run."""
    planned = plan(build, stage)
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
    return StageJob(
        stage=stage,
        key=f"{stage}-{key.config8}",
        make_worker=make,
        is_committed=lambda unit_id: build.store.exists(key.commit_path(unit_id)),
    )


def make_worker(config: BuildConfig, stage: str, config8: str, uri: str, options: StoreOptions) -> Worker:
    """Built in the worker's process: its own connection, and the stage with its models.

    Raises:
        EnvironmentFault: a model can't be loaded, or the store can't be reached.
    """
    context = WorkContext(
        config8=config8,
        build_stage=partial(build_stage, config, stage),
        trial_timeout_s=config.execution.timeout_floor_s,
        **({"read_ahead": ()} if stage == "publish" else {}),  # a shard copies bytes, it decodes nothing
    )
    return Worker(stage, build_stage(config, stage), open_store(uri, options), context)


def unit_size(config: BuildConfig, stage: str) -> int:
    """Inputs a unit, at most; publish cuts by shards."""
    settings = getattr(config, stage)
    return int(settings.samples_per_shard if stage == "publish" else settings.unit_size)


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
    from flows.pool_ray import RayPool  # noqa: PLC0415  (a build without Ray must not need it)
    from flows.ray_cluster import ClusterSettings, RayCluster  # noqa: PLC0415

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


def _record(build: Build, planned: Plan) -> None:
    """Notes the plan in the build's record; the record itself follows from the configuration and the sources."""
    if build.record is None:
        # How and where it is run changes nothing that comes out, so it is no part of the build's identity.
        content = build.config.model_dump(mode="json", exclude={"execution", "out"})
        run = {"execution": build.config.execution.model_dump(mode="json"), "out": build.config.out}
        chain = [build.key(stage) for stage in STAGES]
        build.record = write_build(build.store, content, chain, _plan_of(build, "ingest"), run)
    if planned.key.stage != STAGES[0]:
        # Not the plan's own note of it: another build with other plans before may have stored this very plan.
        before = build.plans[STAGES[STAGES.index(planned.key.stage) - 1]]
        link_plan(build.store, build.record, planned, before.reference)


def _upstream(build: Build, stage: str) -> Plan | None:
    position = STAGES.index(stage)
    if position == 0:
        return None
    before = STAGES[position - 1]
    if before not in build.plans:
        # A stage run alone finds its way through the plans of those before it, which write nothing.
        build.plans[before] = draft(build, before)
    upstream = build.plans[before]
    if find_stage_end(build.store, upstream) is None:
        msg = f"{stage}: {before} isn't finished for this configuration in {build.store.uri}; run it first"
        raise ConfigurationError(msg)
    return upstream


def _inputs(build: Build, stage: str, upstream: Plan | None) -> Iterable[PlanInput]:
    config = build.located
    if upstream is None:
        if build.entries is None:
            build.entries = list_entries(config.sources, config.exclude, config.limit, config.out)
        return entry_inputs(build.entries)
    return list(kept_children(build.store, upstream))


def _grouping(build: Build, stage: str, upstream: Plan | None) -> Grouping | None:
    if stage != "publish" or upstream is None:
        return None
    sids = {sid_of(item.id) for item in kept_children(build.store, upstream)}
    fingerprints = read_fingerprints(build.store, _plan_of(build, "ingest"), sids)
    return shard_grouping(build.key(stage), fingerprints, build.config.publish, build.config.seed)


def _plan_of(build: Build, stage: str) -> Plan:
    if stage not in build.plans:
        build.plans[stage] = draft(build, stage)
    return build.plans[stage]
