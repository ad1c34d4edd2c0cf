from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from email.utils import formatdate
from time import time
from typing import Any

import pytest

from tasks.roles.chat import ChatReply
from tasks.roles.chat_http import (
    Away,
    Refused,
    WrongServer,
    failure,
    lines_of,
    streamed_reply,
    whole_reply,
)


def reply_from(
    *lines: str, silence_s: float = 5, pause_s: float = 0.0, choices: tuple[str, ...] = ()
) -> ChatReply:
    async def stream() -> AsyncIterator[str]:
        for line in lines:
            await asyncio.sleep(pause_s)
            yield line

    return asyncio.run(streamed_reply(stream(), silence_s, heard=lambda: None, choices=choices))


def event(**choice: Any) -> str:
    return f"data: {json.dumps({'model': 'vlm', 'choices': [{'index': 0, **choice}]})}"


def test_a_stream_is_put_together() -> None:
    first = {"content": [{"token": "a", "top_logprobs": [{"token": "a", "logprob": -0.1}]}]}
    later = {"content": [{"token": "b", "top_logprobs": [{"token": "b", "logprob": -0.5}]}]}
    reply = reply_from(
        ": keep-alive",
        event(delta={"role": "assistant", "content": ""}),
        event(delta={"reasoning_content": "Hm."}),
        event(delta={"content": "a"}, logprobs=first),
        event(delta={"content": "b"}, logprobs=later),
        event(delta={}, finish_reason="length"),
        "data: [DONE]",
        choices=("b", "c"),
    )
    assert reply == ChatReply(text="ab", finish="length", places=({"b": -0.5},), model="vlm")


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_line_ends_with_a_line_feed_alone_as_texts_may_hold_all_other_separators(size: int) -> None:
    text = "a\u2028b\u0085c\u2029d\x7f"
    chunk = json.dumps(
        {"choices": [{"delta": {"content": text}, "finish_reason": "stop"}]}, ensure_ascii=False
    )
    sent = f": alive\r\n\r\ndata: {chunk}\r\n\ndata: [DONE]\n\n".encode()

    async def parts() -> AsyncIterator[bytes]:
        for begin in range(0, len(sent), size):
            yield sent[begin : begin + size]

    assert asyncio.run(streamed_reply(lines_of(parts()), 5, heard=lambda: None)).text == text


def test_a_reply_in_another_form_counts_against_its_question_as_a_broken_one_does_not() -> None:
    with pytest.raises(Away) as malformed:
        reply_from('data: {"choices": [3]}')
    with pytest.raises(Away) as broken_off:
        reply_from(event(delta={"content": "half of"}))
    assert (malformed.value.status, broken_off.value.status) == (502, None)


@pytest.mark.parametrize(
    "lines",
    [
        (),
        (event(delta={"content": "half of"}),),
        (event(delta={"content": "half of"}), "data: [DONE]"),
        (event(delta={"content": "a"}), 'data: {"choices": [{"delta": {"cont'),
        ("data: [1, 2]",),
        ('data: {"choices": [3]}',),
        (event(delta={"content": "a"}), 'data: {"error": {"message": "engine died", "code": 500}}'),
    ],
)
def test_what_is_not_a_whole_reply_is_asked_for_again(lines: tuple[str, ...]) -> None:
    with pytest.raises(Away):
        reply_from(*lines)


def test_lines_that_only_hold_the_connection_open_are_silence() -> None:
    with pytest.raises(Away, match="silent"):
        reply_from(event(delta={"content": "a"}), *[": ping"] * 50, silence_s=0.1, pause_s=0.02)


def test_a_refusal_of_the_model_is_told_by_its_finish() -> None:
    reply = reply_from(event(delta={"refusal": "I cannot."}), event(delta={}, finish_reason="stop"))
    assert (reply.text, reply.finish) == ("I cannot.", "content_filter")


def test_a_server_that_does_not_stream_is_understood() -> None:
    body = {"model": "vlm", "choices": [{"message": {"content": "ok"}, "finish_reason": "stop"}]}
    assert whole_reply(json.dumps(body).encode()) == ChatReply(text="ok", model="vlm")
    with pytest.raises(Away):
        whole_reply(json.dumps(body).encode()[:40])


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (400, "maximum context length is 4096 tokens", Refused),
        (413, "", Refused),
        (422, "", Refused),
        (400, '{"error": {"code": "model_not_found"}}', WrongServer),
        (400, "The model `qwen` does not exist.", WrongServer),
        (404, "The model `qwen` does not exist.", WrongServer),
        (401, "", WrongServer),
        (403, "", WrongServer),
        (307, "", WrongServer),
        (429, "", Away),
        (500, "model not found in cache", Away),
        (503, "", Away),
    ],
)
def test_a_status_means_row_configuration_or_later(status: int, body: str, expected: type) -> None:
    assert type(failure(status, {}, body)) is expected


def test_an_error_body_is_cut_and_holds_no_key_and_no_host() -> None:
    body = f"Invalid key my-very-own-key for http://10.0.0.3:8000/v1 {'x y ' * 500}"
    error = failure(401, {}, body, api_key="my-very-own-key")
    assert "my-very-own-key" not in str(error)
    assert "10.0.0.3" not in str(error)
    assert len(str(error)) < 330


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("7", 7), ("0.5", 0.5), ("", 0), ("soon", 0), ("-3", 0), (formatdate(0, usegmt=True), 0)],
)
def test_retry_after_is_read_in_both_its_forms(value: str, seconds: float) -> None:
    error = failure(429, {"retry-after": value}, "")
    assert isinstance(error, Away)
    assert error.retry_after == seconds


def test_retry_after_may_be_a_date() -> None:
    error = failure(503, {"retry-after": formatdate(time() + 600, usegmt=True)}, "")
    assert isinstance(error, Away)
    assert 500 < error.retry_after <= 600


@pytest.mark.parametrize("piece", [" ", "\n", "!", "    "])
def test_a_reply_without_end_is_left_and_read_as_cut_off(piece: str) -> None:
    """No finish ever comes, so that the test ends only if the stream is left."""
    begun = event(delta={"content": '{"a": 1'})
    reply = reply_from(begun, *[event(delta={"content": piece})] * 10_000)
    assert reply.finish == "length"
    assert len(reply.text) < 600


def test_a_long_reply_of_few_kinds_of_characters_is_heard_to_its_end() -> None:
    pieces = [event(delta={"content": text}) for text in ["1", ", "] * 300]
    assert reply_from(*pieces, event(delta={}, finish_reason="stop")).finish == "stop"
