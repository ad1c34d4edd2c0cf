"""What a profile names is fetched to where it expects it, locked at the commit, and fetched once."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.build import fetch_models as module
from flows.build.fetch_models import Fetching, fetch_models, wanted_files
from tasks.backends.weights import lock_path, read_lock, write_lock
from tasks.records.errors import ConfigurationError, ModelUnavailable
from tasks.stages.config import load_config
from tests.flows.build.profiles_for_checks import bagel_profile, folder_of_weights
from tests.serving.fake_hub import COMMIT, FakeHub

BAGEL = {"ema.safetensors": b"ema", "ae.safetensors": b"ae", "llm_config.json": b"{}"}
REPOSITORY = "ByteDance-Seed/BAGEL-7B-MoT"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("GROUNDEDIT_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return tmp_path / "weights" / "BAGEL-7B-MoT"


def fetched(weights: Path, *assignments: str) -> tuple[Fetching, list[str]]:
    notes: list[str] = []
    return fetch_models(bagel_profile(weights, *assignments), notes.append), notes


def test_weights_are_fetched_once_and_locked_at_the_commit(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FakeHub({REPOSITORY: BAGEL}) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setattr(module, "_check_room", lambda missing: None)
        found, notes = fetched(weights)
        (one,) = found.done
        assert (one.path, one.revision, one.source) == (weights, COMMIT, REPOSITORY)
        assert notes == [f"{weights}: from {REPOSITORY}, about 29.5 GB"]
        lock = read_lock(weights)
        assert lock is not None
        assert (lock.revision, set(lock.files), lock.digest) == (COMMIT, set(BAGEL), one.digest)
        again, notes = fetched(weights)
    assert (again.done, again.left, notes) == ((), (), [])


def test_a_lock_file_pins_the_commit_and_what_comes_is_compared_with_it(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_check_room", lambda missing: None)
    folder_of_weights(weights, locked=False)
    write_lock(weights, COMMIT)
    for path in weights.iterdir():
        path.unlink()
    weights.rmdir()
    with FakeHub({REPOSITORY: BAGEL}) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        with pytest.raises(ModelUnavailable, match="have digest"):
            fetched(weights)
    weights.rename(weights.with_name("aside"))
    with pytest.raises(ConfigurationError, match=r"editing\.editor: revision 'main': .* states '0123456789"):
        fetched(weights, "editing.editor.options.revision=main")


def test_weights_that_nobody_knows_are_left_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "mine"
    found, _ = fetched(path)
    (line,) = found.left
    assert line.startswith(f"{path} (editing.editor): not among the known models; ")
    assert f"groundedit models lock {path}" in line
    folder_of_weights(path)
    assert fetched(path)[0].left == ()


def test_a_disk_without_room_is_told_before_the_first_byte(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage:
        free = 5_000_000_000

    monkeypatch.setattr(module.shutil, "disk_usage", lambda folder: Usage)
    with pytest.raises(ModelUnavailable, match="about 30 GB are to be fetched, 5 GB are free"):
        fetched(weights)
    assert not lock_path(weights).exists()


def test_folders_of_the_builds_own_servers_are_fetched_too(tmp_path: Path) -> None:
    folder = tmp_path / "Qwen2.5-VL-7B-Instruct"
    model, serve = "{id: Qwen/Qwen2.5-VL-7B-Instruct}", f"{{python: /opt/vllm/bin/python, path: {folder}}}"
    server = f"servers.vlm={{model: {model}, serve: {serve}}}"
    judge = "grounding.judge={backend: chat, run: vlm}"
    wanted = {one.key: one.path for one in wanted_files(load_config("embedded", [server, judge]))}
    assert wanted == {"servers.vlm.serve": folder}
    from_cache = server.replace(f", path: {folder}", "")
    assert wanted_files(load_config("embedded", [from_cache, judge])) == ()
