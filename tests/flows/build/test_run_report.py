"""The state of a running build, written to its dataset and read by another command."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from flows.build.drain import Drained
from flows.build.plans import Build
from flows.build.pool_in_process import InProcessPool
from flows.build.progress import Progress
from flows.build.run_report import Rates, RunReport, brief, newest_run
from flows.cli.main import main
from tasks.records.outcomes import STAGES
from tasks.storage.reports.auditing import verify
from tests.flows.build.test_plans import opened, run

ROUTE = {
    "role": "editor", "run": "painting", "model": "m", "asked": 9, "kept_used": 2, "joined": 0, "answered": 6,
    "refused": 0, "failed": 1, "in_flight": 3, "deaths": 0, "asked_again": 0, "batches": 3, "batch_fill": 0.75,
    "seconds": 1.0, "queued": 4,
}  # fmt: skip
SERVICES = {
    "up_s": 3.0,
    "routes": {"editor-1@painting": ROUTE},
    "pools": {"painting": {"replicas": 2, "starting": 0, "queued": 4, "deaths": 1, "restarts": 1, "stopped": None}},
    "servers": {},
}  # fmt: skip


class ToldPool(InProcessPool):
    """A pool whose router always reports the same."""

    def status(self) -> Mapping[str, Any]:
        return SERVICES


@pytest.fixture
def build(tmp_path: Path) -> Build:
    made = opened(tmp_path, "first")
    for stage in STAGES:
        run(made, stage)
    return made


def test_a_run_says_how_it_stands_and_how_it_ended(build: Build) -> None:
    assert build.record is not None
    report = RunReport(build, ToldPool(), Progress(quiet=True), every_s=3600)
    assert newest_run(build.store, build.record.build) is None
    report.write()
    told = newest_run(build.store, build.record.build)
    assert told is not None
    assert (told["state"], told["services"]) == ("running", SERVICES)
    assert told["age_s"] < 60
    with pytest.raises(Drained), report:
        raise Drained("as asked")
    told = newest_run(build.store, build.record.build)
    assert told is not None
    assert (told["state"], told["reason"]) == ("drained", "as asked")
    assert newest_run(build.store, "0" * 12) is None


def test_before_the_first_stage_is_planned_nothing_is_written(tmp_path: Path) -> None:
    build = opened(tmp_path, "first")
    with RunReport(build, ToldPool(), Progress(quiet=True), every_s=3600) as report:
        report.write()
    assert list(build.store.list("runs")) == []


def test_status_shows_the_last_run_and_verify_does_not_mind_it(
    build: Build, capsys: pytest.CaptureFixture[str]
) -> None:
    before = verify(build.store, deep=True)
    with RunReport(build, ToldPool(), Progress(quiet=True), every_s=3600):
        pass
    after = verify(build.store, deep=True)
    assert (after.faults, after.notes) == (before.faults, before.notes)
    assert main(["status", build.store.uri]) == 0
    text = capsys.readouterr().out
    assert "last run: ended, process " in text
    header, row = text.splitlines()[-2:]
    assert header.split()[:2] == ["role", "answered"]
    assert row.split()[:9] == ["editor", "painting", "9", "2", "6", "0.00", "4", "3", "75%"]
    assert main(["status", build.store.uri, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["run"]["services"] == SERVICES


def test_rates_are_those_of_the_last_half_minute() -> None:
    rates = Rates()

    def at(now: float, answered: int) -> float:
        return rates.at(now, {"routes": {"r": {"answered": answered, "refused": 0, "failed": 0}}})["r"]

    assert at(0.0, 0) == 0.0
    assert at(10.0, 100) == 10.0
    assert at(40.0, 130) == 1.0
    assert at(70.0, 130) == 0.0


def test_a_line_of_progress_names_roles_that_are_being_asked() -> None:
    assert brief(SERVICES, {"editor-1@painting": 0.42}) == "editor 0.4/s, 3 in flight, 4 queued"
    idle = {**SERVICES, "routes": {"r": {**ROUTE, "in_flight": 0, "queued": 0}}}
    assert brief(idle, {}) == ""
    assert brief({}, {}) == ""
