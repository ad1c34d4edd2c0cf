"""Runs a stage over inputs as a worker would, on its own engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tasks.records.errors import SampleError
from tasks.records.outcomes import Outcome, PixelReader, StageInput
from tasks.records.records import ModelIdentity
from tasks.roles.backend import LocalBackend
from tasks.roles.questions import Question
from tasks.stages.sample_stage import SampleStage
from tasks.worker.engine import Engine


def answered(
    stage: SampleStage,
    inputs: Sequence[StageInput],
    pixels: PixelReader,
    extra: Mapping[str, str] | None = None,
) -> list[Outcome]:
    """One outcome per input, in order."""
    engine = Engine()
    try:
        return engine.answer(stage, inputs, pixels, extra)
    finally:
        engine.close()


class BackendAsk:
    """An ask answered by a local backend at once, in the calling thread; records its questions."""

    prompts: tuple[tuple[str, str], ...] = ()

    def __init__(self, backend: LocalBackend[Any, Any]) -> None:
        self.backend = backend
        self.asked: list[Question] = []
        self.identity = backend.identity_of(backend.Options())

    async def __call__(self, question: Question) -> Any:
        self.asked.append(question)
        (answer,) = self.backend.answer([question])
        if isinstance(answer, SampleError):
            raise answer
        return answer


class GivenAsk:
    """An ask that calls a function with the question; records its questions."""

    prompts: tuple[tuple[str, str], ...] = ()

    def __init__(self, role: str, answer: Callable[[Any], Any]) -> None:
        self.identity = ModelIdentity(
            role=role, backend="given", model="a function", revision="1", digest="none"
        )
        self.answer = answer
        self.asked: list[Any] = []

    async def __call__(self, question: Any) -> Any:
        self.asked.append(question)
        answer = self.answer(question)
        if isinstance(answer, SampleError):
            raise answer
        return answer
