"""A build that is asked to stop finishes running units only; a second signal stops it immediately."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from toy_stage import numbered_units, toy_job

from flows.build.drain import Drain, Drained
from flows.build.fan_out import UnitDone, UnitRun, start_units
from flows.build.pool_in_process import InProcessPool
from flows.build.unit_queue import Limits


def units_of(
    folder: Path,
    count: int,
    pool: InProcessPool,
    on_done: Callable[[UnitDone], None],
    *,
    drain: Drain | None = None,
    partitions: int = 1,
) -> UnitRun:
    return start_units(
        toy_job(folder),
        numbered_units(count),
        pool,
        limits=Limits(),
        partitions=partitions,
        on_done=on_done,
        drain=drain,
    )


def commits(folder: Path) -> set[str]:
    return {path.name.removeprefix("commit-") for path in folder.glob("commit-*")}


def test_units_at_work_are_committed_and_no_other_is_begun(tmp_path: Path) -> None:
    drain, done = Drain(), list[str]()

    def on_done(unit: UnitDone) -> None:
        done.append(unit.unit_id)
        drain.request()

    pool = InProcessPool(units_in_flight=2)
    run = units_of(tmp_path, 9, pool, on_done, drain=drain)
    with pytest.raises(Drained, match=r"toy: stopped on request; .* the same command resumes"):
        run.run_partition(0)
    pool.close()
    # The first unit requests the stop; the second was running then, and a third may have just been started.
    assert set(done) == commits(tmp_path)
    assert 2 <= len(done) <= 3
    begun = {path.name.split("-")[1] for path in tmp_path.glob("attempt-*")}
    assert begun == commits(tmp_path)


def test_a_stage_whose_units_are_all_done_ends_as_always(tmp_path: Path) -> None:
    drain = Drain()
    pool = InProcessPool()
    run = units_of(tmp_path, 1, pool, lambda done: drain.request(), drain=drain)
    assert run.run_partition(0) == 1
    with pytest.raises(Drained, match="next: stopped on request"):
        drain.check("next")


def test_running_units_of_a_later_partition_are_reported_when_their_turn_comes(
    tmp_path: Path,
) -> None:
    done: list[str] = []
    pool = InProcessPool(units_in_flight=3)
    run = units_of(tmp_path, 8, pool, lambda unit: done.append(unit.unit_id), partitions=4)
    for number in range(len(run.partitions)):
        run.run_partition(number)
        assert run.partitions[number] <= set(done)
    assert sorted(done) == sorted(unit.id for unit in numbered_units(8))


def test_the_first_sigterm_asks_and_the_second_one_interrupts() -> None:
    drain = Drain()
    before = signal.getsignal(signal.SIGTERM)
    with drain.listening():
        os.kill(os.getpid(), signal.SIGTERM)
        assert drain.requested
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


class InterruptsWhenFreed:
    """Python prints what a finalizer raises, and goes on."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)


def test_an_interrupt_that_python_loses_is_remembered_and_not_printed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    drain = Drain()
    before = signal.getsignal(signal.SIGINT), sys.unraisablehook
    with drain.listening():
        drain.check_interrupt()
        InterruptsWhenFreed()
        with pytest.raises(KeyboardInterrupt):
            drain.check("toy")
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert (signal.getsignal(signal.SIGINT), sys.unraisablehook) == before
    assert capsys.readouterr().err == ""


def test_other_errors_of_finalizers_are_still_told() -> None:
    told: list[object] = []

    class Fails:
        def __del__(self) -> None:
            raise ValueError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "unraisablehook", lambda unraisable: told.append(unraisable.exc_type))
        drain = Drain()
        with drain.listening():
            InterruptsWhenFreed()
            Fails()
    assert told == [ValueError]


def test_a_pool_stops_after_an_interrupt_that_python_loses(tmp_path: Path) -> None:
    drain, done = Drain(), list[str]()

    def on_done(unit: UnitDone) -> None:
        done.append(unit.unit_id)
        InterruptsWhenFreed()

    pool = InProcessPool()
    run = units_of(tmp_path, 6, pool, on_done, drain=drain)
    with drain.listening(), pytest.raises(KeyboardInterrupt):
        run.run_partition(0)
    pool.close()
    assert len(done) == 1
    assert commits(tmp_path) == set(done)


def test_ctrl_c_stays_ignored_where_it_was() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Drain().listening():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_an_interrupted_pool_waits_for_no_unit(tmp_path: Path) -> None:
    def interrupt(unit: UnitDone) -> None:
        raise KeyboardInterrupt

    pool = InProcessPool(units_in_flight=2)
    run = units_of(tmp_path, 6, pool, interrupt)
    with pytest.raises(KeyboardInterrupt):
        run.run_partition(0)
    pool.close()
    assert len(commits(tmp_path)) < 6
