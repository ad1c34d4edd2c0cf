"""The training bench at debug size: every section is measured, without the packages that the lent image lacks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

ROOT = Path(__file__).parents[2]
BLOCKED = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"pydantic", "pydantic_core", "obstore", "fastapi", "segment_anything"}:
            raise ImportError(f"{name} is not here")
sys.meta_path.insert(0, Blocked())
from tests.gpu.training import main
sys.exit(main(sys.argv[1:]))
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", BLOCKED, *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )


@pytest.mark.long
def test_every_section_is_measured_without_the_packages_of_the_edges(tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    done = run("--debug", "--device", "cpu", "--out", str(out))
    assert done.returncode == 0, done.stderr[-3000:]
    figures = json.loads(out.read_text(encoding="utf-8"))
    assert figures["heading"] == "2 layers, one cpu, no communication, random data"
    assert (list(figures["sections"]), figures["skipped"]) == (["attention", "speed", "memory"], [])
    attention, speed, memory = figures["sections"].values()
    assert 0 < attention["flex: largest error of output, relative"] < 1e-5
    assert 0 < attention["dense: largest error of queries, relative"] < 1e-5
    # FlexAttention has no backward pass on a CPU
    assert "flex: largest error of queries, relative" not in attention
    for way in ("trainer, recompute full", "trainer, recompute selective", "plain loop"):
        rows, seconds = speed["rows"], speed[f"{way}: seconds a step"]
        assert speed[f"{way}: tokens a second"] == pytest.approx(rows / seconds)
        assert f"{way}: MFU" not in speed  # a CPU has no known peak
    assert memory["planned over measured"] == pytest.approx(1, rel=0.1)
    assert all(name in done.stdout for name in ("attention", "speed", "memory"))


@pytest.mark.slow
def test_sections_that_the_time_does_not_allow_are_named(tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    done = run("--debug", "--device", "cpu", "--limit-s", "-1", "--out", str(out))
    assert done.returncode == 1
    assert "speed: skipped, out of time" in done.stdout
    assert json.loads(out.read_text(encoding="utf-8"))["skipped"] == ["attention", "speed", "memory"]
