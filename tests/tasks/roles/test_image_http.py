"""A request for an edited picture as a form, and what of a reply is kept for people."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any

import httpx
import pytest

from tasks.roles import image_http
from tasks.roles.chat import ChatPicture
from tasks.roles.chat_http import Away, Refused
from tasks.roles.image_edits import ImageEditRequest, PictureReply
from tasks.roles.image_http import edit_form, picture_reply

PNG = b"\x89PNG the picture"
REQUEST = ImageEditRequest(
    seed=7,
    prompt="Paint the cup blue – quickly.",
    picture=ChatPicture(data=PNG, media_type="image/png", recipe={}),
    mask=ChatPicture(data=b"mask", media_type="image/png", recipe={}),
    mask_field="mask_image",
    fields={"size": "64x32", "num_inference_steps": "4"},
)


def _reply(body: Any, base_url: str = "http://host:8000/v1") -> PictureReply:
    async def read() -> PictureReply:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        transport = httpx.MockTransport(lambda request: httpx.Response(200, content=content))
        async with (
            httpx.AsyncClient(transport=transport) as client,
            client.stream("POST", f"{base_url}/images/edits") as response,
        ):
            return await picture_reply(response, client, base_url)

    return asyncio.run(read())


def test_a_form_holds_fields_and_files_as_they_are() -> None:
    form = edit_form("editor-1", REQUEST)
    head = f"content-type: {form.content_type}\r\n\r\n".encode()
    parts = {
        part.get_param("name", header="content-disposition"): part
        for part in BytesParser(policy=HTTP).parsebytes(head + form.content).iter_parts()
    }
    texts = {name: part.get_payload(decode=True) for name, part in parts.items()}
    assert texts["image"] == PNG
    assert parts["image"].get_filename() == "image.png"
    assert parts["mask_image"].get_content_type() == "image/png"
    assert texts["prompt"].decode() == REQUEST.prompt
    assert (texts["model"], texts["seed"], texts["n"]) == (b"editor-1", b"7", b"1")
    assert (texts["size"], texts["num_inference_steps"]) == (b"64x32", b"4")


def test_the_text_of_a_reply_is_all_of_it_but_picture_and_address() -> None:
    encoded = base64.b64encode(PNG).decode()
    reply = _reply({"created": 5, "model": "m", "usage": {"images": 1}, "data": [{"b64_json": encoded}]})
    assert (reply.picture, reply.fault, reply.model) == (PNG, "", "m")
    said = json.loads(reply.text)
    assert said["picture"] == {"bytes": len(PNG), "sha256": hashlib.sha256(PNG).hexdigest()}
    assert (said["created"], said["usage"]) == (5, {"images": 1})
    assert "http" not in _reply({"data": [{"url": "http://elsewhere/secret?token=1"}]}).text


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("http://host:8000/files/a.png", ""),
        ("/files/a.png", ""),
        ("https://host:8000/a.png", "foreign_url"),
        ("http://host/a.png", "foreign_url"),
        ("http://host:8000@evil/a.png", "foreign_url"),
        ("http://host:8000.evil/a.png", "foreign_url"),
        ("http://host:99999/a.png", "foreign_url"),
        ("ftp://host:8000/a.png", "foreign_url"),
    ],
)
def test_only_an_address_of_the_very_server_is_followed(url: str, fault: str) -> None:
    assert _reply({"data": [{"url": url}]}).fault == fault


def test_what_is_no_reply_is_asked_for_again() -> None:
    for body in (b"<html>", b"[1]", b""):
        with pytest.raises(Away):
            _reply(body)
    with pytest.raises(Away, match="status 500"):
        _reply({"error": {"message": "worker died"}})
    with pytest.raises(Refused):
        _reply({"error": {"code": 400, "message": "no"}})


def test_a_reply_without_end_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_http, "LARGEST_BODY", 1000)
    assert _reply({"data": [{"b64_json": "A" * 2000}]}).fault == "too_large"
