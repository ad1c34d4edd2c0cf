"""Whether a server is the one that the configuration means: key, address, model, what the model really is."""

from __future__ import annotations

from dataclasses import dataclass

import httpx

from tasks.records.errors import ConfigurationError, ModelUnavailable
from tasks.roles.chat_http import Away, Refused, WrongServer, failure, transport_is_away
from tasks.roles.placement import ServerSettings


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
            response = await client.get(f"{url}/models")
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
