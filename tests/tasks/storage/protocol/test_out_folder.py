"""A dataset is written to a new or empty place, or where it lies already."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.records.errors import ConfigurationError
from tasks.storage.protocol.out_folder import check_out


def files(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"") if not name.endswith("/") else (folder / name).mkdir()
    return folder


@pytest.mark.parametrize(
    "names",
    [
        (),
        (".DS_Store", "lost+found/", ".gitkeep"),
        (f"probe/{'ab' * 16}", "logs/vlm.log", "stages/", "builds/"),
        ("stages/ingest-0123abcd/config.json",),
        ("stages/ingest-0123abcd/config.json", "holiday.jpg", "notes/a.txt"),
        (f"builds/{'ab' * 6}.json", "runs/x"),
    ],
)
def test_a_new_empty_or_own_folder_is_taken(tmp_path: Path, names: tuple[str, ...]) -> None:
    (tmp_path / "out").mkdir()
    out = files(tmp_path / "out", *names)
    (tmp_path / "link").symlink_to("out")
    for uri in (str(out), out.as_uri(), f"{out}/", str(tmp_path / "link"), str(tmp_path / "new" / "er")):
        check_out(uri)


@pytest.mark.parametrize(
    ("names", "named"),
    [
        (("a.jpg",), "'a.jpg'"),
        (("b/c.jpg", "a.jpg", "d", "e"), "'a.jpg', 'b/', 'd' and 1 more"),
        (("nl\n.jpg",), r"'nl\\n.jpg'"),
        (("empty/",), "'empty/'"),
        (("runs/exp1/events.out", "logs/train.log"), "'runs/'"),
        (("logs/train.txt",), "'logs/'"),
        (("stages/one/a.txt", "builds/x.json"), "'builds/', 'stages/'"),
        (("MANIFEST.json", "train-000000.tar"), "MANIFEST"),
    ],
)
def test_other_files_are_named_and_nothing_is_made(
    tmp_path: Path, names: tuple[str, ...], named: str
) -> None:
    files(tmp_path, *names)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ConfigurationError, match="holds other files") as caught:
        check_out(str(tmp_path))
    assert named.replace("\\\\", "\\") in str(caught.value)
    assert sorted(tmp_path.rglob("*")) == before


def test_the_root_and_the_inside_of_a_dataset_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="out='/': holds other files"):
        check_out("/")
    files(tmp_path / "own", "stages/ingest-0123abcd/config.json", "releases/r/x")
    for inside in ("new", "releases/new"):
        with pytest.raises(ConfigurationError, match="inside the dataset"):
            check_out(str(tmp_path / "own" / inside))
    with pytest.raises(ConfigurationError, match="holds other files"):
        check_out(str(tmp_path / "own" / "releases"))


def test_what_is_no_place_for_a_dataset_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "broken").symlink_to("nowhere")
    for uri, why in {
        "x" * 300: "too long",
        "circle": "leads nowhere|Too many levels",
        "broken/x": "leads nowhere",
        "s3://": "bucket",
        "s3://key:word@bucket/x": "bucket",
        "s3:/b": "expected s3://",
        "https://host/x": "web address",
        "gs://b/x": "gs://",
        "file://elsewhere/x": "another machine",
        "a\x00b": "NUL",
    }.items():
        with pytest.raises(ConfigurationError, match=f"out=.*({why})") as caught:
            check_out(uri)
        assert "word" not in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken", "circle"]
