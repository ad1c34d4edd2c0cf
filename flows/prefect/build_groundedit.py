"""The flow ``build-groundedit``: one subflow per stage; each stage is also a flow of its own.

A subflow plans its stage, runs the open units in a few partitions and closes it. Only the store's commits record what
is done, so nothing is cached here and any run may be killed and started again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, cast

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.utilities.annotations import quote

from flows.build.plans import open_build
from flows.build.request import BuildRequest, resolve
from flows.build.session import Session, open_session
from flows.build.stage_runner import StageWork, run_stage
from flows.prefect.reporting import StageReport, link_dashboard, report_release
from tasks.records.errors import StorageFault
from tasks.records.outcomes import STAGES
from tasks.records.process_environment import set_up

DEFAULTS = BuildRequest()
"""A deployment run without parameters builds the demo."""

_SESSION: ContextVar[Session | None] = ContextVar("session", default=None)


@flow(name="build-groundedit", flow_run_name="build {request.out}", validate_parameters=True)
def build_groundedit(request: BuildRequest = DEFAULTS) -> str:
    """Runs ingest to publish, or the requested stages; returns the release's URI, ``""`` without one."""
    with session_for(request) as session:
        session.ready()
        session.look_first()
        session.build.whole = True
        uri = ""
        for stage in session.build.stages:
            uri = STAGE_FLOWS[stage](request) or ""
        return uri


@flow(name="ingest", flow_run_name="ingest")
def ingest(request: BuildRequest = DEFAULTS) -> None:
    """Photographs to working sources."""
    _run_subflow("ingest", request)


@flow(name="grounding", flow_run_name="grounding")
def grounding(request: BuildRequest = DEFAULTS) -> None:
    """Working sources to hard targets with masks."""
    _run_subflow("grounding", request)


@flow(name="instruction", flow_run_name="instruction")
def instruction(request: BuildRequest = DEFAULTS) -> None:
    """Targets to instructions with four-part reasoning."""
    _run_subflow("instruction", request)


@flow(name="editing", flow_run_name="editing")
def editing(request: BuildRequest = DEFAULTS) -> None:
    """Instructions to checked edits."""
    _run_subflow("editing", request)


@flow(name="publish", flow_run_name="publish")
def publish(request: BuildRequest = DEFAULTS) -> str:
    """Checked edits to shards, and the release they make; returns its URI."""
    with session_for(request) as session:
        _run_subflow("publish", request)
        release = session.finish()
        return report_release(release, session.build.store.url(release.folder))


STAGE_FLOWS: dict[str, Any] = dict(
    zip(STAGES, (ingest, grounding, instruction, editing, publish), strict=True)
)
"""Stage name -> its flow."""


def is_passing_fault(_task: object, _run: object, state: State[int]) -> bool:
    """Whether a partition is retried: only if the store was unavailable. Stages handle all other errors themselves."""
    return isinstance(state.result(raise_on_failure=False), StorageFault)


@task(cache_policy=NO_CACHE, retries=2, retry_delay_seconds=[5, 30], retry_condition_fn=is_passing_fault)
def run_partition(work: StageWork, number: int) -> int:
    """Runs one partition of a stage; returns its number of units."""
    return work.run.run_partition(number)


@contextmanager
def session_for(request: BuildRequest) -> Iterator[Session]:
    """The session of the enclosing flow, or a new one for a stage that runs alone."""
    running = _SESSION.get()
    if running is not None:
        yield running
        return
    set_up()  # a worker of Prefect runs this process, not our command
    config, _ = resolve(request)
    ready = open_build(config, retry=request.retry_failed, recheck=request.recheck, stages=request.stages)
    with open_session(ready) as session, within(session):
        yield session


@contextmanager
def within(session: Session) -> Iterator[None]:
    """Flows called inside this context use this session."""
    token = _SESSION.set(session)
    try:
        yield
    finally:
        _SESSION.reset(token)


def _run_subflow(stage: str, request: BuildRequest) -> None:
    with session_for(request) as session:
        session.ready()
        _report_stage(stage, session)


def _report_stage(stage: str, session: Session) -> None:
    link_dashboard(session.dashboard_url)
    with StageReport(stage, session.progress) as report:

        def partition(work: StageWork, number: int) -> None:
            # Quoted, so that Prefect passes the work on without inspecting it.
            named = run_partition.with_options(
                task_run_name=f"{stage} {number + 1}/{len(work.run.partitions)}"
            )
            named(cast("StageWork", quote(work)), number)
            report.update()

        report.finish(
            run_stage(session.build, stage, session.pool, session.progress, partition, session.drain)
        )
