"""SIGTERM to a real build: running units are committed, the same command resumes, a second signal stops at once."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from processes import PATIENCE_S, wait_until

from tests.photographs import lay_out_photographs

pytestmark = [pytest.mark.slow, pytest.mark.assets]

NAMES = ("books-and-purple-flowers", "working-in-a-restaurant-macbook")
STOPPED, INTERRUPTED = 3, 130


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("in") / "photographs"
    folder.mkdir()
    for path in lay_out_photographs("demo", tmp_path_factory.mktemp("all")):
        if path.name.startswith(NAMES):
            shutil.copy2(path, folder)
    return folder


def start(photographs: Path, out: Path, *assignments: str) -> subprocess.Popen[str]:
    sets = [part for text in ("grounding.unit_size=1", *assignments) for part in ("--set", text)]
    return subprocess.Popen(
        [sys.executable, "-m", "flows.cli.main", "build", "--source", str(photographs), "--out", str(out),
         "--stages", "..grounding", *sets],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ,
    )  # fmt: skip


def commits(out: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in out.glob("stages/grounding-*/commits/*/*.json")}


def attempts(out: Path) -> list[Path]:
    return list(out.glob("stages/grounding-*/attempts/*/*/*"))


IN_PROCESS = ("execution.pool=in-process", "execution.units_in_flight=1")


@pytest.mark.parametrize("pool", ["in-process with Prefect", "ray"])
def test_units_at_work_are_finished_and_the_same_command_resumes(
    pool: str, photographs: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    out = tmp_path / "out"
    if pool == "ray":
        address = request.getfixturevalue("ray_address")
        how = ("execution.prefect=false", "execution.workers=1", "execution.units_in_flight=1",
               f"execution.ray_address={address}")  # fmt: skip
    else:
        how = IN_PROCESS
    process = start(photographs, out, *how)
    assert wait_until(lambda: bool(attempts(out)) or process.poll() is not None, PATIENCE_S)
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == STOPPED, told
    assert "the same command resumes" in told
    assert "Traceback" not in told
    finished = commits(out)
    assert 0 < len(finished) < len(NAMES)
    assert len(attempts(out)) == len(finished)

    again = start(photographs, out, *IN_PROCESS, "execution.prefect=false")
    _, told = again.communicate(timeout=PATIENCE_S)
    assert again.returncode == 0, told
    assert finished.items() < commits(out).items()
    assert len(commits(out)) == len(NAMES)


def test_a_second_sigterm_commits_nothing_more(photographs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = start(photographs, out, *IN_PROCESS, "execution.prefect=false")
    assert wait_until(lambda: bool(attempts(out)) or process.poll() is not None, PATIENCE_S)
    process.send_signal(signal.SIGTERM)
    assert process.stderr is not None
    for line in process.stderr:
        if "a second SIGTERM" in line:
            break
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == INTERRUPTED, told
    assert "interrupted" in told
    assert commits(out) == {}
