"""Commands that look at a dataset, or clean it."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest

from flows.cli.main import main

ARCHIVE = Path(__file__).parents[2] / "data" / "dataset-0.1.0" / "dataset.tar.xz"


def test_gc_removes_what_no_commit_names_once_it_is_old_enough(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with tarfile.open(ARCHIVE) as tar:
        tar.extractall(tmp_path, filter="data")
    dataset = tmp_path / "dataset"
    stage = next(dataset.glob("stages/editing-*"))
    left = [stage / "data" / "lost-race.tar", dataset / "stages" / "half.json#1"]
    for path in left:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    assert main(["gc", str(dataset)]) == 0
    assert capsys.readouterr().out == "nothing to remove\n"
    for path in dataset.rglob("*"):
        os.utime(path, (0, 0))
    assert main(["gc", str(dataset)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "2 objects removed"
    assert not any(path.exists() for path in left)
    assert main(["verify", str(dataset), "--deep"]) == 0


def test_gc_leaves_a_folder_alone_that_is_not_a_dataset(tmp_path: Path) -> None:
    (tmp_path / "notes#1").write_bytes(b"mine")
    os.utime(tmp_path / "notes#1", (0, 0))
    assert main(["gc", str(tmp_path)]) == 2
    assert (tmp_path / "notes#1").exists()
