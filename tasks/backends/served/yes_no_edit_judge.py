"""Edit judge of yes-no questions: the two scores follow from the probabilities of four answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tasks.backends.served.edit_judge import HIGHEST, LOWEST, BeforeAndAfter, EditJudgeOptions
from tasks.backends.served.measured import measured
from tasks.backends.served.yes_no import NO, YES, Answers, Digit, answers_schema, read_answers
from tasks.roles.chat import ChatReply, ChatRequest
from tasks.roles.questions import EditJudgeQuestion, EditScores

ACCURACY, SEAMLESSNESS = ("done", "kept"), ("real", "blended")
"""Questions that each of the two scores rests on; all of them have to be answered by yes."""


class _FourAnswers(Answers):
    done: Digit
    kept: Digit
    real: Digit
    blended: Digit


class YesNoEditJudge(BeforeAndAfter):
    """Sees what the paper's judge sees (Figure 20, lower part) and answers four questions by yes or no.

    A score is 1 + 4 p, where p is the least P(yes) of its questions, so that the stage's thresholds on scores are
    thresholds on probabilities: 4.0 is p = 0.75. Each P(yes) is measured. From a server without log-probabilities p is
    0 or 1.
    """

    role = "edit_judge"
    backend = "yes-no"
    prompt = "edit_judge_yes_no"
    choices = (NO, YES)

    @classmethod
    def schema(cls, options: EditJudgeOptions, question: EditJudgeQuestion) -> Mapping[str, Any]:
        """An object of four digits."""
        del options, question
        return answers_schema(cls.role, list(_FourAnswers.model_fields))

    def read(self, reply: ChatReply, request: ChatRequest) -> EditScores:
        """Both scores, and P(yes) of each question."""
        del request
        given, probabilities = read_answers(reply, _FourAnswers)
        answers = {name: getattr(given, name) == 1 for name in _FourAnswers.model_fields}
        shares = {name: _share(probabilities[name], answer) for name, answer in answers.items()}
        return EditScores(
            accuracy=_score(shares[name] for name in ACCURACY),
            seamlessness=_score(shares[name] for name in SEAMLESSNESS),
            measurements=tuple(
                measured(f"yes_{name}_probability", probabilities[name], answer)
                for name, answer in answers.items()
            ),
        )


def _share(probability: float | None, answer: bool) -> float:
    return float(answer) if probability is None else probability


def _score(shares: Iterable[float]) -> float:
    return round(LOWEST + (HIGHEST - LOWEST) * min(shares), 4)
