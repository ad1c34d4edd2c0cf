"""The chat API that model servers share (OpenAI, vLLM, llama.cpp, SGLang): a request's bytes, a reply's meaning."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from time import time
from typing import Any

from tasks.records.errors import GroundEditError
from tasks.roles.chat import ChatReply, ChatRequest

TOP_LOGPROBS = 20
"""Alternatives of the first token that are asked for; no server gives more by default."""

COME_BACK = frozenset({408, 409, 425, 429})
"""Statuses below 500 that say: later."""

ABOUT_THE_QUESTION = frozenset({400, 413, 422})
"""Statuses that refuse this question: too long, too large, not to be processed."""

BODY_BYTES = 4096
SHOWN = 300

_SECRETS = re.compile(
    r"(?i)bearer\s+\S+|\b(?:sk|hf|key|token)[-_][\w-]{6,}|https?://\S+|[\w.+-]+@[\w-]+\.\w+"
)
_NO_SUCH_MODEL = re.compile(r"(?i)model_not_found|\bmodel\b.{0,200}\b(?:does not exist|not found|is unknown)")


class Away(GroundEditError):
    """The server cannot answer now, and nothing is wrong with the question.

    Args:
        words: what was seen, for messages.
        retry_after: seconds after which the server wants to be asked again.
        status: HTTP status of a whole reply, ``None`` when there was none.
    """

    def __init__(self, words: str, retry_after: float = 0.0, status: int | None = None) -> None:
        super().__init__(words)
        self.words = words
        self.retry_after = retry_after
        self.status = status


class Refused(GroundEditError):
    """The server will not take this question."""

    def __init__(self, status: int) -> None:
        super().__init__(f"status {status}")
        self.status = status


class WrongServer(GroundEditError):
    """The server does not know the key, the address or the model: no question could succeed."""


def chat_body(model: str, request: ChatRequest) -> bytes:
    """A request as JSON. Encodes pictures as data URLs, so that it takes a while for large ones."""
    content: list[dict[str, Any]] = []
    for part in request.parts:
        if isinstance(part, str):
            content.append({"type": "text", "text": part})
        else:
            data = base64.b64encode(part.data).decode("ascii")
            content.append(
                {"type": "image_url", "image_url": {"url": f"data:{part.media_type};base64,{data}"}}
            )
    body: dict[str, Any] = {
        **request.sampling,
        "model": model,
        "messages": [{"role": "user", "content": content}],
        "seed": request.seed,
        "stream": True,
    }
    if request.schema is not None:
        form = {"name": "answer", "schema": dict(request.schema), "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": form}
    if request.choices:
        body |= {"logprobs": True, "top_logprobs": TOP_LOGPROBS}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def failure(status: int, headers: Mapping[str, str], body: str, secret: str = "") -> GroundEditError:
    """What a reply with another status than 200 means."""
    words = f"status {status}" + (f": {shown(body, secret)}" if body.strip() else "")
    if status in COME_BACK or status >= 500:
        return Away(words, retry_after=_retry_after(headers.get("retry-after", "")), status=status)
    if status in ABOUT_THE_QUESTION and not _NO_SUCH_MODEL.search(body):
        return Refused(status)
    return WrongServer(words)


def shown(text: str, secret: str = "") -> str:
    """Words of a server for a message: cut, on one line, without keys and addresses."""
    if secret:
        text = text.replace(secret, "…")
    text = _SECRETS.sub("…", " ".join(text.split()))
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"


def _retry_after(value: str) -> float:
    """Seconds of a ``Retry-After`` header, which holds seconds or a date; 0 when there is none to read."""
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time())
    except (ValueError, TypeError, IndexError):
        return 0.0


@dataclass(slots=True)
class _Growing:
    """A reply as far as it has come."""

    text: list[str] = field(default_factory=list)
    finish: str = ""
    logprobs: dict[str, float] = field(default_factory=dict)
    model: str = ""

    def add(self, chunk: Mapping[str, Any]) -> None:
        """Takes one event of a stream, or a whole reply in the form without a stream.

        Raises:
            Away: the server reports an error of its own.
        """
        if "error" in chunk:
            error = chunk["error"]
            code = error.get("code") if isinstance(error, Mapping) else None
            raise failure(code if isinstance(code, int) and code >= 400 else 500, {}, json.dumps(error))
        self.model = str(chunk.get("model") or self.model)
        for choice in chunk.get("choices") or ():
            said = choice.get("delta") or choice.get("message") or {}
            self.text.append(said.get("content") or said.get("refusal") or "")
            self.finish = choice.get("finish_reason") or self.finish
            if said.get("refusal"):
                self.finish = "content_filter"
            tokens = (choice.get("logprobs") or {}).get("content") or ()
            if tokens and not self.logprobs:
                self.logprobs = {t["token"]: float(t["logprob"]) for t in tokens[0].get("top_logprobs") or ()}

    def whole(self) -> ChatReply:
        """The reply.

        Raises:
            Away: it ended before its end was said.
        """
        if not self.finish:
            msg = "the reply broke off"
            raise Away(msg)
        return ChatReply(
            text="".join(self.text), finish=self.finish, logprobs=self.logprobs, model=self.model
        )


def whole_reply(body: bytes) -> ChatReply:
    """A reply of a server that does not stream.

    Raises:
        Away: it is not the whole of one.
    """
    growing = _Growing()
    growing.add(_event(body.decode(errors="replace")))
    return growing.whole()


async def streamed_reply(lines: AsyncIterator[str], silence_s: float, heard: Callable[[], None]) -> ChatReply:
    """A reply from the lines of an event stream.

    Args:
        silence_s: longest time between two events. Lines that only hold the connection open do not count, so that a
            stalled model is told from one with much to say.
        heard: called at each event.

    Raises:
        Away: the stream was silent, broke off or reported an error.
    """
    growing = _Growing()
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(silence_s) as clock:
            async for line in lines:
                if not line.startswith("data:"):
                    continue
                clock.reschedule(loop.time() + silence_s)
                data = line.removeprefix("data:").strip()
                if data == "[DONE]":
                    break
                growing.add(_event(data))
                heard()
    except TimeoutError:
        msg = f"silent for {silence_s:g} s in the middle of a reply"
        raise Away(msg) from None
    return growing.whole()


def _event(data: str) -> Mapping[str, Any]:
    try:
        event = json.loads(data)
    except ValueError:
        event = None
    if not isinstance(event, dict):
        msg = "a part of the reply is not JSON"
        raise Away(msg)
    return event
