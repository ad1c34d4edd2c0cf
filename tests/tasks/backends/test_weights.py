"""A file of weights is hashed once per machine, and again when it changes."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from tasks.backends import weights
from tasks.backends.assets import joint_digest
from tasks.backends.weights import file_digest, lock_path, read_lock, write_lock
from tasks.records.errors import ConfigurationError, ModelUnavailable


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GROUNDEDIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that were read to the end."""
    read: list[str] = []
    original = hashlib.file_digest

    def counted(file, name):
        read.append(Path(file.name).name)
        return original(file, name)

    monkeypatch.setattr(weights.hashlib, "file_digest", counted)
    return read


def test_a_file_is_read_once_and_again_when_it_changed(tmp_path: Path, hashed: list[str]) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"one")
    assert file_digest(path) == file_digest(path) == hashlib.sha256(b"one").hexdigest()
    assert hashed == ["a.safetensors"]
    path.write_bytes(b"two")
    os.utime(path, ns=(1, 1))
    assert file_digest(path) == hashlib.sha256(b"two").hexdigest()
    assert len(hashed) == 2


def test_a_damaged_note_is_not_believed(tmp_path: Path, cache: Path, hashed: list[str]) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"one")
    file_digest(path)
    (note,) = (cache / "digests").glob("*.json")
    note.write_text('{"file": ', encoding="utf-8")
    assert file_digest(path) == hashlib.sha256(b"one").hexdigest()
    assert len(hashed) == 2


def test_a_missing_file_is_told_by_its_path(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"b\.safetensors: No such file"):
        file_digest(tmp_path / "b.safetensors")


def test_the_digest_of_a_folder_can_be_checked_by_hand() -> None:
    text = b"a.bin 11\nb.bin 22"
    assert joint_digest({"b.bin": "22", "a.bin": "11"}) == hashlib.sha256(text).hexdigest()


def test_a_lock_file_is_read_as_it_was_written_and_refused_when_it_is_something_else(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "a.pt").write_bytes(b"one")
    assert read_lock(folder) is None
    written = write_lock(folder, "r1")
    assert read_lock(folder) == written
    lock_path(folder).write_text("[]", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"model\.lock\.json"):
        read_lock(folder)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ('{"revision": "x", "files": {}}', "files"),
        ('{"revision": "x", "files": {"a.pth": "zz"}}', "files.a.pth"),
        ('{"revision": "x", "files": {"other.pth": "%s"}}' % ("0" * 64), "not a.pth"),
    ],
)
def test_a_lock_that_names_no_file_no_digest_or_another_file_states_nothing(
    tmp_path: Path, content: str, told: str
) -> None:
    weights = tmp_path / "a.pth"
    weights.write_bytes(b"weights")
    lock_path(weights).write_text(content, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=rf"a\.pth\.lock\.json.*{told}"):
        read_lock(weights)
