"""A chat request as the body that a client sends, for tests that have no client of the project between."""

from __future__ import annotations

import base64
from typing import Any

from tasks.roles.chat import ChatPicture, ChatRequest


def body_of(request: ChatRequest, model: str) -> dict[str, Any]:
    """JSON body of ``/v1/chat/completions``."""
    content = [_part(part) for part in request.parts]
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": "user", "content": content}],
        "seed": request.seed,
        **request.sampling,
    }
    if request.schema is not None:
        schema = {"name": request.schema["title"], "schema": request.schema}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    if request.choices:
        body |= {
            "structured_outputs": {"choice": list(request.choices)},
            "logprobs": True,
            "top_logprobs": 20,
        }
    return body


def _part(part: str | ChatPicture) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    data = base64.b64encode(part.data).decode()
    return {"type": "image_url", "image_url": {"url": f"data:{part.media_type};base64,{data}"}}
