"""Target judge: is the mask precise and the target hard to find, as one digit and its probability."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from prompts import load_prompt
from tasks.backends.served.chat_backend import ChatBackend
from tasks.backends.served.measured import measured
from tasks.backends.served.options import SAMPLING, ServedOptions
from tasks.imaging.geometry import enlarge
from tasks.records.records import Box
from tasks.roles.chat import ChatReply, ChatRequest
from tasks.roles.picture import Picture
from tasks.roles.questions import TargetQuestion, TargetVerdict
from tasks.roles.replies import chosen, share_of

NO, YES = "0", "1"

CROP_FACTOR, CROP_SIDE = 2.5, 448
"""Side of the enlarged view over the target's box, and its least side in pixels."""


class TargetJudgeOptions(ServedOptions):
    """One digit is all that is wanted; the server may need a token to end with."""

    max_tokens: int = Field(default=4, ge=1, description="longest reply")
    look: Literal["whole", "whole_and_crop"] = Field(
        default="whole",
        description="whole photograph only, as in the paper, or its marked part enlarged, too",
    )


class ChatTargetJudge(ChatBackend[TargetQuestion, TargetVerdict]):
    """Asks about both conditions at once, as the paper does (Figure 19), so both fields of the verdict are equal."""

    role = "target_judge"
    Options = TargetJudgeOptions
    answering = SAMPLING | {"look"}
    choices = (NO, YES)

    @classmethod
    def parts(cls, options: TargetJudgeOptions, question: TargetQuestion) -> tuple[str | Picture, ...]:
        """Prompt, marked photograph, and the marked part enlarged where ``look`` says so."""
        prompt = load_prompt(cls.role)
        parts: list[str | Picture] = [prompt.text, prompt.sentence("whole"), question.marked]
        if options.look == "whole_and_crop":
            parts += [prompt.sentence("crop"), question.marked.crop(_window(question))]
        return tuple(parts)

    def read(self, reply: ChatReply, request: ChatRequest) -> TargetVerdict:
        """The digit; its probability is measured but decides nothing here."""
        keep = chosen(reply, request.choices) == YES
        probability = share_of(YES, request.choices, reply.logprobs)
        return TargetVerdict(
            precise=keep, hard=keep, measurements=(measured("keep_probability", probability, keep),)
        )


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
