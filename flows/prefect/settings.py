"""Which Prefect server a build reports to: the one of Prefect's own settings, else one of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from flows.prefect.server import WITHOUT, default_home
from tasks.records.errors import ConfigurationError, EnvironmentFault, first_line

API_URL = "PREFECT_API_URL"

CHECK_S = 15
"""Longest wait for a server that is asked whether it is there."""

FILES = (".env", "prefect.toml", "pyproject.toml")
"""Files of the current folder in which Prefect looks for settings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenServer:
    """A server that runs already: the URL of its API, and what names it."""

    url: str
    origin: str


def given_server(environment: Mapping[str, str] | None = None) -> GivenServer | None:
    """The server of Prefect's settings: a variable, a file in the current folder, or the active profile.

    Prefect itself is asked only where one of its files may name a server, since its import takes seconds in which a
    server of the build's own can start.

    Raises:
        ConfigurationError: Prefect cannot read its settings.
    """
    values = os.environ if environment is None else environment
    if url := values.get(API_URL):
        return GivenServer(url=url, origin=API_URL)
    if not values.get("PREFECT_PROFILE") and not any(map(_may_name_one, _files(values))):
        return None
    try:
        from prefect.context import get_settings_context  # noqa: PLC0415

        context = get_settings_context()
        url = context.settings.api.url or ""
    except Exception as error:  # pydantic's, tomllib's and Prefect's own, at its import
        msg = f"Prefect's settings cannot be read: {first_line(error)}; mend them, or {WITHOUT}"
        raise ConfigurationError(msg) from error
    origin = f"Prefect's settings (profile {context.profile.name!r})"
    return GivenServer(url=url, origin=origin) if url else None


def check_given(server: GivenServer) -> None:
    """Asks the server for its version and one flow, as this user and through the same client as the flow.

    Raises:
        ConfigurationError: it is no Prefect server, refuses this user, or has an incompatible version.
        EnvironmentFault: it does not answer.
    """
    import httpx  # noqa: PLC0415
    from prefect.client.base import ServerType  # noqa: PLC0415
    from prefect.client.orchestration import get_client  # noqa: PLC0415
    from prefect.settings import (  # noqa: PLC0415
        PREFECT_API_REQUEST_TIMEOUT,
        PREFECT_API_URL,
        PREFECT_CLIENT_MAX_RETRIES,
        temporary_settings,
    )

    where = f"Prefect's server at {server.url} ({server.origin})"
    quick = {
        PREFECT_API_URL: server.url,
        PREFECT_API_REQUEST_TIMEOUT: CHECK_S,
        PREFECT_CLIENT_MAX_RETRIES: 0,
    }
    try:
        with temporary_settings(quick), get_client(sync_client=True) as client:
            if client.server_type != ServerType.CLOUD:
                client.api_version()
                client.raise_for_api_version_mismatch()
            client.read_flows(limit=1)
    except httpx.HTTPStatusError as error:
        status = error.response.status_code
        if status >= 500:
            raise EnvironmentFault(f"{where} answers status {status}; {_ways_out(server)}") from error
        hint = (
            "check PREFECT_API_KEY or PREFECT_API_AUTH_STRING"
            if status in (401, 403)
            else "the URL of a Prefect API ends in /api"
        )
        raise ConfigurationError(f"{where} answers status {status}: {hint}; {_ways_out(server)}") from error
    except httpx.UnsupportedProtocol as error:
        msg = f"{where} cannot be used: {first_line(error)}; {_ways_out(server)}"
        raise ConfigurationError(msg) from error
    except httpx.TransportError as error:
        why = first_line(error) or type(error).__name__
        raise EnvironmentFault(f"{where} does not answer ({why}); {_ways_out(server)}") from error
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, RuntimeError, TypeError) as error:
        # A page of something else, an incompatible version, a URL that is none.
        raise ConfigurationError(
            f"{where} cannot be used: {first_line(error)}; {_ways_out(server)}"
        ) from error


def gone(server_url: str, error: BaseException) -> EnvironmentFault:
    """For a server that was there when the build began."""
    return EnvironmentFault(
        f"Prefect's server at {server_url} answered no longer ({type(error).__name__}: {first_line(error)}); what was "
        f"committed is kept, and the same command goes on once it is back, or {WITHOUT}"
    )


def _ways_out(server: GivenServer) -> str:
    unset = f"unset {API_URL}" if server.origin == API_URL else "prefect profile use ephemeral"
    return f"start it or correct its URL; for a server of the build's own: {unset}; {WITHOUT}"


def _files(environment: Mapping[str, str]) -> Iterator[Path]:
    yield from (Path(name) for name in FILES)
    if given := environment.get("PREFECT_PROFILES_PATH"):
        yield Path(given)
    yield default_home(environment) / "profiles.toml"


def _may_name_one(path: Path) -> bool:
    try:
        text = path.read_text(encoding="utf-8", errors="replace").lower()
    except OSError:  # Prefect reads none either
        return False
    if path.name == "pyproject.toml" and "[tool.prefect" not in text:
        return False
    return "url" in text or "profiles_path" in text
