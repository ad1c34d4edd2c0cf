"""The README's folder map names every room of the project, and nothing that is not there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MAP = re.compile(r"<!-- folder map -->\n```text\n(.*?)```", re.DOTALL)
TOP = ("flows", "tasks", "prompts", "intercog_model", "deploy", "docs", "tests")


def mapped() -> set[str]:
    found = MAP.search((ROOT / "README.md").read_text(encoding="utf-8"))
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
    tops = {top for top in TOP if (ROOT / top).is_dir()}
    named = mapped()
    assert sorted(tops - {name.partition("/")[0] for name in named}) == []
    assert sorted(rooms - named) == []
