"""The chat API that model servers share (OpenAI, vLLM, llama.cpp, SGLang): a request's bytes, a reply's meaning."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from time import time
from typing import Any

import httpx

from tasks.records.errors import GroundEditError
from tasks.roles.chat import ChatReply, ChatRequest
from tasks.roles.reply_text import choice_places, runs_away
from tasks.roles.scrubbing import scrub

END_S = 1.0
"""How long a stream may stay open after its last event before its connection is dropped."""

TOP_LOGPROBS = 20
"""Alternatives per token that are asked for; no server gives more by default."""

TAIL_EVENTS = 400
"""Events of a stream that are looked at for an end that never comes; most servers send a token in each."""

COMPLAINT_LENGTH = 2000
"""Characters of a bad reply that are sent back with the complaint about it."""

MALFORMED = 502
"""Status of a reply that is there and cannot be read as one of this API: asked again, though not for ever."""

COME_BACK = frozenset({408, 409, 425, 429})
"""Statuses below 500 that say: later."""

ABOUT_THE_QUESTION = frozenset({400, 413, 422})
"""Statuses that refuse this question: too long, too large, not to be processed."""

_NO_SUCH_MODEL = re.compile(r"(?i)model_not_found|\bmodel\b.{0,200}\b(?:does not exist|not found|is unknown)")
_AGAINST_RULES = re.compile(
    r"(?i)content_policy|content_filter|moderation_blocked|safety[ _]system|safety_violation"
)


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
    """The server will not take this question.

    Args:
        status: HTTP status.
        words: what the server says, for messages; never part of a row.
        by_rules: its body says that the provider's rules on content forbid it.
    """

    def __init__(self, status: int, words: str = "", *, by_rules: bool = False) -> None:
        super().__init__(words or f"status {status}")
        self.status = status
        self.by_rules = by_rules


class WrongServer(GroundEditError):
    """The server does not know the key, the address or the model: no question could succeed."""


@dataclass(frozen=True, slots=True)
class Complaint:
    """A reply that could not be used, and what the model is told about it."""

    reply: str
    told: str


def chat_body(model: str, request: ChatRequest, complaint: Complaint | None = None) -> bytes:
    """A request as JSON. Encodes pictures as data URLs, so that it takes a while for large ones.

    Args:
        model: id, as the server names it.
        request: the question.
        complaint: about the last reply to it; follows the question as two more turns.
    """
    content: list[dict[str, Any]] = []
    for part in request.parts:
        if isinstance(part, str):
            content.append({"type": "text", "text": part})
        else:
            data = base64.b64encode(part.data).decode("ascii")
            content.append(
                {"type": "image_url", "image_url": {"url": f"data:{part.media_type};base64,{data}"}}
            )
    messages: list[dict[str, Any]] = [{"role": "user", "content": content}]
    if complaint is not None:
        # A reply that never ended would fill the model's context a second time.
        messages.append({"role": "assistant", "content": complaint.reply[:COMPLAINT_LENGTH]})
        messages.append({"role": "user", "content": complaint.told})
    body: dict[str, Any] = {
        **request.sampling,
        "model": model,
        "messages": messages,
        "seed": request.seed,
        "stream": True,
    }
    if request.schema is not None:
        form = {"name": "answer", "schema": dict(request.schema), "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": form}
    if request.choices:
        body |= {"logprobs": True, "top_logprobs": TOP_LOGPROBS}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def failure(status: int, headers: Mapping[str, str], body: str, api_key: str = "") -> GroundEditError:
    """What a reply with another status than 200 means; of its ``body`` only a cut and scrubbed part stays."""
    if api_key:
        body = body.replace(api_key, "<key>")
    words = f"status {status}" + (f": {scrub(body)}" if body.strip() else "")
    if status in COME_BACK or status >= 500:
        return Away(words, retry_after=_retry_after(headers.get("retry-after", "")), status=status)
    if status in ABOUT_THE_QUESTION and not _NO_SUCH_MODEL.search(body):
        return Refused(status, words, by_rules=_AGAINST_RULES.search(body) is not None)
    return WrongServer(words)


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
    declined: bool = False
    tokens: list[tuple[str, dict[str, float]]] = field(default_factory=list)
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
        try:
            self._add(chunk)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            msg = f"the reply has not the form of the chat API ({type(error).__name__})"
            raise Away(msg, status=MALFORMED) from error

    def _add(self, chunk: Mapping[str, Any]) -> None:
        self.model = str(chunk.get("model") or self.model)
        for choice in chunk.get("choices") or ():
            said = choice.get("delta") or choice.get("message") or {}
            self.text.append(said.get("content") or said.get("refusal") or "")
            self.finish = choice.get("finish_reason") or self.finish
            self.declined = self.declined or bool(said.get("refusal"))
            for token in (choice.get("logprobs") or {}).get("content") or ():
                likely = {t["token"]: float(t["logprob"]) for t in token.get("top_logprobs") or ()}
                self.tokens.append((token["token"], likely))

    def runs_away(self) -> bool:
        """Whether the end of the text is one character, or blanks, without end."""
        # Almost every event ends with two kinds of characters, which is seen without putting the tail together.
        last = self.text[-1] if self.text else ""
        return len(set(last.strip())) < 2 and runs_away("".join(self.text[-TAIL_EVENTS:]))

    def whole(self, choices: Sequence[str]) -> ChatReply:
        """The reply to a request with these choices.

        Raises:
            Away: it ended before its end was said.
        """
        if not self.finish:
            msg = "the reply broke off"
            raise Away(msg)
        return ChatReply(
            text="".join(self.text),
            finish="content_filter" if self.declined else self.finish,
            places=choice_places(self.tokens, choices),
            model=self.model,
        )


def whole_reply(body: bytes, choices: Sequence[str] = ()) -> ChatReply:
    """A reply of a server that does not stream.

    Args:
        body: of the response.
        choices: of the request.

    Raises:
        Away: it is not the whole of one.
    """
    growing = _Growing()
    growing.add(_event(body.decode(errors="replace")))
    return growing.whole(choices)


async def streamed_reply(
    lines: AsyncIterator[str], silence_s: float, heard: Callable[[], None], choices: Sequence[str] = ()
) -> ChatReply:
    """A reply from the lines of an event stream.

    A reply that will never end by itself (blanks or one character over and over) is left at once, as if the length
    limit had ended it: a server stops working on it when its connection closes.

    Args:
        lines: of the reply's body.
        silence_s: longest time between two events. Lines that only hold the connection open do not count, so that a
            stalled model is told from one with much to say.
        heard: called at each event.
        choices: of the request.

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
                    await _to_the_end(lines)
                    break
                growing.add(_event(data))
                heard()
                if not growing.finish and growing.runs_away():
                    growing.finish = "length"
                    break
    except TimeoutError:
        msg = f"silent for {silence_s:g} s in the middle of a reply"
        raise Away(msg) from None
    return growing.whole(choices)


