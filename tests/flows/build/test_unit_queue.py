"""The queue: order, blame per event, faults, and when a stage stops."""

from __future__ import annotations

import pytest
from toy_stage import ToyUnit, numbered_units

from flows.build.unit_queue import DEATHS_THAT_STOP, NAMED, Dispatch, Limits, Trouble, UnitQueue
from tasks.records.errors import MissingAnswer, StageStopped


def queue_of(count: int = 3, limits: Limits | None = None, done: frozenset[str] = frozenset()) -> UnitQueue:
    return UnitQueue("toy", numbered_units(count), limits or Limits(), done.__contains__)


def take(queue: UnitQueue) -> Dispatch:
    dispatch = queue.take()
    assert dispatch is not None
    return dispatch


def finish(queue: UnitQueue, unit_id: str, failures: dict[str, int] | None = None) -> None:
    queue.finished(unit_id, inputs=2, failures=failures or {})


def test_units_come_in_order_and_each_once() -> None:
    queue = queue_of()
    assert [take(queue).unit.id for _ in range(3)] == ["u00", "u01", "u02"]
    assert queue.take() is None
    for name in ("u01", "u00", "u02"):
        finish(queue, name)
    assert queue.open == set()


def test_a_unit_that_another_driver_committed_is_skipped() -> None:
    queue = queue_of(done=frozenset({"u01"}))
    assert [take(queue).unit.id, take(queue).unit.id] == ["u00", "u02"]
    assert queue.skipped == {"u01"}
    assert queue.open == {"u00", "u02"}


def test_a_death_makes_suspects_of_what_was_computed_and_blames_no_other_unit() -> None:
    queue = queue_of(8)
    held = [take(queue).unit.id for _ in range(8)]
    queue.worker_died(held, {"103"}, Trouble.CRASHED)
    taken = [take(queue) for _ in range(8)]
    assert {d.unit.id: set(d.suspects) for d in taken if d.suspects} == {"u03": {"103"}}
    assert taken[-1].unit.id == "u03"  # last, so that a killer does not keep the others waiting
    assert queue.take() is None


def test_a_worker_that_only_waited_blames_no_sample() -> None:
    queue = queue_of(2)
    held = [take(queue).unit.id, take(queue).unit.id]
    queue.worker_died(held, (), Trouble.CRASHED)
    assert all(not take(queue).suspects for _ in range(2))


def test_one_death_of_a_worker_with_eight_units_is_one_event_and_stops_nothing() -> None:
    queue = queue_of(8)
    for _ in range(DEATHS_THAT_STOP - 1):
        held = [take(queue).unit.id for _ in range(8)]
        queue.worker_died(held, (), Trouble.CRASHED)
    finish(queue, take(queue).unit.id)
    held = [take(queue).unit.id for _ in range(7)]
    queue.worker_died(held, (), Trouble.CRASHED)  # a unit was finished in between
    assert queue.waiting == 7


def test_workers_that_die_one_after_the_other_with_nothing_done_stop_the_stage() -> None:
    queue = queue_of(8)
    for _ in range(DEATHS_THAT_STOP - 1):
        queue.worker_died([take(queue).unit.id], (), Trouble.CRASHED)
    with pytest.raises(StageStopped, match=f"{DEATHS_THAT_STOP} workers died"):
        queue.worker_died([take(queue).unit.id], (), Trouble.CRASHED)


def test_suspects_add_up_over_the_deaths_of_a_unit() -> None:
    queue = UnitQueue("toy", [ToyUnit(id="u", members=("1", "2", "3"))], Limits(), lambda _: False)
    queue.worker_died([take(queue).unit.id], {"1"}, Trouble.CRASHED)
    queue.worker_died([take(queue).unit.id], {"3"}, Trouble.TIMED_OUT)
    assert take(queue).suspects == {"1", "3"}


def test_an_outage_seen_by_many_units_of_a_worker_is_one_fault() -> None:
    queue = queue_of(8, Limits(max_environment_faults=2))
    queue.fault([take(queue).unit.id for _ in range(8)], "the endpoint is away")
    assert queue.waiting == 8


def test_faults_of_the_environment_stop_the_stage_after_a_few_and_blame_no_unit() -> None:
    queue = queue_of(limits=Limits(max_environment_faults=2))
    queue.fault([take(queue).unit.id], "away")
    with pytest.raises(StageStopped, match=r"away \(2 times\)"):
        queue.fault([], "away")
    assert not take(queue).suspects


def test_a_model_that_fails_most_inputs_stops_the_stage() -> None:
    queue = queue_of(9, Limits(failed_share_after=4, max_failed_share=0.5))
    finish(queue, take(queue).unit.id, {"crashed": 1})
    finish(queue, take(queue).unit.id, {"crashed": 1})
    with pytest.raises(StageStopped, match="4 of 6 inputs failed"):
        finish(queue, take(queue).unit.id, {"backend_error": 2})


def test_unreadable_files_do_not_speak_against_the_stage() -> None:
    queue = queue_of(9, Limits(failed_share_after=4, max_failed_share=0.5))
    for _ in range(9):
        finish(queue, take(queue).unit.id, {"unreadable": 2})
    assert queue.open == set()


def test_a_unit_that_keeps_killing_although_its_suspects_run_separately_stops_the_stage() -> None:
    queue = UnitQueue("toy", [ToyUnit(id="u", members=("1", "2"))], Limits(), lambda _: False)

    def kill_eight_times() -> None:
        for _ in range(8):
            queue.worker_died([take(queue).unit.id], {"1"}, Trouble.CRASHED)

    with pytest.raises(StageStopped, match=r"unit u killed|workers died"):
        kill_eight_times()


def test_a_unit_whose_kept_answers_are_missing_stays_undone_and_the_others_go_on() -> None:
    queue = queue_of(3, Limits(max_environment_faults=1))
    for unit, missing in (("u00", [("editor", "a", "f" * 64)]), ("u02", [("referrer", "b", "0" * 64)] * 2)):
        while take(queue).unit.id != unit:
            finish(queue, "u01")
        queue.answers_missing(unit, [MissingAnswer(*item) for item in missing])
    assert queue.open == set()
    with pytest.raises(StageStopped) as raised:
        queue.stop_when_answers_are_missing()
    lines = str(raised.value).splitlines()
    assert lines[0] == "toy stopped: kept answers about 2 samples are missing, by role and key:"
    assert lines[1:3] == [f"  editor: 1 ({'f' * 24})", f"  referrer: 1 ({'0' * 24})"]
    assert "may lack answers" in lines[3]


def test_nothing_stops_when_no_answer_is_missing() -> None:
    queue_of().stop_when_answers_are_missing()


def test_many_missing_answers_are_counted_and_some_are_named() -> None:
    queue = queue_of(1)
    missing = [MissingAnswer("editor", "a", f"{n:064x}") for n in range(NAMED + 2)]
    queue.answers_missing(take(queue).unit.id, missing)
    with pytest.raises(StageStopped, match=rf"editor: {NAMED + 2} \(0{{23}}0, .* and 2 more\)"):
        queue.stop_when_answers_are_missing()
