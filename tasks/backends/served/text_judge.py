"""Text judge: do instruction and reasoning agree with the marked target and with each other."""

from __future__ import annotations

from pydantic import Field

from prompts import load_prompt
from tasks.backends.served.chat_backend import ChatBackend
from tasks.backends.served.measured import measured
from tasks.backends.served.options import ServedOptions
from tasks.backends.served.yes_no import NO, YES
from tasks.roles.chat import ChatReply, ChatRequest
from tasks.roles.picture import Picture
from tasks.roles.questions import TextQuestion, TextVerdict
from tasks.roles.replies import chosen, share_of


class TextJudgeOptions(ServedOptions):
    """One digit is all that is wanted; the server may need a token to end with."""

    max_tokens: int = Field(default=4, ge=1, description="longest reply")


class ChatTextJudge(ChatBackend[TextQuestion, TextVerdict]):
    """Looks for mistakes in finished words; best served by another model than the one that wrote them."""

    role = "text_judge"
    Options = TextJudgeOptions
    choices = (NO, YES)

    @classmethod
    def pictures(cls, options: TextJudgeOptions) -> int:
        """See `ServedBackend.pictures`."""
        del options
        return 1

    @classmethod
    def parts(cls, options: TextJudgeOptions, question: TextQuestion) -> tuple[str | Picture, ...]:
        """Prompt, marked photograph, the words."""
        del options
        prompt = load_prompt(cls.role)
        words = question.reasoning
        asked = prompt.sentence(
            "ask",
            edit_type=question.edit_type.value,
            instruction=question.instruction,
            scene=words.scene_description,
            localization=words.target_localization,
            editing=words.editing_description,
            result=words.post_edit_description,
        )
        return (prompt.text, question.marked, asked)

    def read(self, reply: ChatReply, request: ChatRequest) -> TextVerdict:
        """P(no mistake), or 0 or 1 from a server that reports no probabilities."""
        agrees = chosen(reply, request.choices) == YES
        probability = share_of(YES, request.choices, reply.places[0]) if reply.places else None
        return TextVerdict(
            agreement=float(agrees) if probability is None else round(probability, 4),
            measurements=(measured("agreement_probability", probability, agrees),),
        )
