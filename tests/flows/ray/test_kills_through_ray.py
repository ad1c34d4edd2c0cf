"""SIGKILL of drivers, workers and servers of real builds through Prefect and Ray: nothing redone, equal releases."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from processes import PATIENCE_S, command_line, descendants, is_gone, kill, wait_until, workers_of

from tests.photographs import lay_out_photographs

ROOT = Path(__file__).resolve().parents[3]
PHOTOGRAPHS = 12

pytestmark = [pytest.mark.slow, pytest.mark.assets]


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dozen photographs that are only counted."""
    every = tmp_path_factory.mktemp("all")
    chosen = tmp_path_factory.mktemp("chosen") / "photographs"
    chosen.mkdir()
    for path in lay_out_photographs("counting", every)[:PHOTOGRAPHS]:
        shutil.copy(path, chosen)
    return chosen


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prefect's folder for these tests."""
    return tmp_path_factory.mktemp("prefect")


class Run:
    """One ``groundedit build`` in its own process."""

    def __init__(self, photographs: Path, out: Path, home: Path, *more: str) -> None:
        self.out = out
        sizes = [
            f"--set={stage}.unit_size={n}" for stage, n in (("ingest", 2), ("grounding", 1), ("editing", 1))
        ]
        self._log = (out.parent / f"{out.name}-{time.monotonic_ns()}.log").open("w+")
        command = [
            sys.executable,
            "-m",
            "flows.cli.main",
            "build",
            "--source",
            str(photographs),
            "--out",
            str(out),
        ]
        self.process = subprocess.Popen(
            [*command, *sizes, "--set", "execution.workers=2", *more],
            env={**os.environ, "PYTHONPATH": str(ROOT), "PREFECT_HOME": str(home)},
            stdout=self._log,
            stderr=subprocess.STDOUT,
            cwd=out.parent,
            start_new_session=True,
        )

    def wait(self, timeout_s: float = PATIENCE_S) -> int:
        return self.process.wait(timeout=timeout_s)

    def wait_for_commits(self, more: int) -> None:
        """Returns after this many more commits than when workers were ready, or when the build has ended."""
        # Workers of a driver that was just killed may still commit, so counting starts with our own.
        wait_until(lambda: self.process.poll() is not None or "ready after" in self.said(), PATIENCE_S)
        before = len(commits(self.out))
        wait_until(
            lambda: self.process.poll() is not None or len(commits(self.out)) >= before + more, PATIENCE_S
        )

    def said(self) -> str:
        self._log.seek(0)
        return self._log.read()


@pytest.fixture
def runs() -> Iterator[list[Run]]:
    """Ends by process id whatever a failed test left running."""
    started: list[Run] = []
    yield started
    for run in started:
        if run.process.poll() is None:
            for pid in [*descendants(run.process.pid), run.process.pid]:
                kill(pid)
            run.process.wait()


def commits(out: Path) -> dict[str, bytes]:
    return {p.relative_to(out).as_posix(): p.read_bytes() for p in out.glob("stages/*/commits/*/*.json")}


def shards(out: Path) -> dict[str, str]:
    manifests = list(out.glob("releases/*/MANIFEST.json"))
    assert len(manifests) == 1
    return {shard["name"]: shard["sha256"] for shard in json.loads(manifests[0].read_text())["shards"]}


@pytest.mark.parametrize(
    ("victims", "limit"),
    [
        pytest.param(("worker",), 4, id="one"),
        pytest.param(
            ("driver", "worker", "everything", "worker", "server", "driver"), PHOTOGRAPHS, id="six",
            marks=pytest.mark.long,
        ),
    ],
)  # fmt: skip
def test_kills_and_the_same_command_give_the_release_of_an_undisturbed_build(
    victims: tuple[str, ...], limit: int, photographs: Path, home: Path, tmp_path: Path, runs: list[Run]
) -> None:
    few = ("--limit", str(limit))
    undisturbed = Run(photographs, tmp_path / "undisturbed", home, *few)
    runs.append(undisturbed)
    assert undisturbed.wait() == 0, undisturbed.said()
    killed = tmp_path / "killed"
    seen: dict[str, bytes] = {}
    left: list[int] = []
    for victim in victims:
        run = Run(photographs, killed, home, *few)
        runs.append(run)
        run.wait_for_commits(2)
        assert run.process.poll() is None, f"too quick for a kill: {run.said()}"
        seen |= commits(killed)
        below = descendants(run.process.pid)
        _kill_one_of(victim, run, below)
        if victim in ("worker", "server"):
            # The driver notices, blames no sample for one death, and continues by itself.
            run.wait_for_commits(1)
            seen |= commits(killed)
            os.killpg(run.process.pid, signal.SIGKILL)
        run.wait()
        left += below
    last = Run(photographs, killed, home, *few)
    runs.append(last)
    assert last.wait() == 0, last.said()
    final = commits(killed)
    assert len(final) >= limit
    # For a minute Ray's agents try to report to a head that is gone.
    assert wait_until(lambda: all(is_gone(pid) for pid in left)), [command_line(pid) for pid in left]
    assert {path: final[path] for path in seen} == seen, "a committed unit was done again"
    assert final.keys() == commits(tmp_path / "undisturbed").keys()
    assert shards(killed) == shards(tmp_path / "undisturbed")
    verify = subprocess.run(
        [sys.executable, "-m", "flows.cli.main", "verify", str(killed), "--deep"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert verify.returncode == 0


def test_ctrl_c_leaves_a_build_that_the_same_command_continues(
    photographs: Path, home: Path, tmp_path: Path, runs: list[Run]
) -> None:
    few = Run(photographs, tmp_path / "out", home, "--limit", "4")
    runs.append(few)
    few.wait_for_commits(3)
    below = descendants(few.process.pid)
    os.killpg(few.process.pid, signal.SIGINT)
    assert few.wait(60) == 130, few.said()
    assert "the same command resumes" in few.said()
    assert "Traceback" not in few.said()
    assert wait_until(lambda: all(is_gone(pid) for pid in below))
    before = commits(tmp_path / "out")
    again = Run(photographs, tmp_path / "out", home, "--limit", "4")
    runs.append(again)
    assert again.wait() == 0, again.said()
    after = commits(tmp_path / "out")
    assert {path: after[path] for path in before} == before


@pytest.mark.long
def test_two_builds_in_one_place_at_once_end_right(
    photographs: Path, home: Path, tmp_path: Path, runs: list[Run]
) -> None:
    both = [Run(photographs, tmp_path / "out", home, "--limit", "6") for _ in range(2)]
    runs += both
    assert [run.wait() for run in both] == [0, 0], [run.said() for run in both]
    alone = Run(photographs, tmp_path / "alone", home, "--limit", "6")
    runs.append(alone)
    assert alone.wait() == 0, alone.said()
    assert shards(tmp_path / "out") == shards(tmp_path / "alone")
    assert commits(tmp_path / "out").keys() == commits(tmp_path / "alone").keys()


def _kill_one_of(victim: str, run: Run, below: list[int]) -> None:
    if victim == "worker":
        kill(workers_of(run.process.pid)[0])
    elif victim == "server":
        kill(next(pid for pid in below if "flows.prefect.server" in command_line(pid)))
    elif victim == "everything":
        for pid in [run.process.pid, *below]:
            kill(pid)
    else:
        kill(run.process.pid)
