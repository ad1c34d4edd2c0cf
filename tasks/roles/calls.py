"""What goes into a router and comes out of it, and what it needs of those who keep answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

from tasks.records.errors import Reason, SampleError
from tasks.roles.backends import BackendChoice
from tasks.roles.chat import ChatReply
from tasks.roles.placement import ServedModel

Kind: TypeAlias = Literal["answer", "refused", "failed"]
"""``refused``: somebody replied, but not with an answer. ``failed``: nobody could reply."""


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
        payload: the question for a pool, the `ChatRequest` for a server, or what stands for it until it is opened.
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
class GivenAnswer:
    """What became of a question, as it is kept.

    Attributes:
        answer: of the role's type, for kind ``answer``.
        reason: why there is none, for the other kinds, with the ``detail`` that rows give.
        reply: what a server said, for people who want to know; ``None`` for pools.
    """

    kind: Kind
    answer: Any = None
    reason: Reason | None = None
    detail: str = ""
    reply: ChatReply | None = None

    @property
    def error(self) -> SampleError | None:
        """What the asker gets instead of an answer."""
        return None if self.reason is None else SampleError(self.reason, self.detail)


class AnswerKeeper(Protocol):
    """Finds and stores the answers of backends that do not repeat themselves."""

    async def find(self, route: Route, call: RoleCall) -> GivenAnswer | None:
        """The stored answer to be used for this question, if any; which round counts is the keeper's business."""
        ...

    async def put(self, route: Route, call: RoleCall, given: GivenAnswer) -> GivenAnswer:
        """Stores an answer unless another asker was faster; returns what is stored now."""
        ...
