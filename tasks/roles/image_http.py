"""The API for edited pictures that servers share (OpenAI, vLLM-Omni, SGLang): a request's bytes, a reply's picture."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx

from tasks.roles.chat_http import Away, failure, transport_is_away
from tasks.roles.image_edits import ImageEditRequest, PictureReply

LARGEST_BODY = 128 * 1024 * 1024
"""Bytes of a reply that are read at most; a picture of a few megapixels takes a tenth of this as base64 text."""

DATA_URL = "data:image/"


@dataclass(frozen=True, slots=True)
class Form:
    """A multipart form as bytes, with the header that names its boundary."""

    content: bytes
    content_type: str


def edit_form(model: str, request: ImageEditRequest) -> Form:
    """A request as a multipart form.

    Args:
        model: id, as the server names it.
        request: the question.
    """
    fields = {"model": model, "prompt": request.prompt, "n": "1", **request.fields}
    if request.seed_field:
        fields[request.seed_field] = str(request.seed)
    files = {
        name: (f"{name}.{part.media_type.partition('/')[2]}", part.data, part.media_type)
        for name, part in (("image", request.picture), (request.mask_field, request.mask))
    }
    made = httpx.Request("POST", "http://server", data=fields, files=files)
    return Form(made.read(), made.headers["content-type"])


async def picture_reply(response: httpx.Response, client: httpx.AsyncClient, base_url: str) -> PictureReply:
    """The picture in a reply with status 200; one that is given as an address is fetched.

    An address is followed only when scheme, host and port are those of ``base_url``, and no redirection is followed:
    what a server writes must not make this process ask other machines.

    Raises:
        Away: the reply is not whole, or the server reports an error of its own.
        Refused, WrongServer: the error that it reports is about this question, or about the configuration.
    """
    body = await _read_up_to(response, LARGEST_BODY)
    if body is None:
        return PictureReply(text="", fault="too_large")
    said = _object(body)
    if said.get("error"):
        error = said["error"]
        code = error.get("code") if isinstance(error, Mapping) else None
        raise failure(code if isinstance(code, int) and code >= 400 else 500, {}, json.dumps(error))
    items = said.get("data")
    item = items[0] if isinstance(items, list) and items and isinstance(items[0], dict) else {}
    encoded, url = item.get("b64_json"), item.get("url")
    if isinstance(url, str) and url.startswith(DATA_URL):
        encoded, url = url.partition(",")[2], None
    if isinstance(encoded, str) and encoded:
        return _reply(said, *_decoded(encoded))
    if isinstance(url, str) and url:
        return _reply(said, *await _fetched(client, base_url, url))
    return _reply(said, b"", "no_picture")


async def _fetched(client: httpx.AsyncClient, base_url: str, url: str) -> tuple[bytes, str]:
    """The picture at an address of the server itself, or the fault why there is none."""
    whole = urljoin(f"{base_url}/", url)
    if _origin(whole) != _origin(base_url):
        return b"", "foreign_url"
    with transport_is_away():
        async with client.stream("GET", whole, follow_redirects=False) as response:
            if response.status_code != httpx.codes.OK:
                if response.status_code >= 500:
                    raise Away(f"status {response.status_code} for the picture's address")
                return b"", "no_such_url"
            data = await _read_up_to(response, LARGEST_BODY)
    return (b"", "too_large") if data is None else (data, "")


def _origin(url: str) -> tuple[str, str | None, int | None]:
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return "", None, None


def _decoded(encoded: str) -> tuple[bytes, str]:
    try:
        return base64.b64decode(encoded, validate=True), ""
    except (binascii.Error, ValueError):
        return b"", "no_picture"


def _reply(said: Mapping[str, Any], picture: bytes, fault: str) -> PictureReply:
    """``text`` holds the reply with digest and size in place of the picture, and without the address."""
    rest = {key: value for key, value in said.items() if key not in ("data", "error")}
    text = json.dumps(
        {**rest, "picture": {"bytes": len(picture), "sha256": hashlib.sha256(picture).hexdigest()}}
    )
    return PictureReply(text=text, model=str(said.get("model") or ""), picture=picture, fault=fault)


async def _read_up_to(response: httpx.Response, limit: int) -> bytes | None:
    """The whole body, or None when it is longer than ``limit`` bytes."""
    body = bytearray()
    async for part in response.aiter_bytes():
        body += part
        if len(body) > limit:
            return None
    return bytes(body)


def _object(body: bytes) -> dict[str, Any]:
    try:
        said = json.loads(body)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        msg = "the reply has not the form of the images API"
        raise Away(msg)
    return said
