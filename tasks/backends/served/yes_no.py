"""Questions that are answered by 1 for yes and 0 for no, several in one JSON object, each with its probability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict

from tasks.roles.chat import ChatReply
from tasks.roles.replies import fitted, json_object, share_of

NO, YES = "0", "1"


def _digit(value: object) -> int:
    """0 or 1, as a number or as a string; truth values and words are neither."""
    if not isinstance(value, bool) and value in (0, 1, NO, YES):
        return 1 if value in (1, YES) else 0
    msg = "expected 0 or 1"
    raise ValueError(msg)


Digit = Annotated[int, BeforeValidator(_digit)]


class Answers(BaseModel):
    """The base of an object of answers: its fields are the questions, each a `Digit`."""

    model_config = ConfigDict(extra="forbid")


A = TypeVar("A", bound=Answers)


def answers_schema(title: str, questions: Sequence[str]) -> Mapping[str, Any]:
    """JSON schema of an object with 0 or 1 for each question."""
    return {
        "title": title,
        "type": "object",
        "properties": {name: {"type": "integer", "enum": [int(NO), int(YES)]} for name in questions},
        "required": list(questions),
        "additionalProperties": False,
    }


def read_answers(reply: ChatReply, answers: type[A]) -> tuple[A, dict[str, float | None]]:
    """The answers in a reply, and for each question P(yes), or None where the server reports no probabilities.

    Servers report the model before any schema limits it, so each probability is taken over 0 and 1 alone. A model reads
    its earlier answers when it gives a later one.

    Raises:
        SampleError, BadReply: as `json_object` and `fitted`.
    """
    data = json_object(reply)
    given = fitted(data, answers)
    questions = list(answers.model_fields)
    # In any other order, or with digits elsewhere in the reply, nobody knows which place is whose.
    known = list(data) == questions and len(reply.places) == len(questions)
    places = reply.places if known else ({},) * len(questions)
    return given, {
        name: share_of(YES, (NO, YES), place) for name, place in zip(questions, places, strict=True)
    }
