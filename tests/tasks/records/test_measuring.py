"""One function measures: the recorded value is the judged one."""

from __future__ import annotations

import pytest

from tasks.records.measuring import bound_words, failed, measure, measured_words


def test_a_value_is_judged_as_it_is_recorded_so_that_no_sample_contradicts_itself():
    assert measure("share", 0.00499996, low=0.005).passed
    assert measure("share", 0.00499996, low=0.005).value == 0.005
    assert not measure("share", 0.00494, low=0.005).passed
    assert measure("share", 0.15004, high=0.15).passed


@pytest.mark.parametrize(
    ("value", "low", "high", "passed"),
    [
        (1.0, 1.0, None, True),
        (0.9, 1.0, None, False),
        (1.0, None, 1.0, True),
        (1.1, None, 1.0, False),
        (0.5, 0.0, 1.0, True),
        (1.5, 0.0, 1.0, False),
        (-0.5, 0.0, 1.0, False),
        (7.0, None, None, True),
        (float("nan"), 0.0, None, False),
    ],
)
def test_both_bounds_are_inclusive(value, low, high, passed):
    assert measure("x", value, low=low, high=high).passed is passed


def test_a_number_that_decides_nothing_passes_whatever_it_is():
    noted = measure("rank", 9, high=1, decides=False)
    assert noted.passed
    assert failed([noted, measure("share", 2, high=1)]) == (measure("share", 2, high=1),)


def test_equal_values_have_one_spelling():
    assert str(measure("x", -0.00001).value) == "0.0"
    assert type(measure("x", True).value) is float


def test_a_measurement_is_written_with_its_bound_in_words():
    told = measured_words([measure("share", 0.31, high=0.22), measure("low_score", 3, decides=False)])
    assert told == "share 0.31 (at most 0.22); low_score 3"
    assert [bound_words(0, 0), bound_words(0.1, 0.9), bound_words(None, None)] == [
        "exactly 0",
        "between 0.1 and 0.9",
        "",
    ]
