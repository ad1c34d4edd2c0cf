"""The contract of a backend: a model behind a role.

A backend class says, without loading anything, who would answer (`Backend.identity_of`), which of its options change
an answer, which prompt files it reads and whether it repeats itself to the bit. An instance is loaded and answers.

There are two kinds. A `LocalBackend` computes: in the worker's process (``run: here``, reproducible ones only) or in an
actor with a GPU (``run: <pool>``). A `ServedBackend` phrases requests for a server and reads its replies
(``run: <server>``); who sends them, when, and how often is not its business.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar

from tasks.records.errors import SampleError
from tasks.records.records import ModelIdentity
from tasks.records.settings_base import Settings
from tasks.roles.chat import ServedRequest
from tasks.roles.questions import Question

Q = TypeVar("Q", bound=Question)
A = TypeVar("A")


class Backend(ABC, Generic[Q, A]):
    """What both kinds declare.

    Attributes:
        Options: the settings class of its options; all have defaults.
        answering: names of the options that change an answer; the others (thresholds applied afterwards, threads) stay
            out of the key of a kept answer. All of them are part of the stage's digest.
        idle: names of the options that can change no result at all (a folder, a device, a number of threads); they stay
            out of the stage's digest as well.
        reproducible: equal questions get equal bytes, in any order, batch, process and number of threads. Answers of a
            backend that is not reproducible are kept (`tasks.roles.answers`).
        wire: raised when the same question is put to the model differently, so that older answers are not reused.
        prompts: names of the files in ``prompts/`` that it reads; part of the stage's digest and of provenance.
        offer: of an editor or inpainter, ``module:Class`` of its `tasks.roles.offers.Offer`.
    """

    Options: ClassVar[type[Settings]]
    answering: ClassVar[frozenset[str]]
    idle: ClassVar[frozenset[str]] = frozenset()
    reproducible: ClassVar[bool]
    wire: ClassVar[int]
    prompts: ClassVar[tuple[str, ...]] = ()
    offer: ClassVar[str] = ""

    @classmethod
    @abstractmethod
    def identity_of(cls, options: Any) -> ModelIdentity:
        """Who answers with these options; reads at most a lock file and short lists, never weights.

        Raises:
            ConfigurationError: the options name a model whose revision or digest is not known.
        """

    @classmethod
    def sent(cls, options: Any, question: Q) -> Mapping[str, Any]:
        """What of the question reaches the model, as JSON values: goes into the key of a kept answer.

        Texts stand in it exactly as they are sent, pictures by their recipes. The default is all of the question's
        material.
        """
        del options
        return question.material()


class LocalBackend(Backend[Q, A]):
    """A model in this process."""

    @abstractmethod
    def answer(self, questions: Sequence[Q]) -> Sequence[A | SampleError]:
        """One answer or error per question, in order; one bad question leaves its neighbors alone.

        A reproducible backend is called with one question at a time, from one thread.

        Raises:
            EnvironmentFault: the model itself is in trouble.
        """


class ServedBackend(Backend[Q, A]):
    """A model behind an HTTP server; all methods are pure."""

    reproducible = False

    @classmethod
    def pictures(cls, options: Any) -> int:
        """How many pictures a request holds; 0: words alone. A server is checked for them before any work."""
        del options
        return 0

    @abstractmethod
    def request(self, question: Q) -> ServedRequest:
        """The question as it is sent. Encodes pictures, so it runs where CPU time is.

        Raises:
            SampleError: the question cannot be put (a picture too small for the model).
        """

    @abstractmethod
    def read(self, reply: Any, request: Any) -> A:
        """The answer in a reply; the kind of request says which kind of reply that is (`tasks.roles.wires`).

        Raises:
            BadReply: no answer can be read from it; the server is asked again with the reason.
            SampleError: the model declined in the agreed form.
        """
