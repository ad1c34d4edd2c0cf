"""Whole builds that start their server themselves, with a stand-in for vLLM: killed, refused, never needed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from flows.cli.main import main
from tests.flows.drawn.builds import command, profile, release_files, run, written
from tests.flows.drawn.photographs import lay_out
from tests.flows.drawn.script import DrawnScript
from tests.flows.processes import command_line, descendants, kill, wait_until
from tests.photographs import lay_out_photographs
from tests.serving.chat_server import ChatServer
from tests.serving.own_servers import ROOT, alive, serve, started

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("drawn_models")]

COUNT = 3


def own_profile(folder: Path) -> str:
    """A profile whose server is started by the build."""
    tree = profile("http://127.0.0.1:9/v1")
    words = tree["servers"]["words"]
    del words["urls"]
    words["serve"] = serve(folder / "vllm", env={"FAKE_VLLM_SCRIPT": "drawn"})
    return written(folder, tree)


@pytest.fixture(scope="module")
def healthy(drawn_models: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The release of a build with a server that runs by itself."""
    folder = tmp_path_factory.mktemp("healthy")
    lay_out(folder / "photographs", COUNT)
    with ChatServer(DrawnScript()) as server:
        run(written(folder, profile(server.url)), folder / "photographs", folder / "out")
    return release_files(folder / "out")


def once(condition: Callable[[], bool], deed: Callable[[], None]) -> threading.Thread:
    """Does something when a condition is met, while a build runs in this process."""

    def wait() -> None:
        if wait_until(condition, poll_s=0.02):
            deed()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_a_build_starts_its_server_starts_it_again_and_leaves_nothing(
    healthy: dict[str, str], tmp_path: Path
) -> None:
    lay_out(tmp_path / "photographs", COUNT)
    out, vllm = tmp_path / "out", tmp_path / "vllm"
    path = own_profile(tmp_path)
    killer = once(
        lambda: bool(list(out.glob("answers/**/instructor-*"))),
        lambda: kill(started(vllm)[0]["pids"][0]),
    )
    run(path, tmp_path / "photographs", out)
    killer.join()
    assert release_files(out) == healthy
    assert len(started(vllm)) == 2
    assert alive(vllm) == []
    keys = {one["environment"]["VLLM_API_KEY"] for one in started(vllm)}
    assert len(keys) == 1
    (key,) = keys
    holding = [file for file in out.rglob("*") if file.is_file() and key.encode() in file.read_bytes()]
    assert holding == [], "a key in the dataset or its logs"
    assert "was ended by SIGKILL" in (out / "logs" / "words.log").read_text()
    # Nothing is asked again, so nothing is started.
    run(path, tmp_path / "photographs", out, "editing.min_accuracy=1.5")
    assert len(started(vllm)) == 2


def test_a_server_that_cannot_be_started_stops_the_build_with_the_end_of_its_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], healthy: dict[str, str]
) -> None:
    lay_out(tmp_path / "photographs", COUNT)
    path = own_profile(tmp_path)
    (tmp_path / "vllm" / "broken").touch()
    arguments = ["build", "--profile", path, "--source", str(tmp_path / "photographs")]
    arguments += ["--out", str(tmp_path / "out")]
    assert main(arguments) == 3
    said = capsys.readouterr().err
    assert "OSError: test-model is no folder" in said
    assert f"output of servers.words: {tmp_path}/out/logs/words-output.log" in said
    assert alive(tmp_path / "vllm") == []
    (tmp_path / "vllm" / "broken").unlink()
    assert main(arguments) == 0
    assert release_files(tmp_path / "out") == healthy


def test_kill_9_of_the_driver_leaves_no_server_and_the_same_command_goes_on(
    healthy: dict[str, str], tmp_path: Path
) -> None:
    lay_out(tmp_path / "photographs", COUNT)
    out, vllm = tmp_path / "out", tmp_path / "vllm"
    arguments = command(
        "build", "--profile", own_profile(tmp_path), "--source", str(tmp_path / "photographs"),
        "--out", str(out),
    )  # fmt: skip
    environment = {**os.environ, "DRAWN_SLEEP_S": "0.1"}
    driver = subprocess.Popen(arguments, env=environment, cwd=ROOT)
    assert wait_until(lambda: bool(list(out.glob("answers/**/target_judge-*"))))
    below = descendants(driver.pid)
    assert len(alive(vllm)) == 3
    assert not set(below) & set(alive(vllm)), "they belong to no process of the build"
    driver.kill()
    driver.wait()
    assert wait_until(lambda: alive(vllm) == []), alive(vllm)
    assert subprocess.run(arguments, env=environment, cwd=ROOT, check=False).returncode == 0
    assert release_files(out) == healthy
    assert alive(vllm) == []


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One photograph."""
    every = lay_out_photographs("demo", tmp_path_factory.mktemp("all"))
    folder = tmp_path_factory.mktemp("photograph")
    shutil.copy(next(path for path in every if path.name.startswith("stylish-workspace")), folder)
    return folder


@pytest.mark.assets
@pytest.mark.parametrize("victim", ["driver", "raylet", "server actor", "router"])
def test_kill_9_on_ray_leaves_no_server_or_starts_it_again(
    photographs: Path, tmp_path: Path, victim: str
) -> None:
    tree = yaml.safe_load((ROOT / "deploy/profiles/embedded.yaml").read_text())
    own = serve(tmp_path / "vllm")
    tree["servers"] = {"words": {"model": {"id": "test-model"}, "serve": own, "probe_s": 0.1}}
    chat = {"backend": "chat", "run": "words"}
    tree["grounding"]["judge"] = chat
    tree["instruction"]["rewriter"] = chat
    tree["execution"] = {"prefect": False, "workers": 1, "local_gpus": 0, "min_free_bytes": 1}
    out, vllm = tmp_path / "out", tmp_path / "vllm"
    arguments = [
        "build",
        "--profile",
        written(tmp_path, tree),
        "--source",
        str(photographs),
        "--out",
        str(out),
        "--stages",
        "..instruction",
    ]
    driver = subprocess.Popen([sys.executable, "-m", "flows.cli.main", *arguments], cwd=ROOT)
    try:
        assert wait_until(lambda: len(alive(vllm)) == 3)
        first = alive(vllm)
        below = descendants(driver.pid)
        assert not set(below) & set(first), "they belong to no process of the build"
        if victim == "driver":
            driver.kill()
        else:
            words = {
                "raylet": "/raylet/raylet",
                "server actor": "ray::ServerActor",
                "router": "ray::RouterActor",
            }
            kill(next(pid for pid in below if words[victim] in command_line(pid)))
        begun = time.monotonic()
        assert wait_until(lambda: not set(first) & set(alive(vllm))), alive(vllm)
        print(f"{victim}: nothing of the first server left {time.monotonic() - begun:.1f} s after the kill")
        if victim == "server actor":
            assert driver.wait(300) == 0
            assert len(started(vllm)) == 2
    finally:
        driver.kill()
        driver.wait()
    assert wait_until(lambda: alive(vllm) == []), alive(vllm)
