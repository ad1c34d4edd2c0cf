"""The only parser of places: local paths, ``file:``, object stores and web addresses.

A new kind of object store is named here and opened in `s3_client` and `store`.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import unquote_to_bytes, urlsplit

from tasks.records.user_path import user_path

OBJECT_STORES = ("s3",)
"""Schemes of the object stores that can be opened."""

WEB = ("http", "https")
"""Schemes of web addresses, which lists of photographs may hold."""

EXAMPLES = "s3://bucket/prefix"
"""One example of each, for messages and help."""

DATASET_URIS = f"a folder or {EXAMPLES}"
"""Allowed places for a dataset, for messages and help."""

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_ONE_COLON = re.compile(r"(s3|https?|file):", re.IGNORECASE)
_BUCKET = re.compile(r"[A-Za-z0-9._-]{1,255}")
_CONTROL = re.compile("[\x00-\x1f\x7f]")


class BadLocation(ValueError):
    """A text names no place that can be read; the message says why and never repeats the text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """A parsed place.

    Attributes:
        kind: ``path``, ``object`` or ``web``.
        path: of a local file or folder, as written (relative ones stay so); None for the others.
        bucket, key: of an object, exactly as written: a key is no path, and nothing in it is decoded or normalized.
        url: web address as written.
        host: its host in lower case, without user, password and port.
    """

    kind: Literal["path", "object", "web"]
    path: Path | None = None
    bucket: str = ""
    key: str = ""
    url: str = ""
    host: str = ""


def parse_location(text: str, *, typed: bool = True) -> Location:
    """What a path, ``file:``, ``s3://`` or ``http(s)://`` text names; schemes are read in any case.

    Args:
        text: to parse.
        typed: typed by a user, so that ``~`` at its start is a home folder. Lists are data and say what they mean.

    Raises:
        BadLocation: an unknown scheme, a file of another machine, a bad bucket name, host or port, or nothing at all.
    """
    if not text.strip():
        raise BadLocation("nothing is named")
    if "\x00" in text:
        raise BadLocation("a NUL character")
    scheme = scheme_of(text)
    if scheme == "file":
        return Location(kind="path", path=_file_path(text))
    if not scheme:
        if match := _ONE_COLON.match(text):
            raise BadLocation(f"expected {match[1].lower()}://")
        return Location(kind="path", path=user_path(text) if typed else Path(text))
    rest = text.partition("://")[2]
    if scheme in OBJECT_STORES:
        bucket, _, key = rest.partition("/")
        if _BUCKET.fullmatch(bucket) is None:
            # A bucket's name holds no "@" or ":", so that keys before it would be refused here, unseen.
            raise BadLocation("no bucket's name after the scheme")
        return Location(kind="object", bucket=bucket, key=key)
    if scheme in WEB:
        return Location(kind="web", url=text, host=_host(text))
    raise BadLocation(f"neither a path nor an address that can be read ({scheme}://)")


def scheme_of(uri: str) -> str:
    """The scheme in lower case; ``""`` for a path."""
    match = _SCHEME.match(uri)
    if match is not None:
        return match[1].lower()
    return "file" if uri[:6].lower() == "file:/" else ""


def shown(uri: str) -> str:
    """A URI for a message: what stands before a host may be a password."""
    return re.sub(r"://[^/@\s]+@", "://***@", uri)


def in_object_store(uri: str) -> bool:
    """Whether the URI names something in an object store that can be opened."""
    return scheme_of(uri) in OBJECT_STORES


def local_folder(uri: str) -> Path | None:
    """The folder that a user's text names, absolute; None when it names no local one."""
    try:
        path = parse_location(uri).path
    except BadLocation:
        return None
    return None if path is None else path.absolute()


def _file_path(uri: str) -> Path:
    rest = uri[len("file:") :]
    if rest.startswith("//"):
        host, slash, rest = rest[2:].partition("/")
        if host.lower() not in ("", "localhost"):
            raise BadLocation("a file of another machine; expected file:///PATH")
        rest = slash + rest
    raw = unquote_to_bytes(os.fsencode(rest))
    if not raw.startswith(b"/") or b"\x00" in raw:
        raise BadLocation("no absolute path after file://")
    return Path(os.fsdecode(raw))


def _host(url: str) -> str:
    if _CONTROL.search(url):
        raise BadLocation("a control character in an address")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise BadLocation("no valid host or port in an address") from error
    if not host:
        raise BadLocation("no host in an address")
    return host.lower()
