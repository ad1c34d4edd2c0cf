"""Flight logs: what a process was computing is known after its death."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tasks.worker.flight import FileLog, MemoryLog, name_in_log, noted, read_flight


def test_running_steps_are_listed_oldest_first_and_gone_when_they_end(tmp_path: Path) -> None:
    log = FileLog(tmp_path / "log")
    first = log.begin("photos/ünïcode \udcff.jpg", "decode")
    log.begin("b" * 2000, "here:segmenter")
    steps = read_flight(tmp_path / "log")
    assert [(s.sample, s.name) for s in steps] == [
        ("photos/ünïcode \udcff.jpg", "decode"),
        (name_in_log("b" * 2000), "here:segmenter"),
    ]
    log.end(first)
    assert [s.name for s in read_flight(tmp_path / "log")] == ["here:segmenter"]


def test_a_killed_process_leaves_what_it_computed(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from tasks.worker.flight import FileLog\n"
        "log = FileLog(Path(sys.argv[1])); log.end(log.begin('done', 'x')); log.begin('at work', 'y')\n"
        "os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "log")], check=False)
    assert done.returncode == -9
    assert [(s.sample, s.name) for s in read_flight(tmp_path / "log")] == [("at work", "y")]


def test_a_log_that_is_not_there_says_nothing(tmp_path: Path) -> None:
    assert read_flight(tmp_path / "none") == ()


def test_a_step_that_raises_is_over_as_well() -> None:
    log = MemoryLog()
    with pytest.raises(ValueError, match="x"), noted(log, "a", "step"):
        raise ValueError("x")
    assert log.running() == ()
