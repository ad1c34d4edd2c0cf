"""What a stage holds for each role: something to await an answer from."""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias, TypeVar

from tasks.imaging.arrays import Image
from tasks.records.records import ModelIdentity, Tag
from tasks.roles.questions import (
    Detection,
    DetectQuestion,
    EditJudgeQuestion,
    EditQuestion,
    EditScores,
    InpaintQuestion,
    InstructQuestion,
    Referents,
    ReferQuestion,
    RewriteQuestion,
    Segmentation,
    SegmentQuestion,
    TagQuestion,
    TargetQuestion,
    TargetVerdict,
    TextQuestion,
    TextVerdict,
    WrittenInstruction,
)

Q_contra = TypeVar("Q_contra", contravariant=True)
A_co = TypeVar("A_co", covariant=True)


class Ask(Protocol[Q_contra, A_co]):
    """Answers one question at a time; how (in this process, in a pool, by a server, from a kept answer) does not show.

    ``identity`` says who answers, ``prompts`` which prompt files (name, SHA-256) are read for it.
    """

    @property
    def identity(self) -> ModelIdentity:
        """Who answers."""
        ...

    @property
    def prompts(self) -> tuple[tuple[str, str], ...]:
        """Prompt files the backend reads, with their digests."""
        ...

    async def __call__(self, question: Q_contra) -> A_co:
        """The answer.

        Raises:
            SampleError: this question has none; others are not affected.
            EnvironmentFault: nobody can answer now; nothing may be committed.
        """
        ...


def prompts_of(*asks: Ask[Any, Any]) -> tuple[tuple[str, str], ...]:
    """Every prompt file that is read for an answer, once, with its digest."""
    return tuple(sorted({prompt for ask in asks for prompt in ask.prompts}))


AskTagger: TypeAlias = Ask[TagQuestion, tuple[Tag, ...]]
AskDetector: TypeAlias = Ask[DetectQuestion, tuple[Detection, ...]]
AskSegmenter: TypeAlias = Ask[SegmentQuestion, tuple[Segmentation, ...]]
AskTargetJudge: TypeAlias = Ask[TargetQuestion, TargetVerdict]
AskInstructor: TypeAlias = Ask[InstructQuestion, WrittenInstruction]
AskRewriter: TypeAlias = Ask[RewriteQuestion, str]
AskReferrer: TypeAlias = Ask[ReferQuestion, Referents]
AskTextJudge: TypeAlias = Ask[TextQuestion, TextVerdict]
AskEditor: TypeAlias = Ask[EditQuestion, Image]
AskInpainter: TypeAlias = Ask[InpaintQuestion, Image]
AskEditJudge: TypeAlias = Ask[EditJudgeQuestion, EditScores]
