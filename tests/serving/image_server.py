"""A small server of ``POST /v1/images/edits`` whose pictures and faults a test scripts, in three dialects.

    with ImageServer(script, dialect="sglang") as server:
        server.url          # http://127.0.0.1:40123/v1
        server.asked        # the requests, decoded, in the order they came

A dialect refuses form fields of the others with status 400, as a typed API does, so that a test sees what was sent.
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from aiohttp import web
from PIL import Image as Pillow

from tasks.imaging.arrays import Image

COMMON = {"model", "prompt", "n", "size", "image"}
SAMPLER = {
    "response_format",
    "num_inference_steps",
    "guidance_scale",
    "true_cfg_scale",
    "negative_prompt",
    "seed",
}
FIELDS: Mapping[str, set[str]] = {
    "vllm-omni": COMMON | SAMPLER | {"mask_image"},
    "sglang": COMMON | SAMPLER | {"mask"},
    "openai": COMMON | {"mask"},
}
"""Dialect -> form fields it knows."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Asked:
    """One request: form fields, the picture (H, W, 3), and the mask file's pixels (H, W) or (H, W, 4)."""

    number: int
    fields: Mapping[str, str]
    image: Image
    mask: Any


@dataclass(frozen=True, kw_only=True, eq=False)
class Reply:
    """What the server does with one request.

    Attributes:
        picture: (H, W, 3) uint8.
        way: ``b64_json``; ``url`` of this server, whole; ``path``: the same without a host; ``data``: a data URL.
        url: instead of the picture.
        data: the whole ``data`` of the reply, instead.
        status: other than 200 comes with ``error`` as its body; 200 with ``error`` is an error that looks like a reply.
        raw: bytes in place of the encoded picture.
        model: the server gives itself, where it says so.
    """

    picture: Image | None = None
    way: str = "b64_json"
    url: str = ""
    data: list[Any] | None = None
    status: int = 200
    error: Mapping[str, Any] = field(default_factory=dict)
    raw: bytes = b""
    model: str = ""


Script = Callable[[Asked], Reply]


def painted(asked: Asked, color: tuple[int, int, int] = (20, 60, 200)) -> Image:
    """The picture with its whole middle in one color, wherever the mask lies: an editor that ignores it."""
    image = asked.image.copy()
    height, width = image.shape[:2]
    image[height // 4 : -(height // 4), width // 4 : -(width // 4)] = color
    return image


class ImageServer:
    """Serves a script until the block ends."""

    def __init__(self, script: Script, *, dialect: str = "vllm-omni", model: str = "test-model") -> None:
        self.script = script
        self.dialect = dialect
        self.model = model
        self.asked: list[Asked] = []
        self.fetched: list[str] = []
        self.port = 0
        self._files: dict[str, bytes] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="image server", daemon=True)

    @property
    def url(self) -> str:
        """Base URL, ending in ``/v1``."""
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        self._call(self._open())
        return self

    def __exit__(self, *_: object) -> None:
        self._call(self._runner.cleanup())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _call(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=30)

    async def _open(self) -> None:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/images/edits", self._edit)
        app.router.add_get("/files/{name}", self._file)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def _models(self, _: web.Request) -> web.Response:
        card = {"id": self.model, "object": "model", "root": self.model}
        return web.json_response({"object": "list", "data": [card]})

    async def _file(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        self.fetched.append(name)
        if name == "elsewhere.png":
            raise web.HTTPFound("http://127.0.0.1:9/secret.png")
        if name not in self._files:
            return web.Response(status=404)
        return web.Response(body=self._files[name], content_type="image/png")

    async def _edit(self, request: web.Request) -> web.Response:
        fields, files = await _form(request)
        unknown = sorted({*fields, *files} - FIELDS[self.dialect])
        if unknown:
            return _error(400, {"message": f"unknown parameter: {unknown[0]}"})
        if fields.get("model") != self.model:
            return _error(404, {"message": f"The model `{fields.get('model')}` does not exist."})
        mask = files["mask_image" if self.dialect == "vllm-omni" else "mask"]
        asked = Asked(
            number=len(self.asked),
            fields=fields,
            image=np.asarray(Pillow.open(io.BytesIO(files["image"])).convert("RGB")),
            mask=np.asarray(Pillow.open(io.BytesIO(mask))),
        )
        self.asked.append(asked)
        reply = self.script(asked)
        if reply.status != 200:
            return _error(reply.status, reply.error)
        if reply.error:
            return web.json_response({"error": dict(reply.error)})
        data = self._data(asked, reply) if reply.data is None else reply.data
        named = {"model": reply.model} if reply.model else {}
        return web.json_response({"created": 1, "data": data, **named})

    def _data(self, asked: Asked, reply: Reply) -> list[Any]:
        if reply.url:
            return [{"url": reply.url}]
        encoded = reply.raw or _encoded(reply.picture)
        text = base64.b64encode(encoded).decode()
        if reply.way == "b64_json":
            return [{"b64_json": text, "revised_prompt": "words of the server"}]
        if reply.way == "data":
            return [{"url": f"data:image/png;base64,{text}"}]
        name = f"{asked.number}.png"
        self._files[name] = encoded
        host = f"http://127.0.0.1:{self.port}" if reply.way == "url" else ""
        return [{"url": f"{host}/files/{name}"}]


async def _form(request: web.Request) -> tuple[dict[str, str], dict[str, bytes]]:
    fields: dict[str, str] = {}
    files: dict[str, bytes] = {}
    reader = await request.multipart()
    async for part in reader:
        data = bytes(await part.read(decode=False))
        if part.filename:
            files[part.name] = data
        else:
            fields[part.name] = data.decode()
    return fields, files


def _encoded(picture: Image | None) -> bytes:
    assert picture is not None, "the script gives a picture"
    buffer = io.BytesIO()
    Pillow.fromarray(np.ascontiguousarray(picture)).save(buffer, "PNG")
    return buffer.getvalue()


def _error(status: int, error: Mapping[str, Any]) -> web.Response:
    body = json.dumps({"error": {"type": "error", "code": status, **error}}).encode()
    return web.Response(status=status, body=body, content_type="application/json")