async def lines_of(parts: AsyncIterator[bytes]) -> AsyncIterator[str]:
    """The lines of an event stream, without their ends.

    A line ends with a line feed alone. Python and httpx also split at other separators (U+0085, U+2028, …), which JSON
    may hold inside of a text and servers send as they are.
    """
    begun = b""
    async for part in parts:
        *whole, begun = (begun + part).split(b"\n")
        for line in whole:
            yield line.decode(errors="replace").removesuffix("\r")
    if begun:
        yield begun.decode(errors="replace")


async def _to_the_end(lines: AsyncIterator[str]) -> None:
    """Reads what follows the last event, which is nothing: only then the connection can be used again."""
    with suppress(httpx.RequestError, TimeoutError):
        async with asyncio.timeout(END_S):
            async for _ in lines:
                pass


def _event(data: str) -> Mapping[str, Any]:
    try:
        event = json.loads(data)
    except ValueError:
        event = None
    if not isinstance(event, dict):
        msg = "a part of the reply is not JSON"
        raise Away(msg, status=MALFORMED)
    return event


@contextmanager
def transport_is_away() -> Iterator[None]:
    """Lost connections, half bodies and silence say nothing about the question."""
    try:
        yield
    except httpx.ReadTimeout:
        msg = "no reply within the time limit"
        raise Away(msg) from None
    except httpx.RequestError as error:
        raise Away(f"{type(error).__name__}: {error}") from None
