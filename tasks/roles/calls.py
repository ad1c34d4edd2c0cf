"""What goes into a router and comes out of it, and what it needs of those who keep answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from tasks.records.errors import FAILURES, SampleError
from tasks.roles.backends import BackendChoice
from tasks.roles.chat import ChatReply
from tasks.roles.placement import ServedModel
from tasks.storage.protocol.answer_files import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Questions that are answered by the same backend in the same place.

    Attributes:
        name: unique in its router.
        run: name of the pool or server.
        served: what that server runs, ``None`` for a pool.
    """

    name: str
    role: str
    choice: BackendChoice
    run: str
    served: ServedModel | None = None

    @property
    def kept(self) -> bool:
        """Its answers are stored before they are used, since asking again would give others."""
        return not self.choice.backend.reproducible


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleCall:
    """One question on its way.

    Attributes:
        route: name of the route.
        key: of the kept answer; equal keys mean equal questions.
        sid: id of the photograph, under which the answer is kept.
        subject: id of the sample, for messages.
        payload: the question for a pool, the `ServedRequest` for a server, or what stands for it until it is opened.
    """

    route: str
    key: str
    sid: str
    subject: str
    payload: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """An answer, the key it is kept under, and whether it had been given before."""

    answer: Any
    key: str
    kept: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What a pool or server gave: an answer, or the error why there is none; from a server with its last reply."""

    answer: Any = None
    error: SampleError | None = None
    reply: ChatReply | None = None

    @property
    def kind(self) -> Kind:
        """What is stored of it: an answer, a reply that holds none, or a failure of those who answer."""
        if self.error is None:
            return Kind.ANSWER
        replied = self.reply is not None or self.error.reason not in FAILURES
        return Kind.REFUSED if replied else Kind.FAILED


class Kept(Protocol):
    """A stored answer."""

    def unwrap(self) -> Any:
        """The answer, or `SampleError` with the stored reason why there is none."""
        ...


class AnswerKeeper(Protocol):
    """Finds and stores the answers of backends that do not repeat themselves (`tasks.roles.answers.KeptAnswers`)."""

    async def find(self, sid: str, role: str, key: str, *, subject: str = "") -> Kept | None:
        """The stored answer to use, or None when the question is to be asked."""
        ...

    async def put(
        self,
        sid: str,
        role: str,
        key: str,
        given: Any,
        *,
        run: str = "",
        reply: ChatReply | None = None,
    ) -> Kept:
        """Stores an answer or a `NoAnswer`, and gives what is stored now: this, or what another asker stored first."""
        ...
