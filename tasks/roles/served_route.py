"""A question for a server: its request is put, and put again with the reason when nobody can read the reply."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, TypeAlias, cast

from tasks.records.errors import Reason, SampleError
from tasks.roles.backend import ServedBackend
from tasks.roles.calls import Given, Route
from tasks.roles.chat import BadReply, ChatReply, ChatRequest, ServedRequest
from tasks.roles.chat_http import Complaint
from tasks.roles.image_edits import PictureReply
from tasks.roles.route_counts import RouteCounts
from tasks.roles.servers import Server

FindServer: TypeAlias = Callable[[], Server]
"""The server that takes a question now; one that the build starts is started by being looked for."""

OpenRequest: TypeAlias = Callable[[Any], Awaitable[ServedRequest]]
"""The request in a payload for a server; raises `OwnerDied` when it is gone."""

APOLOGY_REPEATS = 1
"""How often a model that declines is asked again; more rarely changes its mind."""

ENDLESS = frozenset({"degenerate", "cut_off"})
"""Codes of replies that a greedy model would end in the same way again."""

LOOP_TEMPERATURE, LOOP_PENALTY = 0.7, 1.0
"""Least temperature and presence penalty of the question after such a reply."""


async def as_it_is(payload: Any) -> ServedRequest:
    """For payloads that are the requests themselves."""
    return cast("ServedRequest", payload)


class ServedRoute:
    """A route of which the questions go to a server.

    Args:
        route: whose backend reads the replies.
        find_server: gives the server, which is shared with other routes.
        counts: of the route.
        open_request: what a payload is turned into before it is sent.
    """

    def __init__(
        self, route: Route, find_server: FindServer, counts: RouteCounts, open_request: OpenRequest
    ) -> None:
        self._route = route
        self._find_server = find_server
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
        server = self._find_server()
        request = await self._open(payload)
        asked, complaint = request, None
        repeats = server.settings.bad_replies
        for repeat in range(repeats + 1):
            try:
                reply = await server.ask(asked, self._counts, complaint)
            except SampleError as error:
                return Given(error=error.with_traceback(None))
            if isinstance(reply, PictureReply):  # decoding takes too long for the event loop
                answer = await asyncio.to_thread(self._read, self._backend, reply, request)
            else:
                answer = self._read(self._backend, reply, request)
            if not isinstance(answer, BadReply):
                return answer
            if answer.code == "apology" and repeat >= APOLOGY_REPEATS:
                break
            if repeat < repeats:
                self._counts.asked_again += 1
                complaint = Complaint(reply.text, request.repeated(answer)) if request.again else None
                asked = _varied(request, answer, repeat)
        assert isinstance(answer, BadReply), "a reply was asked for at least once"
        reason = Reason.REFUSED_BY_MODEL if answer.code == "apology" else Reason.BAD_REPLY
        return Given(error=SampleError(reason, str(answer)), reply=reply)

    def _read(
        self, backend: ServedBackend[Any, Any], reply: ChatReply, request: ServedRequest
    ) -> Given | BadReply:
        try:
            return Given(answer=backend.read(reply, request), reply=reply)
        except BadReply as bad:
            return bad
        except SampleError as error:
            return Given(error=error.with_traceback(None), reply=reply)
        except Exception as error:  # a mistake of the parser about one reply
            log = logging.getLogger(f"servers.{self._route.run}")
            log.warning("%s: the reply could not be read", self._route.name, exc_info=error)
            return Given(error=SampleError(Reason.BACKEND_ERROR, type(error).__name__))


def _varied(request: ServedRequest, bad: BadReply, repeat: int) -> ServedRequest:
    """The request as it is put again: the same words with the same seed may well bring the same reply."""
    varied = replace(request, seed=request.seed + repeat + 1)
    if bad.code not in ENDLESS or not isinstance(varied, ChatRequest) or varied.choices:
        return varied
    sampling: Mapping[str, Any] = {
        **varied.sampling,
        "temperature": max(LOOP_TEMPERATURE, varied.sampling.get("temperature", 0.0)),
        "presence_penalty": max(LOOP_PENALTY, varied.sampling.get("presence_penalty", 0.0)),
    }
    return replace(varied, sampling=sampling)
