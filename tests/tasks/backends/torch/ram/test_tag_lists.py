"""The lists beside a checkpoint: what is wrong with them is said with option, file and line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tasks.backends.torch.ram import tag_lists
from tasks.backends.torch.ram.tag_lists import read_tag_lists
from tasks.records.errors import ConfigurationError

FILES = {"tags": "car\n3D glasses\nsit\n", "thresholds": "0.5\n0.65\n1", "not_objects": "actions: [sit]\n"}


@pytest.fixture
def read(tmp_path: Path) -> Any:
    def write_and_read(own: bool = False, **texts: str) -> tag_lists.TagLists:
        for name, text in {**FILES, **texts}.items():
            (tmp_path / name).write_text(text, encoding="utf-8")
        paths = {name: str(tmp_path / name) for name in FILES}
        if own:
            paths["not_objects"] = ""
        return read_tag_lists(**paths, where="tagger ram")

    return write_and_read


def test_tags_thresholds_and_objects_go_together(read: Any) -> None:
    lists = read()
    assert lists.names == ("car", "3D glasses", "sit")
    assert lists.thresholds == (0.5, 0.65, 1.0)
    assert lists.objects == (True, True, False)
    assert read(own=True).objects == (True, True, False), "the project's own list knows that sit is no object"


def test_digests_follow_contents_and_not_paths_comments_or_blanks(read: Any, tmp_path: Path) -> None:
    first = read().digests
    assert read(tags="car \n3D glasses\nsit", not_objects="# why\nverbs:\n  - sit\n").digests == first
    for name, text in {
        "tags": "bus\n3D glasses\nsit",
        "thresholds": "0.5\n0.66\n1",
        "not_objects": "a: [car]",
    }.items():
        other = read(**{name: text}).digests
        assert [key for key in first if other[key] != first[key]] in ([name], [name, "not_objects"])


def test_the_files_are_parsed_once_as_long_as_they_stay(
    read: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed = []
    original = tag_lists.yaml.safe_load
    monkeypatch.setattr(tag_lists.yaml, "safe_load", lambda text: parsed.append(text) or original(text))
    read()
    paths = {name: str(tmp_path / name) for name in FILES}
    assert read_tag_lists(**paths, where="tagger ram") is read_tag_lists(**paths, where="tagger ram")
    assert len(parsed) == 1
    (tmp_path / "thresholds").write_text("0.25\n0.65\n1")
    assert read_tag_lists(**paths, where="tagger ram").thresholds[0] == 0.25


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ({"tags": ""}, r"tags='.*': the file is empty"),
        ({"tags": "car\n\nsit\n"}, "line 2 is empty"),
        ({"tags": "car\nsit\ncar\n"}, "more than once: car"),
        ({"tags": "car\nsit\n"}, r"thresholds='.*': 3 thresholds for 2 tags"),
        ({"thresholds": ""}, r"thresholds='.*': the file is empty"),
        ({"thresholds": "0.5\n0.65\n"}, "2 thresholds for 3 tags"),
        ({"thresholds": "0.5\nhigh\n1"}, "line 2: 'high' is no number in 0..1"),
        ({"thresholds": "0.5\n0.5\n1.5"}, "line 3: '1.5' is no number in 0..1"),
        ({"thresholds": "0.5\nnan\n1"}, "line 2: 'nan' is no number in 0..1"),
        ({"not_objects": "[sit]"}, r"not_objects='.*': not lists of tags by kind"),
        ({"not_objects": "a: [sit"}, "not lists of tags by kind"),
        ({"not_objects": "a: [sti]"}, "no tags of .*: sti"),
    ],
)
def test_what_is_wrong_is_said(read: Any, texts: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigurationError, match=f"tagger ram: .*{said}"):
        read(**texts)


@pytest.mark.parametrize("option", ["tags", "thresholds", "not_objects"])
def test_a_missing_file_is_said(read: Any, option: str, tmp_path: Path) -> None:
    read()
    paths = {name: str(tmp_path / name) for name in FILES} | {option: str(tmp_path / "nowhere")}
    with pytest.raises(ConfigurationError, match=rf"{option}='.*nowhere': No such file"):
        read_tag_lists(**paths, where="tagger ram")


def test_an_image_is_no_list(read: Any, tmp_path: Path) -> None:
    read()
    (tmp_path / "tags").write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(ConfigurationError, match="not a text file"):
        read_tag_lists(**{name: str(tmp_path / name) for name in FILES}, where="tagger ram")
