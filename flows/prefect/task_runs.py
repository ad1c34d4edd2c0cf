"""Runs the flow from the command line: on the server of Prefect's settings, else on an embedded one."""

from __future__ import annotations

import os

from flows.build.request import BuildRequest
from flows.build.session import Session
from flows.prefect.server import EmbeddedServer, default_home
from flows.prefect.settings import GivenServer, check_given, given_server, gone

PrefectServer = EmbeddedServer | GivenServer


def start_prefect(*, verbose: bool) -> PrefectServer:
    """Sets what Prefect reads when it is imported; starts its server, unless Prefect's settings name one.

    Variables set by the user are kept.

    Raises:
        ConfigurationError: the server that is named cannot be used, or Prefect's folder cannot be written.
        EnvironmentFault: the server that is named does not answer.
    """
    level = "INFO" if verbose else "CRITICAL"
    for name in ("PREFECT_LOGGING_LEVEL", "PREFECT_LOGGING_INTERNAL_LEVEL"):
        os.environ.setdefault(name, level)
    server = given_server()
    if server is None:
        return EmbeddedServer(default_home())
    check_given(server)
    return server


def run_flow(session: Session, request: BuildRequest, server: PrefectServer) -> None:
    """Runs ``build-groundedit`` in this process, in an open session.

    Raises:
        EnvironmentFault: the server did not start, or went away.
        GroundEditError: as the stages raise them.
    """
    import httpx  # noqa: PLC0415
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings  # noqa: PLC0415

    from flows.prefect.build_groundedit import build_groundedit, within  # noqa: PLC0415  (imports take seconds: meanwhile
    # the server starts)

    # An embedded server ends with its flow, so heartbeats are useless, and each subflow waits a second for its own.
    no_heartbeat = {PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None} if isinstance(server, EmbeddedServer) else {}
    if isinstance(server, EmbeddedServer):
        server.wait()
    with temporary_settings(no_heartbeat), within(session):
        try:
            build_groundedit(request)
        except httpx.HTTPError as error:
            raise gone(server.url, error) from error
