"""A build that is finished already is told from its plans alone, by a process that has hardly imported anything."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flows.cli.main import main

ROOT = Path(__file__).resolve().parents[3]

SLOW_TO_IMPORT = (
    "duckdb",
    "jinja2",
    "onnxruntime",
    "pandas",
    "prefect",
    "pyarrow.dataset",
    "ray",
    "torch",
    "transformers",
)

AGAIN = """
import sys
from flows.cli.main import main
code = main(sys.argv[1:])
print("imported", *(name for name in {names!r} if name in sys.modules))
sys.exit(code)
"""


@pytest.fixture
def finished(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The command line of a build that is finished."""
    folder = tmp_path / "in"
    folder.mkdir()
    for n in range(3):
        (folder / f"{n}.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes([n]))
    command = ["build", "--source", str(folder), "--out", str(tmp_path / "out")]
    assert main([*command, "--set", "execution.pool=in-process", "--set", "execution.prefect=false"]) == 0
    capsys.readouterr()
    return command


def again(command: list[str], **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", AGAIN.format(names=SLOW_TO_IMPORT), *command],
        env={**os.environ, "PYTHONPATH": str(ROOT), **variables}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_it_says_so_without_prefect_ray_and_models(finished: list[str]) -> None:
    """The command that made it had neither Prefect nor Ray; where a build runs changes nothing about it."""
    done = again(finished)
    assert done.returncode == 0, done.stderr
    assert "this build is already finished: nothing to do" in done.stderr
    assert "/gallery/index.html" in done.stdout
    assert done.stdout.splitlines()[-1] == "imported"


def test_it_needs_neither_a_server_nor_folders_that_a_build_needs(
    finished: list[str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    odd = {
        "PREFECT_API_URL": "http://127.0.0.1:9/api",
        "PREFECT_HOME": str(tmp_path / "file" / "below"),
        "RAY_ADDRESS": "127.0.0.1:9",
        "ALL_PROXY": "socks4://127.0.0.1:9",
    }
    assert again(finished, **odd).returncode == 0


@pytest.mark.parametrize(
    "change",
    [
        ("--set", "editing.min_accuracy=4.5"),
        ("--name", "other"),
        ("--set", "seed=3"),
        ("--limit", "2"),
        ("more",),
    ],
)
def test_it_is_not_finished_for_anything_else(
    change: tuple[str, ...], finished: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if change == ("more",):
        change = ()
        (tmp_path / "in" / "more.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    plain = ("--set", "execution.pool=in-process", "--set", "execution.prefect=false")
    assert main([*finished, *plain, *change]) == 0
    assert "already finished" not in capsys.readouterr().err


def test_it_is_not_finished_when_its_manifest_or_the_end_of_a_stage_is_gone(
    finished: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = ("--set", "execution.pool=in-process", "--set", "execution.prefect=false")
    (end,) = (tmp_path / "out").glob("stages/editing-*/stage-*.json")
    end.unlink()
    assert main([*finished, *plain]) == 0
    assert "already finished" not in capsys.readouterr().err
    assert end.exists()
