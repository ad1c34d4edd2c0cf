"""The package's README lists rooms and commands with their first lines, and every reading."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2] / "intercog_model"
TEXT = (ROOT / "README.md").read_text()


READINGS = 36
"""Of the paper; one that is added or taken back changes this number knowingly."""


def drawn():
    """Rooms, commands and modules beside them, as the README shows them."""
    folders = sorted({p.parent for p in ROOT.rglob("*.py")} - {ROOT}, key=lambda p: p.name)
    rows = [(f"{folder.name}/", folder / "__init__.py") for folder in folders]
    rows += [(path.name, path) for path in sorted(ROOT.glob("*.py")) if path.name != "__init__.py"]
    return "\n".join(f"{name:<20}{first_line(path)}" for name, path in rows)


def first_line(path):
    return ast.get_docstring(ast.parse(path.read_text())).partition("\n")[0].rstrip(".")


def test_the_tree_is_the_one_on_disk():
    shown = TEXT.partition("```text\n")[2].partition("\n```")[0]
    assert shown == drawn()


def test_every_reading_is_listed_once():
    rows = TEXT.partition("| reading | switch |\n")[2].partition("\n\n")[0].splitlines()[1:]
    readings = [row.split("|")[1].strip() for row in rows]
    assert len(set(readings)) == len(readings) == READINGS


def test_every_switch_named_in_the_readings_exists():
    known = " ".join(p.read_text() for p in ROOT.rglob("*.py"))
    for name in re.findall(r"`(?:grounding|sequence|run|loss|optim|model)\.(?!json)(\w+)", TEXT):
        assert re.search(rf"^    {name}: ", known, re.MULTILINE), name
