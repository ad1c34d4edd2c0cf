"""The README says what is there."""

import re

from tests.readme_tree import BEGIN, END, ROOT, draw, first_sentence


def test_the_file_tree_is_the_one_on_disk():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = text.partition(BEGIN)[2].partition(END)[0]
    assert shown == draw(), "run: python -m tests.readme_tree"


def test_every_module_says_what_it_is_in_its_first_line():
    silent = [
        str(p.relative_to(ROOT))
        for top in ("flows", "tasks", "prompts", "intercog_model")
        for p in (ROOT / top).rglob("*.py")
        if not first_sentence(p)
    ]
    assert silent == []


def test_every_make_target_that_the_readme_names_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.M))
    named = set(re.findall(r"`make ([a-z-]+)", (ROOT / "README.md").read_text()))
    assert named
    assert named <= targets
