"""Error texts keep their sense and lose addresses and keys."""

from __future__ import annotations

import pytest

from tasks.roles.scrubbing import LENGTH, scrub


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("POST https://gpu7.example.org:8000/v1/chat?api_key=s3cr3t failed", "POST <url> failed"),
        ("connect to gpu7.cluster.example.org refused", "connect to <host> refused"),
        ("connect to node-12:8000 refused", "connect to <host> refused"),
        ("from 10.0.12.7:51324: reset", "from <host>: reset"),
        ("from [fe80::1ff:fe23:4567:890a]:80: reset", "from <host>: reset"),
        ("Authorization: Bearer abc.def", "Authorization: <key> <key>"),
        ('{"error": "bad", "api_key": "a b c"}', '{"error": "bad", "api_key": <key>}'),
        ("Incorrect API key provided: sk-proj-abcdefghijklmnop.", "Incorrect API key provided: <key>."),
        ("signed " + "Ab3" * 15, "signed <key>"),
        ("mail jane.doe@example.org", "mail <address>"),
        ("two\nlines\tof it", "two lines of it"),
        ("context length is 32768 tokens.", "context length is 32768 tokens."),
        ("width >= 28, got 3.5 (model.safetensors)", "width >= 28, got 3.5 (model.safetensors)"),
    ],
)  # fmt: skip
def test_addresses_and_keys_are_replaced_and_the_rest_is_kept(text, clean):
    assert scrub(text) == clean
    assert scrub(scrub(text)) == clean


def test_a_long_text_is_cut_after_it_was_scrubbed():
    text = "x " * (LENGTH // 2 - 4) + "https://gpu7.example.org/v1/secret"
    assert len(scrub(text)) <= LENGTH
    assert "gpu7" not in scrub(text)
