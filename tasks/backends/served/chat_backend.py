"""What all chat roles share: the parts of a question make both the request and the key of a kept answer."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Generic, TypeVar

from prompts import load_prompt
from tasks.backends.served.options import SAMPLING, ServedOptions
from tasks.backends.served.pictures import SizeRule
from tasks.records.errors import ConfigurationError
from tasks.records.records import ModelIdentity
from tasks.roles.backend import ServedBackend
from tasks.roles.chat import ChatRequest
from tasks.roles.picture import Picture
from tasks.roles.questions import Question
from tasks.roles.replies import APOLOGIES

AGAIN = "again"
"""Prompt file with the sentence for a retry, and with a sentence for each code of a bad reply."""

Q = TypeVar("Q", bound=Question)
A = TypeVar("A")


class ChatBackend(ServedBackend[Q, A], Generic[Q, A]):
    """One user turn to a chat model, one reply.

    A role states its `parts` once; `sent` names them for the key and `request` encodes them, so the two cannot differ.
    """

    Options: ClassVar[type[ServedOptions]] = ServedOptions
    answering: ClassVar[frozenset[str]] = SAMPLING
    wire: ClassVar[int] = 1
    role: ClassVar[str]
    further_prompts: ClassVar[tuple[str, ...]] = ()
    choices: ClassVar[tuple[str, ...]] = ()

    def __init__(self, options: ServedOptions) -> None:
        self.options = options

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "role" in cls.__dict__:
            cls.prompts = (cls.role, AGAIN, APOLOGIES, *cls.further_prompts)

    @classmethod
    @abstractmethod
    def parts(cls, options: Any, question: Q) -> tuple[str | Picture, ...]:
        """Texts and pictures in the order they are sent.

        The words that are the same for all questions come first, so that a server can keep their computation.
        """

    @classmethod
    def schema(cls, question: Q) -> Mapping[str, Any] | None:
        """JSON schema of the reply; ``None`` for free text."""
        del question
        return None

    @classmethod
    def context(cls, question: Q) -> Mapping[str, Any]:
        """What `read` must know of the question."""
        del question
        return {}

    @classmethod
    def identity_of(cls, options: ServedOptions) -> ModelIdentity:
        """The server's model.

        Raises:
            ConfigurationError: the role runs on no server.
        """
        if options.served is None:
            msg = f"{cls.role}: backend 'chat' needs a server; set its run to a name out of servers"
            raise ConfigurationError(msg)
        return ModelIdentity(
            role=cls.role,
            backend="chat",
            model=options.served.id,
            revision=options.served.revision,
            digest="none",
        )

    @classmethod
    def sent(cls, options: ServedOptions, question: Q) -> Mapping[str, Any]:
        """Texts as they are sent, pictures by recipe and size rule, the form of the reply; encodes nothing."""
        rule = _size_rule(options)
        return {
            "parts": [
                part if isinstance(part, str) else rule.recipe(part) for part in cls.parts(options, question)
            ],
            "schema": cls.schema(question),
            "choices": list(cls.choices),
        }

    def request(self, question: Q) -> ChatRequest:
        """See `ServedBackend.request`."""
        rule = _size_rule(self.options)
        parts = self.parts(self.options, question)
        again = load_prompt(AGAIN)
        return ChatRequest(
            parts=tuple(part if isinstance(part, str) else rule.encoded(part) for part in parts),
            sampling=self.options.sampling(self.choices),
            seed=question.seed,
            schema=self.schema(question),
            choices=self.choices,
            again=again.text.strip(),
            reasons=dict(again.sentences),
            context=self.context(question),
        )


def _size_rule(options: ServedOptions) -> SizeRule:
    return SizeRule.of(options.max_pixels, options.picture_format)
