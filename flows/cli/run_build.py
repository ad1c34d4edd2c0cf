"""Runs the stages of ``groundedit build``, with Prefect and Ray where the configuration says so."""

from __future__ import annotations

from flows.build.check_environment import check_environment
from flows.build.plans import Build
from flows.build.progress import Progress
from flows.build.request import BuildRequest
from flows.build.session import open_session
from flows.prefect.settings import GivenServer
from flows.prefect.task_runs import run_flow, start_prefect
from tasks.publishing.find_release import Release
from tasks.records.outcomes import STAGES


def run_build(
    ready: Build, request: BuildRequest, progress: Progress, *, verbose: bool
) -> tuple[Release | None, float]:
    """Runs the build's stages; returns the release if publish is one of them, and the start-up seconds.

    Raises:
        GroundEditError: as the stages, the store, Prefect and Ray raise them.
    """
    execution = ready.config.execution
    check_environment()  # also in `open_session`, but Prefect's server is started before
    server = start_prefect(verbose=verbose) if execution.prefect else None
    if isinstance(server, GivenServer):
        progress.note(f"Prefect: {server.url}, as {server.origin} says")
    with open_session(ready, progress=progress, verbose=verbose) as session:
        if execution.prefect:
            assert server is not None, "started above"
            run_flow(session, request, server)
        else:
            session.run_plainly()
        release = session.finish() if ready.stages[-1] == STAGES[-1] else None
        return release, session.start_up_s or 0.0
