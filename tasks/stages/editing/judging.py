"""The judges of a finished edit: the paper's one, and a second of another family if one is configured."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from tasks.records.errors import Reason, SampleError
from tasks.records.measuring import measure
from tasks.records.records import Measurement
from tasks.records.seeds import derive_seed
from tasks.roles.asks import AskEditJudge
from tasks.roles.questions import EditJudgeQuestion, EditScores
from tasks.stages.editing.settings import EditingSettings

SECOND = "second_"
"""Prefix of the second judge's measurements."""


async def both_scores(
    judge: AskEditJudge, second: AskEditJudge | None, question: EditJudgeQuestion
) -> tuple[EditScores, EditScores | None]:
    """The scores of both judges; None of a second one that is not configured.

    Both are asked at the same time, whatever the first says: then no threshold asks anybody again, and the two can be
    compared on all edits.

    Raises:
        SampleError: one of them has no answer; the first judge's error, if both have none.
    """
    if second is None:
        return await judge(question), None
    other = replace(question, seed=derive_seed(question.seed, question.subject, "second_judge"))
    scores, second_scores = await asyncio.gather(judge(question), second(other), return_exceptions=True)
    errors = [answer for answer in (scores, second_scores) if isinstance(answer, BaseException)]
    # A fault of the environment leaves the sample open, so it comes before an answer that is missing for good.
    for error in sorted(errors, key=lambda error: isinstance(error, SampleError)):
        raise error
    assert isinstance(scores, EditScores)
    assert isinstance(second_scores, EditScores)
    return scores, second_scores


def second_gates(scores: EditScores | None, settings: EditingSettings) -> tuple[Measurement, ...]:
    """The second judge's measurements and scores with their thresholds, by names of their own."""
    if scores is None:
        return ()
    named = (replace(m, name=f"{SECOND}{m.name}") for m in scores.measurements)
    return (*named, *_second_scores(scores, settings))


def verdict(
    scores: EditScores, second: EditScores | None, settings: EditingSettings
) -> tuple[Reason | None, tuple[Measurement, ...]]:
    """The rejection by the first score that is too low, if any."""
    accuracy = measure("accuracy", scores.accuracy, low=settings.min_accuracy)
    seamlessness = measure("seamlessness", scores.seamlessness, low=settings.min_seamlessness)
    judged = [(Reason.LOW_ACCURACY, accuracy), (Reason.LOW_SEAMLESSNESS, seamlessness)]
    if second is not None:
        reasons = (Reason.LOW_ACCURACY, Reason.LOW_SEAMLESSNESS)
        judged += zip(reasons, _second_scores(second, settings), strict=True)
    return next(((reason, (m,)) for reason, m in judged if not m.passed), (None, ()))


def _second_scores(scores: EditScores, settings: EditingSettings) -> tuple[Measurement, Measurement]:
    return (
        measure("second_accuracy", scores.accuracy, low=settings.min_second_accuracy),
        measure("second_seamlessness", scores.seamlessness, low=settings.min_second_seamlessness),
    )
