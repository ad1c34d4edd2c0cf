"""Draws the README's file tree from the first line of each file; `python -m tests.readme_tree` writes it."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
BEGIN, END = "<!-- tree: made by python -m tests.readme_tree -->\n```text\n", "```\n<!-- end of tree -->"
TOP = ("flows", "tasks", "prompts", "intercog_model", "deploy")
EXPLAINED = {
    "prefect.yaml": "Deployments: the whole build, locally and on a cluster, and one for each stage",
    "pyproject.toml": "Package, lint, types and test settings",
    "tests": "Mirrors the folders above; benchmarks beside it",
}


def draw() -> str:
    """The tree as text: every tracked file of the packages with the first sentence it says of itself."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *TOP],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    paths = sorted(Path(line) for line in listed.stdout.splitlines() if (ROOT / line).is_file())
    lines: list[str] = []
    folder = Path()
    for path in sorted(paths, key=lambda p: (TOP.index(p.parts[0]), p.parent, p.name)):
        if path.parent != folder:
            folder = path.parent
            init = ROOT / folder / "__init__.py"
            about = first_sentence(init) if init.exists() else ""
            lines.append(_line(f"{folder}/", about))
        if path.name != "__init__.py":
            lines.append(_line(f"    {path.name}", first_sentence(ROOT / path)))
    lines += [_line(name, about) for name, about in EXPLAINED.items()]
    return "\n".join(lines) + "\n"


def first_sentence(path: Path) -> str:
    """The first docstring line of a module, else the first comment or heading of a text file."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0].rstrip(".")
    for raw in text.splitlines():
        line = raw.strip()
        if line.startswith(("# ", "{#", "<!--")):
            return line.strip("#{}<!-> ").rstrip(".")
        if line.startswith("description:"):
            return line.partition(":")[2].strip().strip('"').rstrip(".")
    return ""


def _line(name: str, about: str) -> str:
    return f"{name:<34}{about}".rstrip()


def main() -> None:
    """Write the tree into the README."""
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    readme.write_text(head + BEGIN + draw() + END + tail, encoding="utf-8")


if __name__ == "__main__":
    main()
