"""`prefect.yaml`: its deployments exist, and one of them builds a release on a real server with a real worker."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from processes import PATIENCE_S, descendants, kill, wait_until

from flows.build.request import BuildRequest
from tasks.records.outcomes import STAGES
from tests.photographs import lay_out_photographs

ROOT = Path(__file__).resolve().parents[3]
PREFECT = [sys.executable, "-m", "prefect"]


def deployments() -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    return entries


def test_there_is_a_deployment_for_the_build_here_and_on_a_cluster_and_for_each_stage() -> None:
    names = sorted((entry["entrypoint"].rpartition(".")[2], entry["name"]) for entry in deployments())
    stages = [(stage, "local") for stage in STAGES]
    assert names == sorted([("build_groundedit", "local"), ("build_groundedit", "cluster"), *stages])


def test_every_deployments_parameters_are_a_request() -> None:
    for entry in deployments():
        assert set(entry["parameters"]) == {"request"}
        BuildRequest.model_validate(entry["parameters"]["request"])


@pytest.mark.slow
def test_every_entry_point_is_a_flow_of_the_name_that_is_documented() -> None:
    for entry in deployments():
        module, _, name = entry["entrypoint"].rpartition(".")
        flow = getattr(import_module(module), name)
        assert flow.name == name.replace("_", "-")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A separate Prefect server on a free loopback port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PREFECT_HOME": str(tmp_path / "prefect"),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }


@pytest.fixture
def server(environment: dict[str, str], tmp_path: Path) -> Iterator[None]:
    """A real server, ended by its process id."""
    port = environment["PREFECT_API_URL"].split(":")[2].partition("/")[0]
    with (tmp_path / "server.log").open("w") as log:
        process = subprocess.Popen(
            [*PREFECT, "server", "start", "--host", "127.0.0.1", "--port", port, "--no-ui"],
            env=environment,
            stdout=log,
            stderr=log,
        )
        assert wait_until(lambda: answers(environment["PREFECT_API_URL"]), poll_s=0.5)
        yield
        below = descendants(process.pid)
        process.terminate()
        process.wait(timeout=PATIENCE_S)
        for pid in below:
            kill(pid)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False


@pytest.mark.slow
@pytest.mark.assets
def test_the_documented_lines_build_a_release_on_a_real_server_and_worker(
    environment: dict[str, str], server: None, tmp_path: Path
) -> None:
    photographs = tmp_path / "photographs"
    every = lay_out_photographs("counting", tmp_path / "every")
    photographs.mkdir()
    for path in every[:3]:
        shutil.copy(path, photographs)
    prefect(environment, "work-pool", "create", "groundedit-process", "--type", "process")
    prefect(environment, "--no-prompt", "deploy", "--all")
    prefect(environment, "automation", "create", "--from-file", "deploy/prefect/mark-dead-runs.yaml")
    with (tmp_path / "worker.log").open("w") as log:
        worker = subprocess.Popen(
            [*PREFECT, "worker", "start", "--pool", "groundedit-process"],
            env=environment,
            stdout=log,
            stderr=log,
        )
    try:
        request = {
            "source": [str(photographs)],
            "out": str(tmp_path / "out"),
            "assignments": ["execution.workers=2"],
        }
        run_deployment(environment, "build-groundedit/local", request)
        first = manifest(tmp_path / "out")
        shutil.rmtree(tmp_path / "out" / "releases")
        run_deployment(environment, "publish/local", request)
    finally:
        below = descendants(worker.pid)
        worker.terminate()
        worker.wait(timeout=PATIENCE_S)
        for pid in below:
            kill(pid)
    # the last stage alone makes the same release from the results of the others
    assert manifest(tmp_path / "out") == first


def run_deployment(environment: dict[str, str], name: str, request: dict[str, Any]) -> None:
    watch = ("--watch", "--watch-timeout", str(int(PATIENCE_S)))
    prefect(environment, "deployment", "run", name, *watch, "--params", json.dumps({"request": request}))


def manifest(out: Path) -> dict[str, Any]:
    (only,) = out.glob("releases/*/MANIFEST.json")
    found: dict[str, Any] = json.loads(only.read_text())
    return {key: found[key] for key in ("samples", "edit_types", "files")}


def prefect(environment: dict[str, str], *arguments: str) -> None:
    result = subprocess.run(
        [*PREFECT, *arguments],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S + 60,
    )
    assert result.returncode == 0, result.stdout + result.stderr
