"""Runs one stage of a build: plan it, run its units, close it; the same with and without Prefect."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from flows.build.drain import Drain
from flows.build.fan_out import Pool, StageJob, UnitRun, start_units
from flows.build.plans import Build, exclusion_note, plan, source_notes
from flows.build.pool_in_process import InProcessPool
from flows.build.progress import Progress
from flows.build.service_spec import service_spec
from flows.build.unit_queue import Limits
from tasks.records.errors import EnvironmentFault
from tasks.records.outcomes import STAGES
from tasks.stages.config import BuildConfig, ExecutionSettings
from tasks.stages.registry import SPECS, material_digest, routes_of
from tasks.stages.sample_stage import SampleStage
from tasks.storage.objects.infos import StoreOptions
from tasks.storage.objects.store import open_store
from tasks.storage.protocol.planning import pending_units
from tasks.storage.protocol.stage_end import StageEnd, close_stage, decide_duplicates
from tasks.storage.protocol.units import Plan
from tasks.worker.engine import Engine, EngineSettings
from tasks.worker.role_asks import RouterClient, StageRoles, make_asks
from tasks.worker.run_unit import WorkContext, Worker


@dataclass(frozen=True, slots=True, kw_only=True)
class StageWork:
    """A planned stage: its plan, the units that were already done, and the run of the others."""

    stage: str
    plan: Plan
    done_before: int
    run: UnitRun


def begin(build: Build, stage: str, pool: Pool, progress: Progress, drain: Drain | None = None) -> StageWork:
    """Plans a stage and prepares the run of its open units."""
    planned = plan(build, stage)
    if stage == STAGES[0]:
        for note in filter(None, (exclusion_note(build), *source_notes(build))):
            progress.note(note)
    open_units = pending_units(build.store, planned)
    open_ids = {unit.id for unit in open_units}
    progress.begin(
        stage,
        units=len(planned.units),
        done=len(planned.units) - len(open_units),
        inputs=planned.inputs,
        open_inputs=sum(len(unit.members) for unit in open_units),
    )
    done = (unit.id for unit in planned.units if unit.id not in open_ids)
    progress.committed(stage, map(planned.key.commit_path, done))
    run = start_units(
        stage_job(build, stage),
        open_units,
        pool,
        limits=limits(build.config.execution),
        partitions=build.config.execution.partitions,
        on_done=progress.advance,
        drain=drain,
    )
    done_before = len(planned.units) - len(open_units)
    return StageWork(stage=stage, plan=planned, done_before=done_before, run=run)


def close(build: Build, stage: str) -> StageEnd:
    """Checks the count law over the stage and writes its end.

    Raises:
        DataFault: a unit is missing or the counts do not add up.
    """
    # Duplicates across locations are known only when all of ingest is done.
    return close_stage(build.store, build.plans[stage], decide_duplicates if stage == STAGES[0] else None)


def run_stage(
    build: Build,
    stage: str,
    pool: Pool,
    progress: Progress,
    run_partition: Callable[[StageWork, int], None] | None = None,
    drain: Drain | None = None,
) -> StageEnd:
    """One stage from plan to end; ``run_partition`` lets Prefect wrap each partition in a task run.

    Raises:
        Drained: SIGTERM arrived, or ``drain`` was requested before; running units are committed.
        GroundEditError: any other reason to stop a stage.
    """
    drain = drain or Drain()
    drain.check(stage)
    with drain.listening():  # opened here, since Prefect installs its own handler around every flow
        work = begin(build, stage, pool, progress, drain)
        for number in range(len(work.run.partitions)):
            if run_partition is None:
                work.run.run_partition(number)
            else:
                run_partition(work, number)
        work.run.queue.stop_when_answers_are_missing()
        end = close(build, stage)
    progress.end(stage)
    return end


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfiguredStage:
    """A stage of a build in a form that can be sent to the process that runs it: names and settings only."""

    config: BuildConfig
    stage: str
    digests: Mapping[str, str]
    roles: StageRoles

    def __call__(self, engine: Engine, client: RouterClient | None) -> SampleStage:
        """See `tasks.worker.run_unit.StageBuilder`."""
        asks = make_asks(self.roles, engine, client)
        return SPECS[self.stage].build(self.config, asks, self.digests)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageWorkerMaker:
    """Builds a worker in its own process, with its own connection to the store and its own models.

    Attributes:
        material: digest of everything that can change the stage's results, as the driver computed it.
    """

    stage: ConfiguredStage
    material: str
    uri: str
    options: StoreOptions

    def __call__(self, engine: Engine, client: RouterClient | None) -> Worker:
        """See `flows.build.fan_out.WorkerMaker`.

        Raises:
            EnvironmentFault: a model cannot be loaded, the store cannot be reached, or this process has other
                code, prompts or models than the driver planned with.
        """
        config, name = self.stage.config, self.stage.stage
        own = material_digest(config, name)
        if own != self.material:
            msg = (
                f"{name}: version mismatch: this worker computed configuration {own[:8]}, the driver "
                f"{self.material[:8]}; install the same code, prompts and models on both"
            )
            raise EnvironmentFault(msg)
        context = WorkContext(
            config8=self.stage.digests[name],
            build_stage=self.stage,
            trial_timeout_s=config.execution.step_timeout_s,
        )
        store = open_store(self.uri, self.options)
        return Worker(name, store, context, engine=engine, client=client)


def stage_job(build: Build, stage: str) -> StageJob:
    """What a pool needs in order to run the stage."""
    key = build.key(stage)
    config = build.located
    roles = StageRoles(choices=SPECS[stage].choices(config), routes=routes_of(config, stage))
    after = STAGES[STAGES.index(stage) + 1 :]
    return StageJob(
        stage=stage,
        key=f"{stage}-{key.config8}",
        make_worker=StageWorkerMaker(
            stage=ConfiguredStage(config=config, stage=stage, digests=build.digests, roles=roles),
            material=material_digest(config, stage),
            uri=build.store.uri,
            options=build.store.options,
        ),
        is_committed=lambda unit_id: build.store.exists(key.commit_path(unit_id)),
        following=stage_job(build, after[0]) if build.whole and after and after[0] in build.stages else None,
        waits=bool(roles.routes) or not roles.choices,
    )


def limits(execution: ExecutionSettings) -> Limits:
    """The queue's limits, from the configuration."""
    return Limits(
        step_timeout_s=execution.step_timeout_s,
        max_environment_faults=execution.max_environment_faults,
        max_failed_share=execution.max_failed_share,
        failed_share_after=execution.failed_share_after,
    )


