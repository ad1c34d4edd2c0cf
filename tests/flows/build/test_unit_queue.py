"""The queue's rules over toy units: no Ray, no store, no clock."""

from __future__ import annotations

import pytest
from toy_stage import ToyUnit, numbered_units

from flows.build.unit_queue import Dispatch, Limits, Trouble, UnitQueue
from tasks.records.errors import StageStopped


def make_queue(count: int, limits: Limits | None = None, done: set[str] | None = None) -> UnitQueue:
    committed = done if done is not None else set()
    return UnitQueue("toy", numbered_units(count), limits or Limits(), committed.__contains__)


def take(queue: UnitQueue) -> Dispatch:
    dispatch = queue.take()
    assert dispatch is not None
    return dispatch


def finish(queue: UnitQueue, dispatch: Dispatch, seconds: float = 1.0, **failures: int) -> None:
    queue.finished(
        dispatch.unit.id, seconds=seconds, inputs=len(dispatch.unit.members), failures=dict(failures)
    )


def test_units_come_in_order_and_each_once() -> None:
    queue = make_queue(3)
    ids = []
    while (dispatch := queue.take()) is not None:
        ids.append(dispatch.unit.id)
        finish(queue, dispatch)
    assert ids == ["u00", "u01", "u02"]
    assert queue.open == set()


def test_a_unit_that_another_driver_committed_is_skipped() -> None:
    done: set[str] = set()
    queue = make_queue(3, done=done)
    finish(queue, take(queue))
    done.add("u01")
    assert take(queue).unit.id == "u02"
    assert queue.skipped == {"u01"}


def test_after_the_second_death_a_unit_waits_for_all_others_and_runs_alone() -> None:
    queue = make_queue(3)
    first = take(queue)
    queue.blame(first.unit.id, Trouble.CRASHED)
    others = [take(queue), take(queue)]
    again = take(queue)
    assert again.unit.id == "u00"
    assert not again.alone
    queue.blame("u00", Trouble.CRASHED)
    assert queue.take() is None, "others are still at work"
    for other in others:
        finish(queue, other)
    alone = take(queue)
    assert (alone.unit.id, alone.alone) == ("u00", True)


def test_nothing_starts_beside_a_suspect() -> None:
    queue = make_queue(2)
    other = take(queue)
    waiting = take(queue)
    finish(queue, other)
    queue.blame(waiting.unit.id, Trouble.TIMED_OUT)
    assert take(queue).alone
    assert queue.take() is None


def test_a_unit_that_only_waited_behind_the_culprit_is_not_blamed() -> None:
    queue = make_queue(2)
    culprit, waiting = take(queue), take(queue)
    for _ in range(5):
        queue.put_back(waiting.unit.id)
        waiting = take(queue)
        assert waiting.unit.id == "u01"
    assert not waiting.alone
    queue.blame(culprit.unit.id, Trouble.CRASHED)


def test_a_unit_too_slow_is_one_past_ten_times_the_median_but_never_before_the_floor() -> None:
    queue = make_queue(4, Limits(timeout_factor=10.0, timeout_floor_s=5.0))
    assert queue.time_limit_s() == 15.0, "until one has finished, three floors"
    for seconds in (0.1, 0.2, 0.3):
        finish(queue, take(queue), seconds=seconds)
    assert queue.time_limit_s() == 5.0
    finish(queue, take(queue), seconds=40.0)
    assert queue.time_limit_s() == 5.0
    slow = make_queue(1, Limits(timeout_factor=10.0, timeout_floor_s=5.0))
    finish(slow, take(slow), seconds=7.0)
    assert slow.time_limit_s() == 70.0


def test_faults_of_the_surroundings_stop_the_stage_after_a_few_and_blame_no_unit() -> None:
    queue = make_queue(1, Limits(max_environment_faults=3))
    for _ in range(2):
        queue.fault(take(queue).unit.id, "the endpoint is away")
    last = take(queue)
    assert not last.alone
    with pytest.raises(StageStopped, match="the endpoint is away"):
        queue.fault(last.unit.id, "the endpoint is away")


def test_a_model_that_fails_most_inputs_stops_the_stage() -> None:
    queue = make_queue(10, Limits(max_failed_share=0.5, failed_share_after=6))
    finish(queue, take(queue), backend_error=2)
    finish(queue, take(queue), backend_error=2)
    with pytest.raises(StageStopped, match="6 of 6 inputs failed"):
        finish(queue, take(queue), backend_error=2)


def test_unreadable_files_do_not_speak_against_the_stage() -> None:
    queue = make_queue(10, Limits(max_failed_share=0.5, failed_share_after=2))
    for _ in range(10):
        finish(queue, take(queue), unreadable=2)
    assert queue.open == set()


def test_three_units_that_all_kill_and_none_that_lives_condemn_the_stage() -> None:
    queue = make_queue(5)
    for _ in range(2):
        queue.blame(take(queue).unit.id, Trouble.CRASHED)
    with pytest.raises(StageStopped, match="first 3 units"):
        queue.blame(take(queue).unit.id, Trouble.CRASHED)


def test_a_unit_that_never_stops_killing_stops_the_stage_instead_of_going_on_for_ever() -> None:
    queue = UnitQueue("toy", [ToyUnit(id="u", members=("1", "2"))], Limits(), lambda _: False)
    for _ in range(8):
        queue.blame(take(queue).unit.id, Trouble.CRASHED)
    last = take(queue).unit.id
    with pytest.raises(StageStopped, match="killed its worker 9 times"):
        queue.blame(last, Trouble.CRASHED)
