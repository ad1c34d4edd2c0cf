"""Target judge: is the mask precise and the target hard to find, as one digit or two, with probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from prompts import load_prompt
from tasks.backends.served.chat_backend import ChatBackend
from tasks.backends.served.measured import measured
from tasks.backends.served.options import SAMPLING, ServedOptions
from tasks.backends.served.yes_no import NO, YES, Answers, Digit, answers_schema, read_answers
from tasks.imaging.geometry import enlarge
from tasks.records.records import Box
from tasks.roles.chat import ChatReply, ChatRequest
from tasks.roles.picture import Picture
from tasks.roles.questions import TargetQuestion, TargetVerdict
from tasks.roles.replies import chosen, share_of

CROP_FACTOR, CROP_SIDE = 2.5, 448
"""Side of the enlarged view over the target's box, and its least side in pixels."""


class TargetJudgeOptions(ServedOptions):
    """A digit or two are all that is wanted; the server may need a token to end with."""

    max_tokens: int = Field(default=24, ge=1, description="longest reply")
    answers: Literal["one", "two"] = Field(
        default="one",
        description="one digit for both conditions, as in the paper, or one for each, so that a no says which",
    )
    look: Literal["whole", "whole_and_crop"] = Field(
        default="whole",
        description="whole photograph only, as in the paper, or its marked part enlarged, too",
    )


class _TwoAnswers(Answers):
    precise: Digit
    hard: Digit


class ChatTargetJudge(ChatBackend[TargetQuestion, TargetVerdict]):
    """Sees the photograph with the target's red mask and box (paper Figure 19, lower part).

    With one digit for both conditions, as in the paper, both fields of the verdict are equal.
    """

    role = "target_judge"
    Options = TargetJudgeOptions
    answering = SAMPLING | {"answers", "look"}
    choices = (NO, YES)
    options: TargetJudgeOptions

    @classmethod
    def pictures(cls, options: TargetJudgeOptions) -> int:
        """See `ServedBackend.pictures`."""
        return 2 if options.look == "whole_and_crop" else 1

    @classmethod
    def parts(cls, options: TargetJudgeOptions, question: TargetQuestion) -> tuple[str | Picture, ...]:
        """Prompt, marked photograph, the marked part enlarged where ``look`` says so, and how to answer."""
        prompt = load_prompt(cls.role)
        parts: list[str | Picture] = [prompt.text, prompt.sentence("whole"), question.marked]
        if options.look == "whole_and_crop":
            parts += [prompt.sentence("crop"), question.marked.crop(_window(question))]
        return (*parts, prompt.sentence(options.answers))

    @classmethod
    def schema(cls, options: TargetJudgeOptions, question: TargetQuestion) -> Mapping[str, Any] | None:
        """A bare digit, or an object of two."""
        if options.answers == "two":
            return answers_schema(cls.role, list(_TwoAnswers.model_fields))
        return super().schema(options, question)

    def read(self, reply: ChatReply, request: ChatRequest) -> TargetVerdict:
        """What the digits say; their probabilities are measured but decide nothing here."""
        if self.options.answers == "two":
            return _separate(*read_answers(reply, _TwoAnswers))
        keep = chosen(reply, request.choices) == YES
        probability = share_of(YES, request.choices, reply.places[0]) if reply.places else None
        keeping = measured("keep_probability", probability, keep)
        return TargetVerdict(precise=keep, hard=keep, measurements=(keeping,), together=True)


def _separate(given: _TwoAnswers, probabilities: Mapping[str, float | None]) -> TargetVerdict:
    precise, hard = given.precise == 1, given.hard == 1
    measurements = (
        measured("precise_probability", probabilities["precise"], precise),
        measured("hard_probability", probabilities["hard"], hard),
    )
    return TargetVerdict(precise=precise, hard=hard, measurements=measurements)


def _window(question: TargetQuestion) -> Box:
    boxes = [thing.box for thing in question.target.objects]
    around = Box(
        x0=min(box.x0 for box in boxes),
        y0=min(box.y0 for box in boxes),
        x1=max(box.x1 for box in boxes),
        y1=max(box.y1 for box in boxes),
    )
    source = question.target.scene.source
    return enlarge(around, CROP_FACTOR, CROP_SIDE, source.width, source.height)
