"""README and documents name what is there: rooms, commands, options, profiles, settings, files."""

from __future__ import annotations

import argparse
import re
import typing
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from flows.cli.main import parser
from tasks.records.outcomes import STAGES
from tasks.roles.placement import PoolSettings, ServerSettings
from tasks.stages.config import BuildConfig, profile_names

ROOT = Path(__file__).resolve().parents[1]
MAP = re.compile(r"<!-- folder map -->\n```text\n(.*?)```", re.DOTALL)
TOP = ("flows", "tasks", "prompts", "intercog_model", "deploy", "docs", "tests")
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))
SECTIONS = (*STAGES, "execution", "pools", "rates", "servers")

OWN = ("P", "mine.yaml")
"""What stands for a profile of the reader's."""

per_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def mapped() -> set[str]:
    found = MAP.search(text_of(ROOT / "README.md"))
    assert found is not None, "README.md has no folder map"
    return {line.split()[0].rstrip("/") for line in found.group(1).splitlines() if line.strip()}


def test_every_folder_of_the_map_exists() -> None:
    assert [name for name in mapped() if not (ROOT / name).exists()] == []


def test_every_top_folder_and_every_room_of_tasks_and_flows_is_in_the_map() -> None:
    rooms = {
        f"{top}/{folder.name}"
        for top in ("tasks", "flows")
        for folder in (ROOT / top).iterdir()
        if (folder / "__init__.py").exists()
    }
    named = mapped()
    assert sorted(set(TOP) - {name.partition("/")[0] for name in named}) == []
    assert sorted(rooms - named) == []


def test_the_readme_is_short_and_links_every_document() -> None:
    text = text_of(ROOT / "README.md")
    assert len(text.splitlines()) <= 170
    assert [page.name for page in (ROOT / "docs").glob("*.md") if f"(docs/{page.name})" not in text] == []


def commands(of: argparse.ArgumentParser | None = None) -> dict[tuple[str, ...], set[str]]:
    """Words of each command -> its options; the empty words are `groundedit` itself."""
    of = of or parser()
    found: dict[tuple[str, ...], set[str]] = {(): set()}
    for action in of._actions:
        found[()].update(action.option_strings)
        if isinstance(action, argparse._SubParsersAction):
            for name, child in action.choices.items():
                found |= {(name, *words): options for words, options in commands(child).items()}
    return found


@per_page
def test_every_command_and_option_exists(page: Path) -> None:
    known, wrong = commands(), []
    # A command ends with its line, or with the backtick that closes it.
    for line in re.findall(r"(?<![\w-])groundedit ((?:[a-z]|--)[^\n`]*)", text_of(page)):
        words = re.findall(r"--[a-z-]+|[\w|]+", line)
        names = tuple(words[: next((n for n, w in enumerate(words) if w not in _names(known)), len(words))])
        path = next((names[:n] for n in (2, 1) if names[:n] in known and n <= len(names)), ())
        if not path and not line.startswith("--"):
            wrong.append(line)
        options = set().union(*(known[key] for key in known if key[: len(path)] == path))
        wrong += [
            f"{' '.join(path)} {word}" for word in words if word.startswith("--") and word not in options
        ]
    assert wrong == []


def _names(known: dict[tuple[str, ...], set[str]]) -> set[str]:
    return {word for words in known for word in words}


@per_page
def test_every_profile_exists(page: Path) -> None:
    named = re.findall(r"--profile[ =]([\w./-]+\w|P\b)", text_of(page))
    assert sorted(set(named) - {*profile_names(), *OWN}) == []


def exists(key: str) -> bool:
    """Whether a dotted key is a setting."""
    node: Any = BuildConfig
    for part in key.split("."):
        while (arguments := typing.get_args(node)) and not part.isdecimal():
            models = [a for a in arguments if isinstance(a, type) and issubclass(a, BaseModel)]
            if not models:
                return False
            node = models[0]
            if typing.get_origin(node) is None:
                break
        if part.isdecimal():
            node = typing.get_args(node)[0]
        elif isinstance(node, type) and issubclass(node, BaseModel):
            if part not in node.model_fields:
                return False
            node = node.model_fields[part].annotation
        else:
            return False
    return True


@per_page
def test_every_setting_exists(page: Path) -> None:
    sections = "|".join((*SECTIONS, "sources"))
    text = text_of(page)
    named = re.findall(rf"`((?:{sections})\.[\w.]+?)`", text)
    named += re.findall(r"--set '?((?:\w+\.)+\w+)=", text)
    # What stands below the options of a backend or the name of a server is checked with those.
    keys = {re.sub(r"\.options\..*", "", re.sub(r"^(servers|pools)\.\w+\.", "", key)) for key in named}
    places = {*PoolSettings.model_fields, *ServerSettings.model_fields}
    assert sorted(key for key in keys if not exists(key) and key not in {"a.b", *places}) == []


@per_page
def test_every_file_named_exists(page: Path) -> None:
    text = text_of(page)
    named = set(re.findall(r"`((?:flows|tasks|prompts|intercog_model|deploy|docs|tests)/[\w./-]+?)`", text))
    named |= {f"{page.parent.name}/{link}" if page.parent != ROOT else link
              for link in re.findall(r"\]\(([^)#:]+)\)", text)}  # fmt: skip
    assert sorted(name for name in named if not (ROOT / name).exists()) == []


def test_the_prefect_commands_name_deployments_that_exist() -> None:
    entries = yaml.safe_load(text_of(ROOT / "prefect.yaml"))["deployments"]
    flows = {f"{e['entrypoint'].rpartition('.')[2].replace('_', '-')}/{e['name']}" for e in entries}
    named = re.findall(r"\b([a-z-]+/(?:local|cluster))\b", text_of(ROOT / "README.md"))
    assert named
    assert set(named) <= flows


def test_every_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", text_of(ROOT / "Makefile"), re.MULTILINE))
    named = {word for page in PAGES for line in re.findall(r"(?:^|`)make ([a-z -]+)", text_of(page), re.MULTILINE)
             for word in line.split()[:1]}  # fmt: skip
    assert named
    assert sorted(named - targets) == []
