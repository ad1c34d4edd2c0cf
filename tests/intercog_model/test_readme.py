"""The package's README lists every file with its first line and every reading."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2] / "intercog_model"
TEXT = (ROOT / "README.md").read_text()


def drawn():
    """The tree as the README shows it."""
    lines = []
    files = [p for p in ROOT.rglob("*") if p.suffix in (".py", ".toml") and "__pycache__" not in p.parts]
    folders = sorted({p.parent for p in files}, key=lambda p: (p != ROOT, p.name))
    for folder in folders:
        if folder != ROOT:
            init = folder / "__init__.py"
            about = (
                first_line(init)
                if init.exists()
                else "Training configurations; ablations differ in a line or two"
            )
            lines.append(f"{folder.name + '/':<30}{about}")
        for path in sorted(folder.glob("*.*")):
            if path.suffix in (".py", ".toml") and path.name != "__init__.py":
                lines.append(f"{('  ' if folder != ROOT else '') + path.name:<30}{first_line(path)}")
    return "\n".join(lines)


def first_line(path):
    text = path.read_text()
    if path.suffix == ".toml":
        return text.partition("\n")[0].lstrip("# ").rstrip(".")
    return ast.get_docstring(ast.parse(text)).partition("\n")[0].rstrip(".")


def test_the_tree_is_the_one_on_disk():
    shown = TEXT.partition("```text\n")[2].partition("\n```")[0]
    assert shown == drawn()


def test_every_reading_is_listed_once():
    rows = [row.split("|")[1] for row in TEXT.splitlines() if row.startswith("| A")]
    numbers = [int(n) for row in rows for n in re.findall(r"A(\d+)", row)]
    assert sorted(numbers) == list(range(1, 38))


def test_every_switch_named_in_the_readings_exists():
    known = " ".join(p.read_text() for p in ROOT.rglob("*.py"))
    for name in re.findall(r"`(?:grounding|sequence|run|loss|optim|model)\.(\w+)", TEXT):
        assert re.search(rf"^    {name}: ", known, re.MULTILINE), name
