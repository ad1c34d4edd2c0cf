"""``models serve``: servers by hand, their URLs, a build that uses them, and nothing left at the end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from flows.build.hand_started import cards_of
from flows.cli.main import main
from tasks.records.errors import ConfigurationError
from tasks.roles.placement import ServerSettings
from tasks.stages.config import ExecutionSettings
from tests.flows.processes import wait_until
from tests.serving.own_servers import ROOT, alive, serve, started

pytestmark = pytest.mark.slow


def profile(tmp_path: Path) -> str:
    """The embedded profile with two servers, of which one is ours."""
    tree = yaml.safe_load((ROOT / "deploy/profiles/embedded.yaml").read_text())
    tree["servers"] = {
        "vlm": {"model": {"id": "test-model"}, "serve": serve(tmp_path / "vlm")},
        "other": {"model": {"id": "m"}, "urls": ["http://127.0.0.1:9/v1"]},
    }
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump(tree))
    return str(path)


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """The command, in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "flows.cli.main", "models", "serve", "--profile", profile(tmp_path)],
        stdout=subprocess.PIPE, text=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    yield process
    process.kill()
    process.wait()


def lines_until(process: subprocess.Popen[str], words: str) -> list[str]:
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line.rstrip())
        if words in line:
            return lines
    raise AssertionError(lines)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_it_prints_what_a_build_needs_and_leaves_nothing(
    serving: subprocess.Popen[str], tmp_path: Path, number: signal.Signals
) -> None:
    lines = lines_until(serving, "--set")
    assert lines[0].startswith("servers.vlm: starting; output in ")
    url = lines[-1].partition("[")[2].rstrip("]'")
    assert lines[-1] == f"  --set 'servers.vlm.urls=[{url}]'"
    with urllib.request.urlopen(f"{url}/models") as reply:
        assert json.load(reply)["data"][0]["id"] == "test-model"
    assert len(alive(tmp_path / "vlm")) == 3
    serving.send_signal(number)
    assert serving.wait(30) == (-signal.SIGKILL if number is signal.SIGKILL else 0)
    assert wait_until(lambda: alive(tmp_path / "vlm") == [])


def test_one_that_dies_is_started_again_and_its_new_url_printed(
    serving: subprocess.Popen[str], tmp_path: Path
) -> None:
    first = lines_until(serving, "--set")[-1]
    os.kill(started(tmp_path / "vlm")[0]["pids"][0], signal.SIGKILL)
    assert lines_until(serving, "--set")[-1] != first
    serving.send_signal(signal.SIGTERM)
    assert serving.wait(30) == 0
    assert alive(tmp_path / "vlm") == []


def test_a_server_that_cannot_be_started_is_an_error_with_the_end_of_its_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = profile(tmp_path)
    (tmp_path / "vlm" / "broken").touch()
    assert main(["models", "serve", "--profile", path]) == 3
    said = capsys.readouterr().err
    assert "servers.vlm: ended with exit code 1 while it started" in said
    assert "OSError: test-model is no folder" in said
    assert alive(tmp_path / "vlm") == []


def test_what_is_not_there_to_be_started_is_a_wrong_argument(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "serve", "--profile", profile(tmp_path), "--server", "other"]) == 2
    assert "--server 'other': no server with 'serve' (available: vlm)" in capsys.readouterr().err
    assert main(["models", "serve", "--profile", "embedded"]) == 2
    assert "no server has 'serve'" in capsys.readouterr().err


def test_each_server_sees_the_cards_that_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    def server(**changes: object) -> ServerSettings:
        return ServerSettings.model_validate({"model": {"id": "m"}, "serve": {"python": "p", **changes}})

    servers = {
        "vlm": server(gpu_gb=28),
        "text": server(gpu_gb=22),
        "writer": server(gpu_gb=75, tensor_parallel=2),
        "small": server(),
    }
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,7")
    assert cards_of(servers, ExecutionSettings()) == {
        "vlm": "7", "text": "7", "writer": "4,5", "small": "",
    }  # fmt: skip
    with pytest.raises(ConfigurationError, match="do not fit on 2 cards of 80 GB"):
        cards_of(servers, ExecutionSettings(local_gpus=2))
