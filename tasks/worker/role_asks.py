"""The asks that a worker passes to its stage: models of this process, or routes through the router."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from tasks.records.errors import AnswerMissing, SampleError
from tasks.records.records import ModelIdentity
from tasks.roles.answer_keys import answer_key
from tasks.roles.asks import Ask
from tasks.roles.backend import LocalBackend, ServedBackend
from tasks.roles.backends import BackendChoice
from tasks.roles.calls import Answered, RoleCall, Route
from tasks.roles.placement import HERE
from tasks.roles.questions import Question
from tasks.worker.engine import AT_WORK, Engine

A = TypeVar("A", bound=Answered | None)


class RouterClient(Protocol):
    """A client of the router: in this process, through Ray, or through the pipe of a trial."""

    async def kept(self, route: str, key: str, sid: str) -> Answered | None:
        """A usable kept answer, if there is one."""
        ...

    async def ask(self, call: RoleCall) -> Answered:
        """The answer, which is kept before it is returned.

        Raises:
            SampleError, EnvironmentFault, StageStopped: as `tasks.roles.router.Router.ask`.
        """
        ...


class HereAsk:
    """A reproducible model in this process."""

    def __init__(self, choice: BackendChoice, engine: Engine) -> None:
        self.identity: ModelIdentity = choice.identity
        self.prompts = choice.prompts
        self._role = choice.role
        self._engine = engine
        backend = choice.load()
        assert isinstance(backend, LocalBackend), "checked with the configuration"
        self._backend: LocalBackend[Any, Any] = backend

    async def __call__(self, question: Any) -> Any:
        """See `tasks.roles.asks.Ask`."""
        (answer,) = await self._engine.here(self._role, self._backend.answer, [question])
        if isinstance(answer, SampleError):
            raise answer
        return answer


class RoutedAsk:
    """A model elsewhere; its answers are kept, and the sample that asked depends on them."""

    def __init__(self, choice: BackendChoice, route: Route, engine: Engine, client: RouterClient) -> None:
        self.identity: ModelIdentity = choice.identity
        self.prompts = choice.prompts
        self._choice = choice
        self._route = route
        self._engine = engine
        self._client = client
        self._served: ServedBackend[Any, Any] | None = None
        if issubclass(choice.backend, ServedBackend):
            served = choice.load()
            assert isinstance(served, ServedBackend)
            self._served = served

    async def __call__(self, question: Question) -> Any:
        """See `tasks.roles.asks.Ask`."""
        key = await self._engine.cpu(answer_key, self._choice, self._route.served, question)
        sid = question.subject.partition("-")[0]
        try:
            answered = await self._noted(key, self._client.kept(self._route.name, key, sid))
        except AnswerMissing:
            await self._payload(question)  # a question that cannot be asked has no kept answer
            raise
        if answered is None:
            call = RoleCall(
                route=self._route.name,
                key=key,
                sid=sid,
                subject=question.subject,
                payload=await self._payload(question),
            )
            answered = await self._noted(key, self._client.ask(call))
        return answered.answer

    async def _payload(self, question: Question) -> Any:
        """The payload to send; encoded here, in many workers, and not in the single router.

        Raises:
            SampleError: the question cannot be asked.
        """
        return question if self._served is None else await self._engine.cpu(self._served.request, question)

    async def _noted(self, key: str, answering: Awaitable[A]) -> A:
        """Awaits an answer and records its key with the sample, also for a stored error."""
        try:
            answered = await answering
        except SampleError:
            self._note(key)
            raise
        if answered is not None:
            self._note(key)
        return answered

    def _note(self, key: str) -> None:
        if self._route.kept:
            AT_WORK.get().answers.add(key)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRoles:
    """Backends and routes for the roles of one stage; picklable.

    Attributes:
        choices: setting -> configured backend.
        routes: setting -> route, for those not answered in this process.
    """

    choices: Mapping[str, BackendChoice]
    routes: Mapping[str, Route]


def make_asks(roles: StageRoles, engine: Engine, client: RouterClient | None) -> dict[str, Ask[Any, Any]]:
    """Setting -> ask; models of this process are loaded immediately.

    Raises:
        ModelUnavailable, AssetUnavailable: one cannot be loaded.
    """
    asks: dict[str, Ask[Any, Any]] = {}
    for setting, choice in roles.choices.items():
        route = roles.routes.get(setting)
        if route is None:
            asks[setting] = HereAsk(choice, engine)
        else:
            assert client is not None, f"{setting} is not answered {HERE}, so there is a router"
            asks[setting] = RoutedAsk(choice, route, engine, client)
    return asks
