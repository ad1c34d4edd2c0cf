"""Reasons in plain words: the list is complete, and each is readable without the code."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

from tasks.gallery.figures import CAPTIONS
from tasks.gallery.gate_words import CONDITIONS, FAULTS, GATES, SCORES
from tasks.publishing.reason_words import REASONS, reason_title, reason_words
from tasks.records.errors import Reason

BRITISH = re.compile(
    r"colour|licence|centre|\bgrey|neighbour|behaviour|favour|judgement|(?:local|real|organ|recogn)is(?:e|ing|ation)",
    re.IGNORECASE,
)
NOT_WORDS = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|```.*?```|`[^`]*`", re.DOTALL)
"""Expressions of a template and names of code."""


def test_every_reason_of_the_closed_list_has_its_words():
    assert set(REASONS) == set(Reason)


@pytest.mark.parametrize("reason", list(Reason))
def test_a_meaning_is_a_sentence_and_a_title_is_short(reason):
    words = REASONS[reason]
    assert words.meaning[0].isupper()
    assert words.meaning.endswith(".")
    assert len(words.meaning.split()) >= 6
    assert 1 <= len(words.title.split()) <= 4
    assert "_" not in words.title + words.meaning


def test_no_two_reasons_share_a_title():
    assert len({words.title for words in REASONS.values()}) == len(Reason)


def test_a_target_with_a_doubtful_label_is_not_said_to_have_a_bad_mask():
    words = reason_words("mask_not_precise")
    assert words.title_for(["label_confidence"]) == "label in doubt"
    assert words.title_for(["edge_contrast"]) == "mask outline in doubt"
    assert words.title_for(["edge_contrast", "label_confidence"]) == words.title == "doubtful target"
    assert words.title_for([]) == "doubtful target"


def test_a_name_in_the_records_that_says_less_than_the_title_is_explained():
    assert "doubtful label" in reason_words("mask_not_precise").recorded
    assert reason_words("seam_visible").recorded == ""


def test_the_words_of_the_pages_are_spelled_the_american_way():
    templates = files("tasks.gallery") / "templates"
    texts = {t.name: NOT_WORDS.sub("", t.read_text()) for t in templates.iterdir() if t.name.endswith(".j2")}
    texts |= {
        reason.value: f"{words.title} {words.meaning} {words.recorded}" for reason, words in REASONS.items()
    }
    texts |= {
        f"gate {name}": words
        for name, words in (*GATES.items(), *FAULTS.items(), *CONDITIONS.items(), *SCORES.items())
    }
    texts |= {f"figure {name}": " ".join(words) for name, words in CAPTIONS.items()}
    assert len(texts) > len(Reason)
    assert {name: found[0] for name, text in texts.items() if (found := BRITISH.search(text))} == {}
    assert reason_title("wrong_color") == "wrong color"
