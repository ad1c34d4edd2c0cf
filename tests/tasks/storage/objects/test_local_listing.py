"""Folders are listed whatever lies in them."""

from __future__ import annotations

import os
from pathlib import Path

from tasks.storage.objects.local_listing import list_files, top_of

ODD = [
    b"nl\nx",
    b"ctl\x01",
    b"\xff.jpg",
    b"100%41",
    b"back\\slash",
    b"u\xcc\x88",
    b"#",
    b"x#y",
    b" ",
    b"..x",
    b"~",
]


def test_every_name_is_listed_once_as_it_is(tmp_path: Path) -> None:
    for folder in (b"", b"\xfe\n"):
        (tmp_path / os.fsdecode(folder)).mkdir(exist_ok=True)
        for name in ODD:
            Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), folder, name))).write_bytes(b"12")  # noqa: PTH118
    found = [(os.fsencode(item.path), item.size) for item in list_files(tmp_path)]
    assert sorted(found) == sorted([(n, 2) for n in ODD] + [(b"\xfe\n/" + n, 2) for n in ODD])
    files, folders = top_of(tmp_path)
    assert len(files) == len(ODD)
    assert folders == [os.fsdecode(b"\xfe\n")]


def test_links_pipes_and_circles_are_files_like_others(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a").write_bytes(b"1")
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "real" / "up").symlink_to("..")
    (tmp_path / "self").symlink_to("self")
    (tmp_path / "broken").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    found = sorted(item.path for item in list_files(tmp_path))
    assert found == ["broken", "link/a", "link/up", "pipe", "real/a", "real/up", "self"]
    assert sorted(item.path for item in list_files(tmp_path, "real")) == ["real/a", "real/up"]
    assert list(list_files(tmp_path, "nowhere")) == []
    assert top_of(tmp_path, "nowhere") == ([], [])


def test_what_a_killed_process_left_half_written_is_not_listed(tmp_path: Path) -> None:
    (tmp_path / "x#1").mkdir()
    for name in ("a#12", "a", "x#1/b"):
        (tmp_path / name).write_bytes(b"")
    assert sorted(item.path for item in list_files(tmp_path)) == ["a", "x#1/b"]
