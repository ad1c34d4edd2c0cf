"""Photographs at web addresses: one client per process, every failure with a reason that tells what happened."""

from __future__ import annotations

import errno
import random
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import httpx

from tasks.records.errors import ConfigurationError, Reason, SampleError, first_line
from tasks.storage.objects.s3_client import LOOPBACK

PROJECT = "groundedit"

TIMEOUTS = httpx.Timeout(connect=10.0, read=30.0, write=30.0, pool=None)
"""Seconds without a sign of life; a connection or an answer that is longer in coming is given up."""

TOTAL_S = 120.0
"""Seconds for one answer with all its bytes, against servers that send a byte now and then. With the other tries it is
less than a computing step may take (`execution.step_timeout_s`), which would be blamed on the photograph."""

MAX_REDIRECTS = 10

TRIES = 3
"""For what may pass: no connection, a broken one, 408, 425, 429 and 5xx."""

PAUSE_S = 1.0
"""Before the second try; it doubles, and is drawn from 50 to 100 % so that many workers do not come back at once."""

MAX_PAUSE_S = 20.0
"""Longest wait that a server's Retry-After is followed for; one that asks for more is not asked again."""

_PASSING = frozenset((408, 425, 429))
_DENIED = frozenset((401, 402, 403, 407, 451))
_GONE = frozenset((404, 410))


def read_web(url: str, max_bytes: int) -> bytes:
    """The bytes at a web address, as the server stores them: compression for the transfer is undone.

    Chunked answers, those that end with the connection, and redirects are followed; cookies are not kept.

    Raises:
        SampleError: ``source_missing`` (404, 410), ``access_denied`` (401, 402, 403, 407, 451), ``server_error`` (other
            statuses), ``server_unreachable`` (no connection, no answer in time, a broken one), ``too_many_bytes``,
            ``bad_name`` (no valid address). Details name statuses and causes, never addresses.
        ConfigurationError: the proxy of the environment cannot be used.
    """
    for number in range(1, TRIES + 1):
        try:
            return _read(url, max_bytes)
        except _Passing as passing:
            pause = _pause(number, passing.retry_after)
            if number == TRIES or pause is None:
                raise passing.error from passing.__cause__
            time.sleep(pause)
    raise AssertionError("unreachable")


class _Passing(Exception):
    """A failure that another try may not have; ``retry_after`` in seconds as the server asks, -1 if it does not."""

    def __init__(self, error: SampleError, retry_after: float = -1.0) -> None:
        super().__init__(str(error))
        self.error = error
        self.retry_after = retry_after


def _read(url: str, max_bytes: int) -> bytes:
    began = time.monotonic()
    with _causes(), _client().stream("GET", url) as answer:
        _check_status(answer)
        # With a content encoding this is the length of what is sent, and no bound for what it becomes.
        stated = answer.headers.get("content-length", "")
        if stated.isdecimal() and int(stated) > max_bytes and "content-encoding" not in answer.headers:
            raise SampleError(Reason.TOO_MANY_BYTES, f"{int(stated)} bytes, at most {max_bytes}")
        data = bytearray()
        for chunk in answer.iter_bytes(1 << 16):
            data += chunk
            if len(data) > max_bytes:
                raise SampleError(Reason.TOO_MANY_BYTES, f"more than {max_bytes} bytes")
            if time.monotonic() - began > TOTAL_S:
                raise SampleError(Reason.SERVER_UNREACHABLE, f"not complete after {TOTAL_S:.0f} s")
        return bytes(data)


@lru_cache(maxsize=1)
def _client() -> httpx.Client:
    try:
        return httpx.Client(
            headers={
                "User-Agent": user_agent(),
                "Accept": "image/*,*/*;q=0.5",
                "Accept-Encoding": "identity",
            },
            timeout=TIMEOUTS,
            follow_redirects=True,
            max_redirects=MAX_REDIRECTS,
            # A photograph must not depend on those asked for before.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            # A proxy of the environment is for addresses elsewhere.
            mounts={f"all://{'[::1]' if host == '::1' else host}": None for host in LOOPBACK},
        )
    except (ImportError, ValueError, httpx.InvalidURL) as error:
        raise ConfigurationError(f"HTTP_PROXY, HTTPS_PROXY or ALL_PROXY: {first_line(error)}") from error


