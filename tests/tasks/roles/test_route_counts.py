from __future__ import annotations

from tasks.records.errors import Reason, SampleError
from tasks.roles.route_counts import WINDOW, RouteCounts

BAD = SampleError(Reason.BAD_REPLY)


def counted(*ends: SampleError | None) -> RouteCounts:
    counts = RouteCounts()
    for end in ends:
        counts.ended(end)
    return counts


def test_more_than_half_of_the_last_questions_without_a_usable_reply_stop_the_route() -> None:
    half = WINDOW // 2
    assert counted(*[BAD] * half).stop("judge") is None
    assert "judge" in str(counted(*[BAD] * (half + 1)).stop("judge"))
    assert counted(*[BAD] * half, *[None] * half, *[BAD] * half).stop("judge") is None
    assert counted(*[None] * 10_000, *[BAD] * (half + 1)).stop("judge") is not None


def test_rejections_and_crashes_do_not_count_as_a_sick_server() -> None:
    for reason in (Reason.NO_UNIQUE_REFERENCE, Reason.CRASHED, Reason.BACKEND_ERROR):
        assert counted(*[SampleError(reason)] * 1000).stop("judge") is None


def test_two_percent_without_memory_stop_the_route_however_many_there_are() -> None:
    none = SampleError(Reason.OUT_OF_MEMORY)
    assert counted(none).stop("editor") is None
    assert counted(*[None] * 980, *[none] * 20).stop("editor") is None
    assert counted(*[None] * 979, *[none] * 21).stop("editor") is not None


def test_every_question_that_was_put_ends_in_one_counter() -> None:
    rejected, crashed = SampleError(Reason.NO_UNIQUE_REFERENCE), SampleError(Reason.CRASHED)
    counts = counted(None, rejected, crashed, BAD)
    assert (counts.answered, counts.refused, counts.failed) == (2, 1, 1)
