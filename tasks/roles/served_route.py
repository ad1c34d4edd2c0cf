"""A question for a server: its request is put, and put again with the reason when nobody can read the reply."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, TypeAlias, cast

from tasks.records.errors import Reason, SampleError
from tasks.roles.backend import ServedBackend
from tasks.roles.calls import Given, Route
from tasks.roles.chat import BadReply, ChatReply, ChatRequest
from tasks.roles.chat_http import Complaint
from tasks.roles.route_counts import RouteCounts
from tasks.roles.servers import Server

OpenRequest: TypeAlias = Callable[[Any], Awaitable[ChatRequest]]
"""The request in a payload for a server; raises `OwnerDied` when it is gone."""


async def as_it_is(payload: Any) -> ChatRequest:
    """For payloads that are the requests themselves."""
    return cast("ChatRequest", payload)


class ServedRoute:
    """A route of which the questions go to a server.

    Args:
        route: whose backend reads the replies.
        server: shared with other routes.
        counts: of the route.
        open_request: what a payload is turned into before it is sent.
    """

    def __init__(self, route: Route, server: Server, counts: RouteCounts, open_request: OpenRequest) -> None:
        self._route = route
        self._server = server
        self._counts = counts
        self._open = open_request
        self._backend: ServedBackend[Any, Any] | None = None

    async def ask(self, payload: Any) -> Given:
        """What the server gave: an answer, or in `Given.error` why there is none.

        Raises:
            OwnerDied: the payload is gone.
            EnvironmentFault: the server is away for too long, or is not the one configured.
        """
        if self._backend is None:
            self._backend = cast("ServedBackend[Any, Any]", self._route.choice.load())
        request = await self._open(payload)
        asked, complaint = request, None
        repeats = self._server.settings.bad_replies
        for repeat in range(repeats + 1):
            try:
                reply = await self._server.chat(asked, self._counts, complaint)
            except SampleError as error:
                return Given(error=error.with_traceback(None))
            answer = self._read(self._backend, reply, request)
            if not isinstance(answer, BadReply):
                return answer
            if repeat < repeats:
                self._counts.asked_again += 1
                complaint = Complaint(reply.text, request.repeated(answer)) if request.again else None
                # Another seed: the same words with the same seed may well bring the same reply.
                asked = replace(request, seed=request.seed + repeat + 1)
        assert isinstance(answer, BadReply), "a reply was asked for at least once"
        reason = Reason.REFUSED_BY_MODEL if answer.code == "apology" else Reason.BAD_REPLY
        return Given(error=SampleError(reason, str(answer)), reply=reply)

    def _read(
        self, backend: ServedBackend[Any, Any], reply: ChatReply, request: ChatRequest
    ) -> Given | BadReply:
        try:
            return Given(answer=backend.read(reply, request), reply=reply)
        except BadReply as bad:
            return bad
        except SampleError as error:
            return Given(error=error.with_traceback(None), reply=reply)
        except Exception as error:  # a mistake of the parser about one reply
            log = logging.getLogger(f"servers.{self._server.name}")
            log.warning("%s: the reply could not be read", self._route.name, exc_info=error)
            return Given(error=SampleError(Reason.BACKEND_ERROR, type(error).__name__))
