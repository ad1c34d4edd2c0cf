"""Surroundings in which no build can run are refused before any work, with what to set."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest

from flows.build.check_environment import check_environment, os_words
from tasks.records.errors import ConfigurationError, EnvironmentFault


@pytest.fixture(autouse=True)
def chosen_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder for temporary files is chosen once in a process."""
    monkeypatch.setattr(tempfile, "tempdir", None)
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


def test_usual_surroundings_are_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    check_environment()
    assert not list(tmp_path.iterdir())


def test_without_any_folder_for_temporary_files_the_variable_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "file"))
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: [str(tmp_path / "file"), "/proc/nobody"])
    with pytest.raises(
        ConfigurationError, match=r"^TMPDIR='.*/file': no folder .* can be written .* set TMPDIR"
    ):
        check_environment()


def test_a_folder_that_was_lost_since_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    monkeypatch.delenv("TMPDIR", raising=False)
    with pytest.raises(ConfigurationError, match="TMPDIR is not set: no folder for temporary files"):
        check_environment()


def test_a_full_disk_is_no_wrong_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=12_345))
    with pytest.raises(EnvironmentFault, match="12,345 bytes free, expected at least 100,000,000"):
        check_environment()


def test_a_proxy_that_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks4://127.0.0.1:1080")
    with pytest.raises(ConfigurationError, match=r"^ALL_PROXY='socks4://127\.0\.0\.1:1080': not a proxy"):
        check_environment()


def test_what_the_operating_system_refuses_is_told_with_its_file(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file") as caught:
        (tmp_path / "a" / "b").write_text("")
    assert os_words(caught.value) == (
        f"the operating system refused: No such file or directory: {tmp_path / 'a' / 'b'}"
    )
    assert os_words(OSError("odd")) == "the operating system refused: odd"
