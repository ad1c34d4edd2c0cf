"""``models check``, ``models lock`` and ``models fetch`` on the command line: tables, JSON, exit codes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from flows.cli.main import main
from tasks.backends.weights import lock_path, read_lock
from tests.flows.build.profiles_for_checks import folder_of_weights

PAINTING = "pools.painting={holds: [editor], gpu_gb: 42}"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROUNDEDIT_CACHE", str(tmp_path / "cache"))


def editor(weights: Path) -> list[str]:
    """Arguments: only algorithms, but for an editor on a GPU."""
    sets = [
        PAINTING,
        f"editing.editor={{backend: bagel, run: painting, options: {{weights: {weights}}}}}",
        *(f"{key}=patchmatch" for key in ("editing.inpainter.backend",)),
        "editing.inpainter.options={}",
    ]
    return [part for one in sets for part in ("--set", one)]


def test_a_profile_with_nothing_there_is_incomplete(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "check", *editor(tmp_path / "BAGEL-7B-MoT")]) == 1
    out = capsys.readouterr().out
    assert out.splitlines()[0].split()[:2] == ["setting", "backend"]
    assert "BAGEL (7B active of 14B parameters)" in out
    assert f"groundedit models lock {tmp_path / 'BAGEL-7B-MoT'}" in out
    stage = next(line for line in out.splitlines() if line.startswith("editing  "))
    assert stage.split() == ["editing", "0", "42", "38", "painting", "42"]


def test_json_has_the_same_and_the_code_says_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = folder_of_weights(tmp_path / "mine")
    assert main(["models", "check", "--json", *editor(weights)]) == 1
    found = json.loads(capsys.readouterr().out)
    settings = {one["setting"]: one for one in found["roles"]}
    assert settings["editing.editor"]["digest"] == read_lock(weights).digest  # type: ignore[union-attr]
    assert all("groundedit fetch" in text for text in found["missing"])
    assert found["not_fitting"] == []
    assert main(["models", "check", "--card-gb", "24", *editor(weights)]) == 2
    assert "larger than a card" in capsys.readouterr().out
    assert main(["models", "check", "--set", "grounding.judge.backend=none"]) == 2


def test_lock_states_the_digest_that_a_backend_then_finds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = folder_of_weights(tmp_path / "mine", locked=False)
    assert main(["models", "lock", str(weights), "--revision", "r7"]) == 0
    out = capsys.readouterr().out
    lock = read_lock(weights)
    assert lock is not None
    assert lock.revision == "r7"
    assert lock.digest in out
    assert str(tmp_path / "mine.lock.json") in out
    single = tmp_path / "one.pth"
    single.write_bytes(b"one")
    assert main(["models", "lock", str(single)]) == 0
    assert read_lock(single) is not None
    assert main(["models", "lock", str(tmp_path / "none")]) == 2


def test_fetch_says_what_it_could_not_fetch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "fetch", *editor(tmp_path / "mine")]) == 1
    assert f"not fetched: {tmp_path / 'mine'} (editing.editor)" in capsys.readouterr().out
    folder_of_weights(tmp_path / "mine")
    assert main(["models", "fetch", *editor(tmp_path / "mine")]) == 0


def test_locking_again_keeps_the_revision(tmp_path: Path) -> None:
    weights = folder_of_weights(tmp_path / "mine")
    (weights / "ae.safetensors").write_bytes(b"newer tensors")
    before = read_lock(weights)
    assert main(["models", "lock", str(weights)]) == 0
    after = read_lock(weights)
    assert before is not None
    assert after is not None
    assert (after.revision, before.revision) == ("r1", "r1")
    assert after.digest != before.digest


def test_what_is_no_weights_cannot_be_locked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "nothing.pth").touch()
    lock = lock_path(folder_of_weights(tmp_path / "mine"))
    for path, words in (
        (tmp_path / "empty", "no weights (expected files that end in"),
        (tmp_path / "nothing.pth", "the file is empty"),
        (Path(os.devnull), "neither a file nor a folder"),
        (lock, "this is a lock file"),
    ):
        assert main(["models", "lock", str(path)]) == 2
        assert words in capsys.readouterr().err
