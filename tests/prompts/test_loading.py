"""Prompt files are read as resources, with front matter and digest."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from prompts import load_data, load_prompt, prompt_digests
from prompts.loading import _front_matter
from tasks.records.errors import ConfigurationError

FOLDER = Path(load_prompt.__wrapped__.__code__.co_filename).parent
ASKED = ("tagger", "target_judge", "instructor", "rewriter", "referrer", "text_judge", "edit_judge")


@pytest.mark.parametrize("name", ASKED)
def test_each_prompt_has_its_role_a_version_and_a_text(name):
    prompt = load_prompt(name)
    assert (prompt.name, prompt.role) == (name, name)
    assert prompt.version >= 1
    assert not prompt.text.startswith("---")
    assert len(prompt.text) > 200


def test_the_instructor_asks_for_the_keys_of_the_paper():
    text = load_prompt("instructor").text
    for key in (
        "Editing_Type",
        "Editing_Instruction",
        "1_Scene_Description",
        "2_Target_Localization",
        "3_Editing_Description",
        "4_Post_Edit_Description",
    ):
        assert f'"{key}"' in text


def test_values_are_filled_into_sentences():
    prompt = load_prompt("referrer")
    told = prompt.sentence("marks", count=3, instruction="Give the $5 cup a lid.")
    assert "There are 3 numbered things." in told
    assert told.endswith("Instruction: Give the $5 cup a lid.")
    with pytest.raises(KeyError, match="count"):
        prompt.sentence("marks", instruction="Remove it.")


def test_a_digest_is_that_of_the_file_as_it_lies_on_disk():
    expected = hashlib.sha256((FOLDER / "rewriter.md").read_bytes()).hexdigest()
    assert dict(prompt_digests(["rewriter"])) == {"rewriter": expected}
    assert load_prompt("rewriter").sha256 == expected


def test_without_names_every_prompt_and_word_list_has_a_digest():
    names = [name for name, _ in prompt_digests()]
    files = sorted(p.stem for p in FOLDER.iterdir() if p.suffix in {".md", ".yaml"})
    assert names == files
    assert {"nouns", "words", "patterns_instructor", *ASKED} <= set(names)


def test_word_lists_and_patterns_are_mappings():
    assert "person" in load_data("nouns")
    assert "reference" in load_data("patterns_instructor")


def test_a_missing_prompt_is_an_error_that_names_it():
    with pytest.raises(ConfigurationError, match=r"prompts/no_such\.md"):
        load_prompt("no_such")


def test_a_file_without_front_matter_is_an_error():
    with pytest.raises(ConfigurationError, match="front matter"):
        _front_matter("bad", b"Just a text.\n")
