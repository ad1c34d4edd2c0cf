"""The embedded edit judge gives good edits more than bad ones, and says what it looked at."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tasks.backends.embedded.painting.edit_judge import RuleEditJudge
from tasks.records.records import EditType
from tasks.roles.questions import EditScores
from tests.tasks.roles.role_questions import judge_question


@pytest.fixture
def judge() -> Callable[..., EditScores]:
    def ask(edit_type: EditType, **values: float) -> EditScores:
        return RuleEditJudge().answer_one(judge_question(edit_type, **values))

    return ask


def test_a_clean_recoloring_gets_high_scores(judge: Callable[..., EditScores]) -> None:
    scores = judge(
        EditType.COLOR, asked_color_share=0.9, change_inside_delta_e=40, seam_share=0.01, raw_leak_delta_e=0
    )
    assert scores.accuracy == 5
    assert scores.seamlessness > 4.9


@pytest.mark.parametrize("share", [0.4, 0.5, 0.6])
def test_a_half_done_recoloring_falls_under_four(judge: Callable[..., EditScores], share: float) -> None:
    assert judge(EditType.COLOR, asked_color_share=share, change_inside_delta_e=40).accuracy < 4


@pytest.mark.parametrize(
    "flaw",
    [
        {"seam_share": 0.3},
        {"raw_leak_delta_e": 6.0},
        {"fill_contrast_ratio": 0.2},
        {"novel_fill_share": 0.15},
        {"trace_of_shape": 0.7},
    ],
)
def test_one_visible_flaw_is_enough_to_fall_under_four(
    judge: Callable[..., EditScores], flaw: dict[str, float]
) -> None:
    values = {
        "seam_share": 0.0,
        "raw_leak_delta_e": 0.0,
        "fill_contrast_ratio": 1.0,
        "novel_fill_share": 0.0,
        "trace_of_shape": 0.1,
    }
    assert judge(EditType.REMOVE, **values).seamlessness == 5
    assert judge(EditType.REMOVE, **{**values, **flaw}).seamlessness < 4


def test_a_doubtful_removal_is_less_accurate_than_a_sure_one(judge: Callable[..., EditScores]) -> None:
    sure = judge(EditType.REMOVE, found_after_score=0.0, new_object_score=0.0)
    doubtful = judge(EditType.REMOVE, found_after_score=0.25, new_object_score=0.0)
    assert doubtful.accuracy < 4 <= sure.accuracy


def test_without_any_measurement_there_is_no_trust(judge: Callable[..., EditScores]) -> None:
    scores = judge(EditType.REMOVE)
    assert (scores.accuracy, scores.seamlessness) == (1.0, 1.0)


def test_scores_stay_within_one_to_five_and_are_recorded(judge: Callable[..., EditScores]) -> None:
    scores = judge(EditType.COLOR, asked_color_share=-3, change_inside_delta_e=1e6, seam_share=9)
    assert 1 <= scores.accuracy <= 5
    assert scores.seamlessness == 1
    assert {m.name for m in scores.measurements} >= {"accuracy_asked_color_share", "seamless_seam_share"}