def engine_settings(execution: ExecutionSettings) -> EngineSettings:
    """How much a worker runs at once, from the configuration."""
    return EngineSettings(
        threads=execution.threads_per_worker,
        megapixels=execution.megapixels_in_flight,
        samples=execution.samples_in_flight,
    )


@contextmanager
def opened_pool(build: Build, *, verbose: bool = False) -> Iterator[Pool]:
    """The pool of the configuration; a local Ray starts in the background."""
    execution = build.config.execution
    spec = service_spec(build)
    if execution.pool == "in-process":
        from flows.build.role_services import RoleServices  # noqa: PLC0415

        pool = InProcessPool(
            engine_settings(execution),
            units_in_flight=execution.units_in_flight,
            services=RoleServices(spec, execution),
        )
        try:
            yield pool
        finally:
            pool.close()
        return
    from flows.ray.cluster import ClusterSettings, RayCluster  # noqa: PLC0415
    from flows.ray.pool import RayPool  # noqa: PLC0415  (Ray is optional)
    from flows.ray.services import RayServices  # noqa: PLC0415
    from flows.ray.slot import ActorSettings  # noqa: PLC0415

    cluster = RayCluster(
        ClusterSettings(
            address=execution.ray_address,
            workers=execution.workers,
            threads=execution.threads_per_worker,
            dashboard=execution.dashboard,
            gpus=execution.local_gpus,
            megapixels=execution.megapixels_in_flight if spec.pools else 0.0,
            more_cpus=spec.placed_cpus(),
            verbose=verbose,
        )
    )
    try:
        settings = ActorSettings(
            threads=execution.threads_per_worker,
            units_in_flight=execution.units_in_flight,
            engine=engine_settings(execution),
        )
        services = RayServices(cluster, spec, execution) if spec.routes else None
        ray_pool = RayPool(cluster, settings, services)
        try:
            yield ray_pool
        finally:
            ray_pool.close()
    finally:
        cluster.stop()
