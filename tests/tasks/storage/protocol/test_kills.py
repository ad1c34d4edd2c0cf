"""SIGKILL of real processes at every step of the protocol and at random times: nothing lost, doubled or redone."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tasks.storage.objects.store import Store, open_store
from tasks.storage.protocol.fault_points import VARIABLE, FaultPoint
from tasks.storage.protocol.stage_end import close_stage
from tasks.storage.reports.auditing import verify
from tests.tasks.storage.drawn_stages import TROUBLE, draw_photographs, run_pipeline

pytestmark = pytest.mark.slow

PHOTOGRAPHS = 30
STEPS = [
    FaultPoint.UNIT_ATTEMPTED,
    FaultPoint.UNIT_COMPUTED,
    FaultPoint.UNIT_PACKED,
    FaultPoint.TAR_STORED,
    FaultPoint.ROWS_STORED,
    FaultPoint.UNIT_COMMITTED,
]
"""Of a unit, in order."""

POINTS = [
    (FaultPoint.PLAN_CUT, 1),
    (FaultPoint.PLAN_STORED, 1),
    *((step, 1) for step in STEPS),
    *((step, 2) for step in STEPS),
    (FaultPoint.DECISIONS_STORED, 1),
    (FaultPoint.STAGE_CLOSED, 1),
    (FaultPoint.PLAN_CUT, 1),
    (FaultPoint.PLAN_STORED, 1),
    (FaultPoint.UNIT_ATTEMPTED, 1),
    (FaultPoint.ROWS_STORED, 2),
    (FaultPoint.UNIT_PACKED, 3),
    (FaultPoint.UNIT_COMMITTED, 3),
    (FaultPoint.DECISIONS_STORED, 1),
    (FaultPoint.STAGE_CLOSED, 1),
]
"""Where each driver dies: at every step, in both stages."""


def drive(store: Store, tmp_path: Path, fault: str = "") -> subprocess.Popen[bytes]:
    """A driver in its own process group, running as soon as this returns."""
    environment = {**os.environ, TROUBLE: "drawn:nap", VARIABLE: fault or "none"}
    command = [
        sys.executable,
        "-m",
        "tests.tasks.storage.drawn_stages",
        store.uri,
        str(tmp_path / "in"),
        "witness",
    ]
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


def undisturbed(tmp_path: Path) -> list[str]:
    draw_photographs(tmp_path / "in", PHOTOGRAPHS)
    (tmp_path / "in" / "twin.png").write_bytes((tmp_path / "in" / "p003.png").read_bytes())
    (tmp_path / "in" / "empty.png").write_bytes(b"")
    return digests(open_store(str(tmp_path / "calm")), tmp_path)


def digests(store: Store, tmp_path: Path) -> list[str]:
    return [close_stage(store, plan).digest for plan in run_pipeline(store, tmp_path / "in")]


def commits(store: Store) -> dict[str, bytes]:
    """Commits with all their bytes, including times, host and attempt."""
    return {o.path: store.get(o.path) for o in store.list() if "/commits/" in o.path}


def test_kills_at_every_step_and_the_same_command_end_where_an_undisturbed_one_does(tmp_path: Path):
    expected = undisturbed(tmp_path)
    store = open_store(str(tmp_path / "out"))
    killed = 0
    before: dict[str, bytes] = {}
    for point, count in POINTS:
        process = drive(store, tmp_path, f"{point}:{count}")
        killed += process.wait(timeout=3600) == -signal.SIGKILL
        after = commits(store)
        assert before.items() <= after.items(), f"a commit was redone after {point}:{count}"
        before = after
    assert killed == len(POINTS)
    assert digests(store, tmp_path) == expected
    assert before.items() <= commits(store).items()
    assert len(commits(store)) >= 12
    assert verify(store, deep=True).faults == []


def test_kills_at_random_moments_and_the_same_command_end_where_an_undisturbed_one_does(tmp_path: Path):
    expected = undisturbed(tmp_path)
    moments = random.Random(7)
    store = open_store(str(tmp_path / "out"))
    before: dict[str, bytes] = {}
    for _ in range(24):
        process = drive(store, tmp_path)
        time.sleep(moments.uniform(0, 0.8))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        after = commits(store)
        assert before.items() <= after.items()
        before = after
    assert digests(store, tmp_path) == expected
    assert before.items() <= commits(store).items()
    assert verify(store, deep=True).faults == []


def test_two_drivers_at_once_make_each_unit_once(tmp_path: Path):
    expected = undisturbed(tmp_path)
    store = open_store(str(tmp_path / "out"))
    processes = [drive(store, tmp_path) for _ in range(2)]
    assert [p.wait(timeout=3600) for p in processes] == [0, 0]
    assert digests(store, tmp_path) == expected
    assert verify(store, deep=True).faults == []
