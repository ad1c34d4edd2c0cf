"""Fan-out through the pool in this process: partitions, skipping, faults."""

from __future__ import annotations

from pathlib import Path

import pytest
from toy_stage import numbered_units, overlaps, run_units, toy_job

from flows.build.fan_out import UnitDone, in_order, start_units
from flows.build.pool_in_process import InProcessPool
from flows.build.unit_queue import Limits
from tasks.records.errors import StageStopped


def commits(folder: Path) -> set[str]:
    return {p.name.removeprefix("commit-") for p in folder.glob("commit-*")}


def test_every_unit_is_done_once_with_models_loaded_once(tmp_path: Path) -> None:
    done: list[UnitDone] = []
    run_units(toy_job(tmp_path), numbered_units(5), InProcessPool(), on_done=done.append)
    assert commits(tmp_path) == {f"u{n:02d}" for n in range(5)}
    assert len(done) == 5
    assert len(list((tmp_path / "loads").iterdir())) == 1


def test_partitions_cover_the_units_and_end_with_their_own(tmp_path: Path) -> None:
    done: list[UnitDone] = []
    run = start_units(
        toy_job(tmp_path),
        numbered_units(9),
        InProcessPool(),
        limits=Limits(),
        partitions=3,
        on_done=done.append,
        offset=4,
    )
    assert sum(len(p) for p in run.partitions) == 9
    assert len(frozenset().union(*run.partitions)) == 9
    run.run_partition(0)
    assert commits(tmp_path) == run.partitions[0]
    run.run_partition(1)
    run.run_partition(2)
    assert len(done) == 9
    assert done[0].unit_id == "u04"


def test_units_of_a_stage_that_waits_for_nobody_do_not_overlap(tmp_path: Path) -> None:
    units = numbered_units(6, dict.fromkeys(range(6), ("slow",)))
    for name, waits in (("waits", True), ("computes", False)):
        (tmp_path / name).mkdir()
        run_units(toy_job(tmp_path / name, waits=waits), units, InProcessPool(units_in_flight=3))
    assert overlaps(tmp_path / "waits") > 0
    assert overlaps(tmp_path / "computes") == 0


def test_what_another_driver_did_meanwhile_counts_as_done_and_is_not_done_again(tmp_path: Path) -> None:
    done: list[UnitDone] = []
    run = start_units(
        toy_job(tmp_path),
        numbered_units(4),
        InProcessPool(),
        limits=Limits(),
        partitions=1,
        on_done=done.append,
        offset=0,
    )
    (tmp_path / "commit-u02").touch()
    run.run_partition(0)
    assert {d.unit_id: d.summary is None for d in done} == {
        "u00": False,
        "u01": False,
        "u02": True,
        "u03": False,
    }


def test_the_units_with_the_most_inputs_come_first_and_equal_ones_begin_anywhere() -> None:
    units = numbered_units(5, {1: ("7",), 3: ("8", "9", "10")})
    assert [u.id for u in in_order(units, 0)] == ["u03", "u00", "u02", "u04", "u01"]
    assert [u.id for u in in_order(units, 4)] == ["u03", "u04", "u00", "u02", "u01"]
    assert len({tuple(u.id for u in in_order(units)) for _ in range(60)}) > 1


def test_no_units_means_no_partitions(tmp_path: Path) -> None:
    run_units(toy_job(tmp_path), [], InProcessPool())
    assert commits(tmp_path) == set()


def test_an_environment_fault_stops_the_stage_and_the_same_call_resumes(tmp_path: Path) -> None:
    units = numbered_units(4, {1: ("away",)})
    with pytest.raises(StageStopped, match="the endpoint is away"):
        run_units(toy_job(tmp_path, trouble_ends_after=99), units, InProcessPool())
    before = commits(tmp_path)
    assert "u01" not in before
    mended = numbered_units(4)
    run_units(toy_job(tmp_path), [u for u in mended if u.id not in before], InProcessPool())
    assert commits(tmp_path) == {u.id for u in mended}


def test_units_without_their_kept_answers_stay_undone_and_stop_the_stage_at_its_end(tmp_path: Path) -> None:
    units = numbered_units(6, dict.fromkeys(range(4), ("missing",)))
    limits = Limits(max_environment_faults=1)
    run = start_units(
        toy_job(tmp_path), units, InProcessPool(), limits=limits, partitions=1, on_done=lambda done: None
    )
    run.run_partition(0)
    assert commits(tmp_path) == {"u04", "u05"}
    with pytest.raises(StageStopped, match="editor: 1"):
        run.queue.stop_when_answers_are_missing()
