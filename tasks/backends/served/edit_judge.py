"""Edit judge: the paper's two scores for a finished edit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from prompts import load_prompt
from tasks.backends.served.chat_backend import ChatBackend
from tasks.backends.served.options import SAMPLING, ServedOptions
from tasks.roles.chat import ChatReply, ChatRequest
from tasks.roles.picture import Picture
from tasks.roles.questions import EditJudgeQuestion, EditScores
from tasks.roles.replies import fitted, json_object

ACCURACY, SEAMLESSNESS = "RegionEditAccuracy", "SeamlessQuality"
LOWEST, HIGHEST = 1.0, 5.0


def _number(value: object) -> object:
    """A number, or one written as a string; lists and truth values are none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        msg = "expected a number"
        raise ValueError(msg)  # noqa: TRY004 - what pydantic makes an error of this field
    return value


Score = Annotated[float, BeforeValidator(_number), Field(ge=LOWEST, le=HIGHEST, allow_inf_nan=False)]


class _Scores(BaseModel):
    model_config = ConfigDict(extra="forbid")

    accuracy: Score = Field(alias="RegionEditAccuracy")
    seamlessness: Score = Field(alias="SeamlessQuality")


class EditJudgeOptions(ServedOptions):
    """Two numbers; what is too low is for the stage to say."""

    max_tokens: int = Field(default=80, ge=1, description="longest reply")
    look: Literal["whole", "whole_and_crop"] = Field(
        default="whole",
        description="whole pictures only, as in the paper, or the edited window enlarged, too",
    )


class BeforeAndAfter(ChatBackend[EditJudgeQuestion, EditScores]):
    """What judges of edits are shown: both pictures with the same red box, and the instruction."""

    Options = EditJudgeOptions
    answering = SAMPLING | {"look"}

    @classmethod
    def pictures(cls, options: EditJudgeOptions) -> int:
        """See `ServedBackend.pictures`."""
        return 4 if options.look == "whole_and_crop" else 2

    @classmethod
    def parts(cls, options: EditJudgeOptions, question: EditJudgeQuestion) -> tuple[str | Picture, ...]:
        """Prompt, before, after, both windows where ``look`` says so, the instruction."""
        prompt = load_prompt(cls.prompt)
        before, after = question.source_boxed, question.edited_boxed
        parts: list[str | Picture] = [prompt.text, prompt.sentence("before"), before]
        parts += [prompt.sentence("after"), after]
        if options.look == "whole_and_crop":
            parts += [prompt.sentence("before_crop"), before.crop(question.crop)]
            parts += [prompt.sentence("after_crop"), after.crop(question.crop)]
        asked = prompt.sentence("ask", edit_type=question.edit_type.value, instruction=question.instruction)
        return (*parts, asked)


class ChatEditJudge(BeforeAndAfter):
    """Gives the paper's two scores (Figure 20, lower part)."""

    role = "edit_judge"

    @classmethod
    def schema(cls, options: EditJudgeOptions, question: EditJudgeQuestion) -> Mapping[str, Any]:
        """Two numbers from 1 to 5 with one decimal, listed: not every server holds a number to a range."""
        del options, question
        number = {"type": "number", "enum": [tenth / 10 for tenth in range(10, 51)]}
        return {
            "title": cls.role,
            "type": "object",
            "properties": {ACCURACY: number, SEAMLESSNESS: number},
            "required": [ACCURACY, SEAMLESSNESS],
            "additionalProperties": False,
        }

    def read(self, reply: ChatReply, request: ChatRequest) -> EditScores:
        """Both scores; one out of range is no score and is asked for again, never clamped."""
        del request
        scores = fitted(json_object(reply), _Scores)
        return EditScores(
            accuracy=round(scores.accuracy, 4), seamlessness=round(scores.seamlessness, 4), measurements=()
        )
