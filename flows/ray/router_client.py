"""A Ray worker's client of the build's router."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import ray
from ray.exceptions import RayActorError, RayTaskError

from tasks.records.errors import EnvironmentFault
from tasks.roles.calls import Answered, RoleCall
from tasks.roles.questions import Question


class RayRouterClient:
    """Questions pass the router as references: their pictures go from the worker's store to the replica's, once."""

    def __init__(self, router: Any) -> None:
        self._router = router

    async def kept(self, route: str, key: str, sid: str) -> Answered | None:
        """See `tasks.worker.role_asks.RouterClient`."""
        found: Answered | None = await _result(self._router.kept.remote(route, key, sid))
        return found

    async def ask(self, call: RoleCall) -> Answered:
        """See `tasks.worker.role_asks.RouterClient`."""
        payload = call.payload
        if isinstance(payload, Question):
            # In a list, since Ray would resolve a bare reference for the router. Serializing must not block the loop.
            payload = [await asyncio.to_thread(ray.put, payload)]
        answered: Answered = await _result(self._router.ask.remote(replace(call, payload=payload)))
        return answered


async def _result(ref: Any) -> Any:
    try:
        return await ref
    except RayTaskError as error:
        raise error.cause from error
    except RayActorError as error:
        msg = "the router of the build is gone"
        raise EnvironmentFault(msg) from error
