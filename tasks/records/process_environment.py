"""Variables that libraries and child processes read: nobody reports home, and what talks to us leaves by no proxy.

Set once at the start of a process, before anything else is imported, since most libraries read them at import or when
their first client is made. Children inherit them; a process that gets another environment (a server that the build
starts, a worker of a cluster) is handed `quiet` and `direct`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, MutableMapping
from urllib.parse import urlsplit

from tasks.records.errors import ConfigurationError

NO_REPORTS: Mapping[str, str] = {
    "DO_NOT_TRACK": "1",  # Prefect's client, the model hub's client, vLLM
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "ORT_DISABLE_TELEMETRY": "1",  # ONNX Runtime: a device id in the user's cache, and events to its vendor
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "RAY_USAGE_STATS_ENABLED": "0",
    "VLLM_NO_USAGE_STATS": "1",
}
"""Switches of the pinned libraries that would send something about this machine or its user; the user's own count."""

LOOPBACK = ("127.0.0.1", "localhost", "::1")

NO_PROXY = ("no_proxy", "NO_PROXY")
"""Both spellings: libraries differ in which they read, and in which they prefer."""

PROXIES = ("http_proxy", "https_proxy", "all_proxy")

PROXY_SCHEMES = ("http", "https", "socks5", "socks5h")
"""Those that the HTTP client can use."""


def set_up(environment: MutableMapping[str, str] | None = None, *, offline: bool = False) -> None:
    """Sets the variables of this process, or those in ``environment``; what the user set stays.

    ``offline``: this process loads models and downloads none, so that the model hub is not asked whether there are
    newer ones.
    """
    values = os.environ if environment is None else environment
    values.update({**quiet(values), **direct(values)})
    if offline:
        values.setdefault("HF_HUB_OFFLINE", "1")


def quiet(environment: Mapping[str, str]) -> dict[str, str]:
    """Switches against reports, with the user's own values where there are any."""
    return {name: environment.get(name, value) for name, value in NO_REPORTS.items()}


def direct(environment: Mapping[str, str], hosts: Iterable[str] = ()) -> dict[str, str]:
    """``NO_PROXY`` in both spellings: the user's entries, then this machine's loopback and ``hosts``."""
    given = [entry.strip() for name in NO_PROXY for entry in environment.get(name, "").split(",")]
    entries = dict.fromkeys(entry for entry in (*given, *LOOPBACK, *hosts) if entry)
    return dict.fromkeys(NO_PROXY, ",".join(entries))


def is_loopback(url: str) -> bool:
    """Whether a URL names this machine, so that no proxy could reach it."""
    host = urlsplit(url).hostname or ""
    return host in LOOPBACK or host.startswith("127.")


def check_proxies(environment: Mapping[str, str] | None = None) -> None:
    """Checks the variables that name a proxy, which a client reads deep inside some later request.

    Raises:
        ConfigurationError: one of them is no URL of a kind that can be used.
    """
    values = os.environ if environment is None else environment
    for name in (*PROXIES, *(name.upper() for name in PROXIES)):
        value = values.get(name, "").strip()
        try:
            parts = urlsplit(value if "://" in value else f"http://{value}")
            fine = not value or (parts.scheme in PROXY_SCHEMES and bool(parts.hostname) and parts.port != 0)
        except ValueError:  # a port that is no number, or half of a bracketed address
            fine = False
        if not fine:
            shown = value.rpartition("@")[2]  # what stands before may be a password
            kinds = ", ".join(PROXY_SCHEMES)
            msg = f"{name}={shown!r}: not a proxy that can be used; expected {kinds}://HOST:PORT, or no value"
            raise ConfigurationError(msg)
