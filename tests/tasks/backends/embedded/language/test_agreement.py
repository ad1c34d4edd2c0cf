"""Pronouns and verbs agree with what a sentence is about."""

from __future__ import annotations

import pytest

from prompts import load_data
from tasks.backends.embedded.language.agreement import agreeing
from tasks.backends.embedded.language.instructor import PATTERNS
from tasks.backends.embedded.language.realization import Writer
from tasks.backends.embedded.nouns import noun

WRITER = Writer(patterns=load_data(PATTERNS), seed=0, key="k")


@pytest.mark.parametrize(
    ("label", "how", "said"),
    [
        ("cup", {}, "It is here, one sees it, it looks good, this one is it"),
        ("trousers", {}, "They are here, one sees them, they look good, these are it"),
        ("person", {}, "The person is here, one sees the person, the person looks good, this person is it"),
        ("person", {"again": True}, "They are here, one sees them, they look good, this person is it"),
        ("car", {"by_name": True}, "The car is here, one sees the car, the car looks good, this one is it"),
    ],
)
def test_a_sentence_agrees_with_its_subject(label, how, said):
    pattern = "{It} {is} here, one sees {them}, {it} look{s} good, {this_one} {one_is} it"
    assert WRITER.fill(pattern, agreeing(noun(label), WRITER, **how)) == said
