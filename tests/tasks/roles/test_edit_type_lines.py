"""What a prompt says about the asked type."""

from __future__ import annotations

import re

import pytest

from prompts import load_prompt
from tasks.records.edit_types import EDIT_TYPES, NO_ARGUMENT
from tasks.records.records import EditType
from tasks.roles.edit_type_lines import prompt_slots


@pytest.mark.parametrize("row", EDIT_TYPES, ids=lambda row: row.edit_type.value)
def test_every_type_says_what_it_means_and_what_there_is_to_choose(row):
    free = prompt_slots(row.edit_type, "")
    assert free["edit_type"] == row.edit_type.value
    assert len(free["means"].split()) > 5
    assert free["becomes"].startswith("your choice") is bool(row.argument)


def test_an_asked_argument_is_said_as_it_is():
    assert prompt_slots(EditType.COLOR, "blue")["becomes"] == "blue"


def test_a_type_without_argument_says_that_there_is_none():
    assert prompt_slots(EditType.REMOVE, NO_ARGUMENT) == prompt_slots(EditType.REMOVE, "")


def test_the_instructors_prompt_takes_the_lines_and_names_no_type_itself():
    prompt = load_prompt("instructor")
    text = "\n".join((prompt.text, *prompt.sentences.values()))
    assert {"$edit_type", "$means", "$becomes"} <= set(re.findall(r"\$[a-z_]+", text))
    assert [t for t in EditType if re.search(rf"\b(meaning_)?{t.value}\b", text)] == []
