"""Lists of names into tags: cleaned by rule, each once, no more than asked for."""

from __future__ import annotations

import json

import pytest

from tasks.backends.served.tagger import ChatTagger, TaggerOptions
from tasks.records.records import Tag
from tasks.roles.chat import BadReply, ChatReply
from tests.tasks.backends.served.asked import SERVED, questions

BACKEND = ChatTagger(TaggerOptions(served=SERVED, max_tags=4))


def read(raw: str) -> list[str]:
    tags = BACKEND.read(ChatReply(text=raw), BACKEND.request(questions()["tagger"]))
    assert all(tag == Tag(name=tag.name, score=1.0) for tag in tags)
    return [tag.name for tag in tags]


@pytest.mark.parametrize(
    ("things", "names"),
    [
        (["cup", "wine glass"], ["cup", "wine glass"]),
        (["Cup", " cup ", "CUP", "the cup", "A cup."], ["cup"]),
        (["wine_glass", "T-shirt", "child's bicycle"], ["wine glass", "t-shirt", "child's bicycle"]),
        (["a", "the"], ["a", "the"]),
        (["café table"], ["café table"]),
        (["e", "d", "c", "b", "a"], ["e", "d", "c", "b"]),
        ([], []),
    ],
)
def test_names_are_in_lower_case_and_once_and_keep_their_order(things, names):
    assert read(json.dumps({"things": things})) == names


def test_a_right_answer_in_another_form_is_read_all_the_same():
    assert read("Here is the list:\n```json\n{'Things': ['cup', 'book',]}\n```") == ["cup", "book"]


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        ('{"things": [1]}', "bad_value"),
        ('{"things": [""]}', "bad_value"),
        ('{"things": ["cup, plate"]}', "bad_value"),
        ('{"things": ["cup. plate"]}', "bad_value"),
        ('{"things": ["3 cups"]}', "bad_value"),
        ('{"things": ["the old man in the boat"]}', "bad_value"),
        ('{"things": ["' + "x" * 15 + "y" * 15 + "z" * 15 + '"]}', "bad_value"),
        ('{"things": "cup"}', "bad_value"),
        ('{"things": null}', "bad_value"),
        ('{"objects": ["cup"]}', "missing_key"),
        ('{"things": ["cup"], "count": 1}', "unknown_key"),
        ('["cup"]', "not_json"),
        ("A cup and a book.", "not_json"),
        ("I cannot help with that.", "apology"),
        ('{"things": [' + '"cup", ' * 40, "degenerate"),
    ],
)
def test_anything_else_is_a_bad_reply(raw, code):
    with pytest.raises(BadReply) as caught:
        read(raw)
    assert caught.value.code == code


def test_the_request_says_how_many_and_the_schema_bounds_the_list():
    request = BACKEND.request(questions()["tagger"])
    assert "at most 4 kinds" in request.parts[1]
    things = request.schema["properties"]["things"]
    assert (things["maxItems"], things["items"]["maxLength"]) == (4, 40)
    assert request.schema["required"] == ["things"]
