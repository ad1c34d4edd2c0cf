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

    Attributes:
        role: whose questions it takes.
        backend: its name in the table of backends.
        prompt: its file in ``prompts/``; the role's name unless stated.
        further_prompts: other files that it reads.
        choices: words that the reply, or each value of its object, is limited to.
    """

    Options: ClassVar[type[ServedOptions]] = ServedOptions
    answering: ClassVar[frozenset[str]] = SAMPLING
    wire: ClassVar[int] = 1
    role: ClassVar[str]
    backend: ClassVar[str] = "chat"
    prompt: ClassVar[str] = ""
    further_prompts: ClassVar[tuple[str, ...]] = ()
    choices: ClassVar[tuple[str, ...]] = ()

    def __init__(self, options: ServedOptions) -> None:
        self.options = options

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "role" in cls.__dict__:
            cls.prompt = cls.__dict__.get("prompt", cls.role)
            cls.prompts = (cls.prompt, AGAIN, APOLOGIES, *cls.further_prompts)

    @classmethod
    @abstractmethod
    def parts(cls, options: Any, question: Q) -> tuple[str | Picture, ...]:
        """Texts and pictures in the order they are sent.

        The words that are the same for all questions come first, so that a server can keep their computation.
        """

    @classmethod
    def schema(cls, options: Any, question: Q) -> Mapping[str, Any] | None:
        """JSON schema of the reply; ``None`` for free text. By default a number out of `choices`, where there are some.

        A bare number needs no quotes, so its probability is that of one token. Servers of ``fields: openai`` take the
        schema of an object only and are told in the prompt alone.
        """
        del question
        if not cls.choices or options.fields != "vllm":
            return None
        return {"type": "integer", "enum": [int(choice) for choice in cls.choices]}

    @classmethod
    def context(cls, options: Any, question: Q) -> Mapping[str, Any]:
        """What `read` must know of the question."""
        del options, question
        return {}

    @classmethod
    def size_rule(cls, options: Any) -> SizeRule:
        """The size at which pictures are sent."""
        return SizeRule.of(options.picture_pixels, options.picture_format)

    @classmethod
    def identity_of(cls, options: ServedOptions) -> ModelIdentity:
        """The server's model.

        Raises:
            ConfigurationError: the role runs on no server.
        """
        if options.served is None:
            msg = f"{cls.role}: backend {cls.backend!r} needs a server; set its run to a name out of servers"
            raise ConfigurationError(msg)
        return ModelIdentity(
            role=cls.role,
            backend=cls.backend,
            model=options.served.id,
            revision=options.served.revision,
            digest="none",
        )

    @classmethod
    def sent(cls, options: ServedOptions, question: Q) -> Mapping[str, Any]:
        """Texts as they are sent, pictures by recipe and size rule, the form of the reply; encodes nothing."""
        rule = cls.size_rule(options)
        return {
            "parts": [
                part if isinstance(part, str) else rule.recipe(part) for part in cls.parts(options, question)
            ],
            "schema": cls.schema(options, question),
            "choices": list(cls.choices),
        }

    def request(self, question: Q) -> ChatRequest:
        """See `ServedBackend.request`."""
        rule = self.size_rule(self.options)
        parts = self.parts(self.options, question)
        again = load_prompt(AGAIN)
        return ChatRequest(
            parts=tuple(part if isinstance(part, str) else rule.encoded(part) for part in parts),
            sampling=self.options.sampling(),
            seed=question.seed,
            schema=self.schema(self.options, question),
            choices=self.choices,
            again=again.text.strip(),
            reasons=dict(again.sentences),
            context=self.context(self.options, question),
        )
