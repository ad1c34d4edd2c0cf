"""How each kind of request travels: by which route of the API, as which bytes, and how its reply is read.

A server is one address with one state (`tasks.roles.servers`), whatever it is asked for; what differs between chat and
pictures stands here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, cast

import httpx
import numpy as np

from tasks.imaging.pixels import encode_png
from tasks.roles.chat import ChatPicture, ChatReply, ChatRequest, ServedRequest
from tasks.roles.chat_http import Complaint, chat_body, lines_of, streamed_reply, whole_reply
from tasks.roles.image_edits import ImageEditRequest
from tasks.roles.image_http import edit_form, picture_reply

CONTROL_SIDE = 256
"""Side of the picture in the smallest request for an edit, pixels; some editors take no smaller one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """A request as it is sent."""

    request: ServedRequest
    wire: Wire
    content: bytes
    content_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A reply that has begun to come, with status 200.

    Attributes:
        request: that it answers.
        url: base URL that was asked.
        silence_s: longest time between two parts of the reply.
        heard: called at each part.
    """

    request: ServedRequest
    response: httpx.Response
    client: httpx.AsyncClient
    url: str
    silence_s: float
    heard: Callable[[], None]


class Wire(Protocol):
    """One route of the API.

    Attributes:
        route: below the base URL.
        accept: media types of a reply.
    """

    route: str
    accept: str

    def encode(self, model: str, request: Any, complaint: Complaint | None) -> tuple[bytes, str]:
        """A request to the server's ``model`` as bytes, and their media type."""
        ...

    async def read(self, exchange: Exchange) -> ChatReply:
        """The whole reply.

        Raises:
            Away, Refused, WrongServer: as `tasks.roles.chat_http.failure`.
        """
        ...

    def control(self) -> ServedRequest:
        """The smallest request there is."""
        ...


class ChatWire:
    """A turn of a chat, as a stream of events where the server can."""

    route = "chat/completions"
    accept = "text/event-stream, application/json"

    def encode(self, model: str, request: ChatRequest, complaint: Complaint | None) -> tuple[bytes, str]:
        """See `Wire`."""
        return chat_body(model, request, complaint), "application/json"

    async def read(self, exchange: Exchange) -> ChatReply:
        """See `Wire`."""
        response, choices = exchange.response, cast("ChatRequest", exchange.request).choices
        if "json" in response.headers.get("content-type", ""):
            return whole_reply(await response.aread(), choices)
        return await streamed_reply(
            lines_of(response.aiter_bytes()), exchange.silence_s, exchange.heard, choices
        )

    def control(self) -> ServedRequest:
        """See `Wire`."""
        return ChatRequest(parts=(".",), sampling={"max_tokens": 1, "temperature": 0}, seed=0)


class ImageEditWire:
    """A picture with an instruction; there is nothing to be told about a bad reply, so complaints are left out."""

    route = "images/edits"
    accept = "application/json"

    def encode(self, model: str, request: ImageEditRequest, complaint: Complaint | None) -> tuple[bytes, str]:
        """See `Wire`."""
        del complaint
        form = edit_form(model, request)
        return form.content, form.content_type

    async def read(self, exchange: Exchange) -> ChatReply:
        """See `Wire`."""
        return await picture_reply(exchange.response, exchange.client, exchange.url)

    def control(self) -> ServedRequest:
        """See `Wire`."""
        gray = encode_png(np.full((CONTROL_SIDE, CONTROL_SIDE, 3), 128, np.uint8))
        picture = ChatPicture(data=gray, media_type="image/png", recipe={})
        return ImageEditRequest(
            seed=0,
            prompt=".",
            picture=picture,
            mask=picture,
            mask_field="mask",
            fields={"num_inference_steps": "1"},
        )


WIRES: dict[type[ServedRequest], Wire] = {ChatRequest: ChatWire(), ImageEditRequest: ImageEditWire()}
"""Kind of request -> how it travels."""


def encoded(model: str, request: ServedRequest, complaint: Complaint | None = None) -> Encoded:
    """A request to a server's ``model`` as it is sent; takes a while for large pictures."""
    wire = WIRES[type(request)]
    content, content_type = wire.encode(model, request, complaint)
    return Encoded(request=request, wire=wire, content=content, content_type=content_type)
