"""Whether a server is the one that the configuration means: key, address, model, and whether it reads pictures."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

import httpx
import numpy as np

from tasks.imaging.pixels import encode_png
from tasks.records.errors import ConfigurationError, ModelUnavailable
from tasks.roles.backend import ServedBackend
from tasks.roles.calls import Route
from tasks.roles.chat import ChatPicture, ChatReply, ChatRequest
from tasks.roles.chat_http import Away, Refused, WrongServer, failure, transport_is_away
from tasks.roles.placement import ServerSettings

MAYBE_BLIND = frozenset({500, 501})
"""Statuses by which some servers refuse pictures (llama.cpp: 500, "image input is not supported")."""

CHECK_S = 30.0
"""Longest wait for a list of models, which costs a server nothing; its answers may take far longer (``timeout_s``)."""

TRIAL_SIDE = 64
"""Sides of the trial picture, pixels: a few patches of any vision model."""

Put: TypeAlias = Callable[[ChatRequest], Awaitable[ChatReply]]
"""Puts a request to one URL; raises `Away`, `Refused` or `WrongServer`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFacts:
    """What a URL says about its model; empty or 0 where it says nothing."""

    url: str
    root: str
    context_length: int


async def facts_of(
    name: str, settings: ServerSettings, url: str, client: httpx.AsyncClient, api_key: str = ""
) -> ServerFacts:
    """Asks one URL of a server for its models.

    Args:
        name: of the server in the configuration.
        settings: what is expected of it.
        url: base URL.
        client: with the key in its headers.
        api_key: to be taken out of messages.

    Raises:
        ConfigurationError: key, address, model id, root or context length are not those configured.
        ModelUnavailable: no answer.
    """
    where = f"servers.{name}"
    model = settings.model
    try:
        with transport_is_away():
            response = await client.get(f"{url}/models", timeout=min(CHECK_S, settings.timeout_s))
            if response.status_code != httpx.codes.OK:
                raise failure(response.status_code, response.headers, response.text, api_key)
        listed = {str(item["id"]): item for item in response.json()["data"]}
    except Away as away:
        msg = f"{where}: {url} does not answer ({away})"
        raise ModelUnavailable(msg) from away
    except (Refused, WrongServer) as wrong:
        key = "api_key_env" if str(wrong).startswith(("status 401", "status 403")) else "urls"
        value = settings.api_key_env if key == "api_key_env" else url
        msg = f"{where}.{key}: {value!r}: {url}/models gives {wrong}"
        raise ConfigurationError(msg) from wrong
    except (ValueError, KeyError, TypeError) as error:
        msg = (
            f"{where}.urls: {url!r}: {url}/models gives no list of models; expected a base URL ending in /v1"
        )
        raise ConfigurationError(msg) from error
    if model.id not in listed:
        there = ", ".join(sorted(listed)) or "none"
        msg = f"{where}.model.id: {model.id!r} is not served at {url} (there: {there})"
        raise ConfigurationError(msg)
    facts = ServerFacts(
        url=url,
        root=str(listed[model.id].get("root") or ""),
        context_length=int(listed[model.id].get("max_model_len") or 0),
    )
    if model.root and facts.root != model.root:
        msg = f"{where}.model.root: {model.root!r}, but {url} serves {model.id!r} from {facts.root!r}"
        raise ConfigurationError(msg)
    if 0 < facts.context_length < model.context_length:
        msg = f"{where}.model.context_length: {model.context_length}, but {url} takes {facts.context_length} tokens"
        raise ConfigurationError(msg)
    return facts


def pictures_sent(routes: Iterable[Route], run: str) -> dict[str, int]:
    """Role -> most pictures in one of its requests, for the routes that the server ``run`` answers."""
    found: dict[str, int] = {}
    for route in routes:
        backend = route.choice.backend
        if route.run == run and issubclass(backend, ServedBackend):
            count = backend.pictures(route.choice.options)
            if count:
                found[route.role] = max(count, found.get(route.role, 0))
    return found


async def check_pictures(
    name: str, settings: ServerSettings, url: str, roles: Mapping[str, int], put: Put
) -> None:
    """Asks a URL one small question with as many pictures as its roles send; the answer is not kept.

    A server without eyes refuses each such question, some with a status that else means an outage. Found here, it is a
    wrong configuration and not a failure of every sample.

    Args:
        name: of the server in the configuration.
        settings: what is expected of it.
        url: base URL.
        roles: as `pictures_sent`; nothing is asked when it is empty.
        put: sends a request.

    Raises:
        ConfigurationError: it refuses pictures, or answers as another model.
        ModelUnavailable: no answer.
    """
    if not roles:
        return
    where = f"servers.{name}"
    trial = trial_request(max(roles.values()))
    try:
        try:
            await put(trial)
        except Away as away:
            # Such a status may be about the pictures or about the server; a question without pictures tells.
            if away.status not in MAYBE_BLIND:
                raise
            await _put_words(put)
            await put(trial)
    except Away as away:
        if away.status in MAYBE_BLIND:
            raise _blind(where, settings, url, roles, away) from away
        msg = f"{where}: {url} does not answer ({away})"
        raise ModelUnavailable(msg) from away
    except Refused as refused:
        raise _blind(where, settings, url, roles, refused) from refused
    except WrongServer as wrong:
        msg = f"{where}.model.id: {settings.model.id!r}: {url}: {wrong}"
        raise ConfigurationError(msg) from wrong


def trial_request(pictures: int) -> ChatRequest:
    """The smallest request with that many pictures."""
    return ChatRequest(
        parts=(*[_trial_picture()] * pictures, "."),
        sampling={"temperature": 0, "max_tokens": 1},
        seed=0,
    )


@cache
def _trial_picture() -> ChatPicture:
    gray = np.full((TRIAL_SIDE, TRIAL_SIDE, 3), 127, np.uint8)
    return ChatPicture(data=encode_png(gray), media_type="image/png", recipe={"trial": TRIAL_SIDE})


async def _put_words(put: Put) -> None:
    """A question without pictures; raises `Away` without a status, if a server in trouble does not answer it either."""
    try:
        await put(trial_request(0))
    except Away as away:
        raise Away(away.words) from away
    except Refused:
        pass  # it works well enough to refuse this one


def _blind(
    where: str, settings: ServerSettings, url: str, roles: Mapping[str, int], why: Exception
) -> ConfigurationError:
    sent = ", ".join(f"{role} sends {count}" for role, count in sorted(roles.items()))
    most = max(roles.values())
    pictures = "1 picture" if most == 1 else f"{most} pictures"
    return ConfigurationError(
        f"{where}.model.id: {settings.model.id!r} at {url} refuses a question with {pictures} ({why}); {sent}: name a "
        "model that reads as many, or let these roles run on another server"
    )
