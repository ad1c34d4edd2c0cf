"""Referrers' numbers into indices of the scene's objects."""

from __future__ import annotations

import pytest

from tasks.backends.served.referrer import ChatReferrer, ReferrerOptions
from tasks.roles.chat import BadReply, ChatReply
from tests.tasks.backends.served.asked import SERVED, questions

BACKEND = ChatReferrer(ReferrerOptions(served=SERVED))


def read(raw: str) -> tuple[int, ...]:
    return BACKEND.read(ChatReply(text=raw), BACKEND.request(questions()["referrer"]))


@pytest.mark.parametrize(
    ("raw", "indices"),
    [
        ('{"matches": [1]}', (0,)),
        ('{"matches": [3, 1]}', (0, 2)),
        ('{"matches": [2, 2]}', (1,)),
        ('{"matches": ["2"]}', (1,)),
        ('{"matches": []}', ()),
        ('{"Matches": [2]}', (1,)),
    ],
)
def test_numbers_are_indices_plus_one(raw, indices):
    assert read(raw) == indices


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        ('{"matches": [0]}', "out_of_range"),
        ('{"matches": [4]}', "out_of_range"),
        ('{"matches": [1.5]}', "bad_value"),
        ('{"matches": [true]}', "bad_value"),
        ('{"matches": 1}', "bad_value"),
        ('{"matches": ["first"]}', "bad_value"),
        ('{"objects": [1]}', "missing_key"),
        ('{"matches": [1], "sure": 1}', "unknown_key"),
        ("[1]", "not_json"),
        ("The first one.", "not_json"),
    ],
)
def test_anything_else_is_a_bad_reply(raw, code):
    with pytest.raises(BadReply) as caught:
        read(raw)
    assert caught.value.code == code


def test_the_schema_knows_how_many_numbers_were_drawn():
    numbers = BACKEND.request(questions()["referrer"]).schema["properties"]["matches"]
    assert (numbers["items"]["maximum"], numbers["maxItems"]) == (3, 3)
