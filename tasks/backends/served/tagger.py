"""Tagger: names of countable things in a photograph, as noun phrases for a detector that reads language."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictStr

from prompts import load_prompt
from tasks.backends.served.chat_backend import ChatBackend
from tasks.backends.served.options import ServedOptions
from tasks.records.records import Tag
from tasks.roles.chat import ChatReply, ChatRequest
from tasks.roles.picture import Picture
from tasks.roles.questions import TagQuestion
from tasks.roles.replies import fitted, json_object

MOST_CHARACTERS, MOST_WORDS = 40, 4
"""A longer name is a description, and detectors look for short noun phrases."""

SCORE = 1.0
"""Of every tag: the model says that the thing is there and gives no probability, and none is made up from the order."""

_ARTICLE = re.compile(r"^(?:an?|the|some)\s+(?=\S)")
_NAME = re.compile(r"[^\W\d_][\w' &-]*")


def _name(text: str) -> str:
    """A name as it is given to a detector: lower case, without article, underscores and full stop."""
    name = " ".join(text.replace("_", " ").lower().split()).rstrip(".")
    name = _ARTICLE.sub("", name)
    if len(name) > MOST_CHARACTERS or len(name.split()) > MOST_WORDS or not _NAME.fullmatch(name):
        msg = "expected a short name"
        raise ValueError(msg)
    return name


class _Things(BaseModel):
    model_config = ConfigDict(extra="forbid")

    things: list[Annotated[StrictStr, AfterValidator(_name)]]


class TaggerOptions(ServedOptions):
    """A list of short names."""

    max_tokens: int = Field(default=400, ge=1, description="longest reply")
    max_tags: int = Field(default=20, ge=1, le=100, description="kinds asked for, and names kept")


class ChatTagger(ChatBackend[TagQuestion, tuple[Tag, ...]]):
    """Sees the photograph alone. Its names keep their order, in which the model was asked to put them."""

    role = "tagger"
    Options = TaggerOptions
    options: TaggerOptions

    @classmethod
    def pictures(cls, options: TaggerOptions) -> int:
        """See `ServedBackend.pictures`."""
        del options
        return 1

    @classmethod
    def parts(cls, options: TaggerOptions, question: TagQuestion) -> tuple[str | Picture, ...]:
        """Prompt, how many names, photograph."""
        prompt = load_prompt(cls.role)
        return (prompt.text, prompt.sentence("ask", count=options.max_tags), question.picture)

    @classmethod
    def schema(cls, options: TaggerOptions, question: TagQuestion) -> Mapping[str, Any]:
        """A list of short strings; bounded, since a model that goes round would fill it for ever."""
        del question
        name = {"type": "string", "minLength": 1, "maxLength": MOST_CHARACTERS}
        return {
            "title": cls.role,
            "type": "object",
            "properties": {"things": {"type": "array", "items": name, "maxItems": options.max_tags}},
            "required": ["things"],
            "additionalProperties": False,
        }

    def read(self, reply: ChatReply, request: ChatRequest) -> tuple[Tag, ...]:
        """Each name once, ``max_tags`` at most; none is an answer, too."""
        del request
        names = dict.fromkeys(fitted(json_object(reply), _Things).things)
        return tuple(Tag(name=name, score=SCORE) for name in list(names)[: self.options.max_tags])