def user_agent() -> str:
    """Names the tool and its version, so that whoever runs a server knows who asks."""
    try:
        return f"{PROJECT}/{version(PROJECT)}"
    except PackageNotFoundError:
        return PROJECT


def _check_status(answer: httpx.Response) -> None:
    status = answer.status_code
    if status in (200, 203):
        return
    said = f"HTTP {status}"
    if status in _PASSING or 500 <= status < 600:
        after = answer.headers.get("retry-after", "")
        error = SampleError(Reason.SERVER_ERROR, said)
        raise _Passing(error, float(after) if after.isdecimal() else -1.0)
    if status in _GONE:
        raise SampleError(Reason.SOURCE_MISSING, said)
    raise SampleError(Reason.ACCESS_DENIED if status in _DENIED else Reason.SERVER_ERROR, said)


@contextmanager
def _causes() -> Iterator[None]:
    """Turns the client's errors into reasons."""
    try:
        yield
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError, UnicodeError) as error:
        raise SampleError(Reason.BAD_NAME, "no valid web address, or a redirect to none") from error
    except httpx.TooManyRedirects as error:
        raise SampleError(Reason.SERVER_ERROR, f"more than {MAX_REDIRECTS} redirects") from error
    except httpx.DecodingError as error:
        raise SampleError(Reason.SERVER_ERROR, "its content encoding is broken") from error
    except httpx.TransportError as error:
        fails, passing = _what_failed(error)
        reached = SampleError(Reason.SERVER_UNREACHABLE, fails)
        if not passing:
            raise reached from error
        raise _Passing(reached) from error


def _what_failed(error: httpx.TransportError) -> tuple[str, bool]:
    """In words without addresses, and whether it may pass."""
    for cause in _chain(error):
        for kind, words in _CAUSES:
            if isinstance(cause, kind) and (said := words(cause)):
                return said
    return next(said for kind, said in _OTHERWISE if isinstance(error, kind))


def _of_lookup(cause: socket.gaierror) -> tuple[str, bool]:
    if cause.errno == socket.EAI_AGAIN:
        return "its name cannot be looked up at the moment", True
    return "no such host", False


def _of_tls(cause: ssl.SSLError) -> tuple[str, bool]:
    said = getattr(cause, "verify_message", "") or (cause.reason or "failed").replace("_", " ").lower()
    return f"TLS: {said}", False


def _of_system(cause: OSError) -> tuple[str, bool] | None:
    if isinstance(cause, ConnectionRefusedError):
        return "connection refused", True
    # Several addresses of a host that all fail are one error with no number of its own.
    return ("no way to its network", True) if cause.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH) else None


_CAUSES: tuple[tuple[type[BaseException], Callable[[Any], tuple[str, bool] | None]], ...] = (
    (socket.gaierror, _of_lookup),
    (ssl.SSLError, _of_tls),
    (OSError, _of_system),
)

_OTHERWISE: tuple[tuple[type[httpx.TransportError], tuple[str, bool]], ...] = (
    (httpx.ConnectTimeout, (f"no connection after {TIMEOUTS.connect:.0f} s", True)),
    (httpx.TimeoutException, (f"no answer after {TIMEOUTS.read:.0f} s", True)),
    (httpx.ProxyError, ("the proxy refuses", False)),
    (httpx.ConnectError, ("no connection", True)),
    (httpx.TransportError, ("the answer broke off or is none of HTTP", True)),
)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _pause(number: int, retry_after: float) -> float | None:
    """Seconds before the next try; None where the server asks for more than is waited."""
    if retry_after > MAX_PAUSE_S:
        return None
    drawn = PAUSE_S * 2.0 ** (number - 1) * random.uniform(0.5, 1.0)
    return max(retry_after, drawn)
