"""Runs the flow from the command line: on the server named by the environment, else on an embedded one."""

from __future__ import annotations

import os

from flows.build.request import BuildRequest
from flows.build.session import Session
from flows.prefect.server import EmbeddedServer, default_home


def start_prefect(*, verbose: bool) -> EmbeddedServer | None:
    """Sets what Prefect reads when it is imported and starts its server; None if a server is configured already.

    Variables set by the user are kept.
    """
    level = "INFO" if verbose else "CRITICAL"
    for name, value in {
        "PREFECT_LOGGING_LEVEL": level,
        "PREFECT_LOGGING_INTERNAL_LEVEL": level,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }.items():
        os.environ.setdefault(name, value)
    return None if os.environ.get("PREFECT_API_URL") else EmbeddedServer(default_home())


def run_flow(session: Session, request: BuildRequest, server: EmbeddedServer | None) -> None:
    """Runs ``build-groundedit`` in this process, in an open session.

    Raises:
        GroundEditError: as the stages raise them.
    """
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings  # noqa: PLC0415

    from flows.prefect.build_groundedit import build_groundedit, within  # noqa: PLC0415  (imports take seconds: meanwhile
    # the server starts)

    # An embedded server ends with its flow, so heartbeats are useless, and each subflow waits a second for its own.
    no_heartbeat = {PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None} if server is not None else {}
    if server is not None:
        server.wait()
    with temporary_settings(no_heartbeat), within(session):
        build_groundedit(request)
