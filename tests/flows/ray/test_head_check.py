"""A Ray that is to be joined: gone, silent or no address is said soon, and not after Ray's own quarter of an hour."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from flows.ray.cluster import ClusterSettings, RayCluster
from flows.ray.head_check import check_head
from tasks.records.errors import ConfigurationError, EnvironmentFault


@pytest.fixture
def listening() -> Iterator[int]:
    """A port on which connections are accepted by the kernel and never answered."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def closed() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.mark.parametrize("kind", ["listening", "closed"])
@pytest.mark.parametrize("variable", ["", "http_proxy", "grpc_proxy"])
def test_a_head_that_does_not_answer_is_given_up(
    kind: str, variable: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = request.getfixturevalue(kind)
    address = f"127.0.0.1:{port}"  # which Ray replaces by the machine's own, unless it stays on loopback
    if variable:
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    began = time.monotonic()
    with pytest.raises(EnvironmentFault, match=f"no Ray answers at .*:{port} within 1 s") as caught:
        check_head(address, timeout_s=1)
    assert time.monotonic() - began < 20
    assert "execution.ray_address=local" in str(caught.value)


@pytest.mark.parametrize("address", ["ray://127.0.0.1:10001", "nowhere", "http://x"])
def test_what_is_no_address_is_a_wrong_setting(address: str) -> None:
    with pytest.raises(ConfigurationError, match=r"execution\.ray_address="):
        check_head(address)


def test_a_cluster_that_is_gone_is_named_by_whoever_waits_for_it(
    closed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.ray.cluster.check_head", lambda address: check_head(address, timeout_s=0.5))
    cluster = RayCluster(ClusterSettings(address=f"127.0.0.1:{closed}"))
    with pytest.raises(EnvironmentFault, match="no Ray answers"):
        cluster.wait()
    cluster.stop()


@pytest.mark.slow
def test_a_head_that_is_there_is_found_also_behind_a_proxy(
    ray_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "grpc_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    check_head(ray_address)
