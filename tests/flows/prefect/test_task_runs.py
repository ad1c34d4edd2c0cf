"""The flow in the driver's process: a server that goes away is told as such, and a stage's own error stays itself."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from flows.build.request import BuildRequest
from flows.prefect.settings import GivenServer
from flows.prefect.task_runs import run_flow
from tasks.records.errors import EnvironmentFault, StageStopped

SERVER = GivenServer(url="http://127.0.0.1:4711/api", origin="PREFECT_API_URL")


def ran(error: Exception, monkeypatch: pytest.MonkeyPatch) -> Any:
    def flow(request: BuildRequest) -> str:
        raise error

    monkeypatch.setattr("flows.prefect.build_groundedit.build_groundedit", flow)
    return run_flow(SimpleNamespace(), BuildRequest(), SERVER)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [httpx.ConnectError, httpx.ReadTimeout, httpx.RemoteProtocolError])
def test_a_server_that_goes_away_is_told_with_how_to_go_on(
    kind: type[httpx.TransportError], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(EnvironmentFault, match="answered no longer") as caught:
        ran(kind("All connection attempts failed"), monkeypatch)
    assert SERVER.url in str(caught.value)
    assert "execution.prefect=false" in str(caught.value)


def test_an_error_of_a_stage_stays_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StageStopped, match="enough"):
        ran(StageStopped("enough"), monkeypatch)
