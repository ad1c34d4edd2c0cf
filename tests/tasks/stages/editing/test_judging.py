"""Two judges of an edit: both are asked, both must agree, and both are recorded."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tasks.records.errors import EnvironmentFault, Reason, SampleError
from tasks.records.measuring import measure
from tasks.records.outcomes import Child
from tasks.records.records import EditedSample, EditPlan, EditType
from tasks.roles.questions import EditScores
from tests.tasks.stages.answering import GivenAsk
from tests.tasks.stages.editing.planted_stage import RED, SETTINGS, only_child, run


def judge(accuracy: float, seamlessness: float = 5.0) -> GivenAsk:
    measured = (measure("yes_done_probability", 0.9, decides=False),)
    scores = EditScores(accuracy=accuracy, seamlessness=seamlessness, measurements=measured)
    return GivenAsk("edit_judge", lambda question: scores)


def failing(error: Exception) -> GivenAsk:
    def fail(question: object) -> EditScores:
        raise error

    return GivenAsk("edit_judge", fail)


@pytest.fixture
def judged(picture: np.ndarray, plan_for: Callable[..., EditPlan]) -> Callable[..., Child]:
    """The child of a good edit that is judged by these."""
    plan = plan_for(RED, EditType.COLOR, "green")

    def judged_by(first: GivenAsk, second: GivenAsk | None, **settings: float) -> Child:
        changed = SETTINGS.model_copy(update=settings)
        return only_child(run(picture, plan, judge=first, second_judge=second, settings=changed))

    return judged_by


@pytest.mark.parametrize(
    ("first", "second", "reason", "name"),
    [
        (judge(4.5), judge(4.2), None, ""),
        (judge(3.9), judge(4.2), Reason.LOW_ACCURACY, "accuracy"),
        (judge(4.5), judge(3.9), Reason.LOW_ACCURACY, "second_accuracy"),
        (judge(4.5), judge(4.5, 3.0), Reason.LOW_SEAMLESSNESS, "second_seamlessness"),
        (judge(4.5, 3.5), judge(1.0), Reason.LOW_SEAMLESSNESS, "seamlessness"),
    ],
)
def test_both_must_agree(
    judged: Callable[..., Child], first: GivenAsk, second: GivenAsk, reason: Reason | None, name: str
) -> None:
    child = judged(first, second)
    assert child.reason is reason
    assert [m.name for m in child.measured] == ([name] if name else [])


def test_the_second_judges_numbers_are_recorded_apart_from_the_first(judged: Callable[..., Child]) -> None:
    child = judged(judge(4.5), judge(4.2, 4.1))
    record = child.record
    assert isinstance(record, EditedSample)
    assert (record.accuracy, record.seamlessness) == (4.5, 5.0)
    values = {m.name: (m.value, m.low) for m in record.gates}
    assert values["yes_done_probability"] == values["second_yes_done_probability"] == (0.9, None)
    assert values["second_accuracy"] == (4.2, 4.0)
    assert values["second_seamlessness"] == (4.1, 4.0)
    assert [m.role for m in record.models].count("edit_judge") == 2


def test_the_second_judge_has_thresholds_of_its_own(judged: Callable[..., Child]) -> None:
    assert judged(judge(4.5), judge(3.0), min_second_accuracy=2.5).reason is None
    assert judged(judge(3.0), judge(4.5), min_second_accuracy=2.5).reason is Reason.LOW_ACCURACY


def test_the_second_judge_is_asked_whatever_the_first_says(judged: Callable[..., Child]) -> None:
    """Else a milder threshold of the first would ask the second anew."""
    first, second = judge(1.0), judge(5.0)
    judged(first, second)
    (asked,), (other,) = first.asked, second.asked
    assert asked.seed != other.seed
    assert asked.material() == other.material()


@pytest.mark.parametrize("place", [0, 1])
def test_a_judge_without_an_answer_fails_the_sample(judged: Callable[..., Child], place: int) -> None:
    judges = [judge(4.5), judge(4.5)]
    judges[place] = failing(SampleError(Reason.BAD_REPLY, "not_json"))
    child = judged(*judges)
    assert (child.reason, child.detail) == (Reason.BAD_REPLY, "not_json")


def test_a_judge_that_is_away_leaves_the_sample_open(judged: Callable[..., Child]) -> None:
    with pytest.raises(EnvironmentFault, match="away"):
        judged(failing(SampleError(Reason.BAD_REPLY, "not_json")), failing(EnvironmentFault("away")))
