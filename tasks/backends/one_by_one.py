"""Base of local backends that compute one answer after the other."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TypeVar

from tasks.records.errors import SampleError
from tasks.roles.backend import LocalBackend
from tasks.roles.questions import Question

Q = TypeVar("Q", bound=Question)
A = TypeVar("A")


class OneByOne(LocalBackend[Q, A]):
    """Implements `answer` by `answer_one`; the error of one question takes the place of its answer."""

    def answer(self, questions: Sequence[Q]) -> list[A | SampleError]:
        """See `tasks.roles.backend.LocalBackend`. Errors other than `SampleError` propagate."""
        return [self._try(question) for question in questions]

    def _try(self, question: Q) -> A | SampleError:
        try:
            return self.answer_one(question)
        except SampleError as error:
            # A returned error keeps its frames, and with them the arrays of the failed question, alive.
            return error.with_traceback(None)

    @abstractmethod
    def answer_one(self, question: Q) -> A:
        """The answer to one question.

        Raises:
            SampleError: this question has no answer.
            EnvironmentFault: the model itself is in trouble.
        """
