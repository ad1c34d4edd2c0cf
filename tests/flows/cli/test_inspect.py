"""Commands that look at a dataset, or clean it."""

from __future__ import annotations

import json
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
    lost, half = "ab/abcdef0123456789-0123456789ab.tar", "plans/0123456789ab.g0.json#1"
    left = [stage / "data" / lost, stage / half]
    foreign = [stage / "data" / "my-backup.tar", dataset / "stages" / "holiday#1", dataset / "nl\n#1"]
    for path in (*left, *foreign):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    assert main(["gc", str(dataset)]) == 0
    assert capsys.readouterr().out == "nothing to remove\n"
    for path in dataset.rglob("*"):
        os.utime(path, (0, 0))
    assert main(["gc", str(dataset)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "2 objects removed"
    assert not any(path.exists() for path in left)
    assert all(path.exists() for path in foreign)
    assert main(["verify", str(dataset), "--deep"]) == 0


def test_gc_leaves_a_folder_alone_that_is_not_a_dataset(tmp_path: Path) -> None:
    (tmp_path / "notes#1").write_bytes(b"mine")
    os.utime(tmp_path / "notes#1", (0, 0))
    assert main(["gc", str(tmp_path)]) == 2
    assert (tmp_path / "notes#1").exists()


def test_every_command_goes_on_beside_foreign_files_of_any_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with tarfile.open(ARCHIVE) as tar:
        tar.extractall(tmp_path, filter="data")
    dataset = tmp_path / "dataset"
    names = ("nl\nx.json", "notes.json", os.fsdecode(b"\xff"), "%41", "back\\slash")
    folders = [
        dataset,
        *(path for path in dataset.rglob("*") if path.is_dir() and "gallery" not in path.parts),
    ]
    for folder in folders:
        for name in names:
            (folder / name).write_bytes(b"x")
    for command in ("status", "verify", "repair", "gc", "answers list"):
        assert main([*command.split(), str(dataset)]) == 0, command
        printed = capsys.readouterr().out
        if command == "verify":
            assert "note: nl%0Ax.json: not part of a dataset" in printed
            assert "note: %FF: not part of a dataset" in printed
            assert "0 faults" in printed
    assert main(["verify", str(dataset), "--json"]) == 0
    notes = [note["path"] for note in json.loads(capsys.readouterr().out)["notes"]]
    assert len(notes) == len(set(notes)) >= len(names) * 10
    assert all((folder / name).exists() for folder in folders for name in names)
