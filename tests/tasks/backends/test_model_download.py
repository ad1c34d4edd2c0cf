"""Weights from a hub at one commit, and single files from an address; what is wrong is one clear error."""

from __future__ import annotations

import builtins
import hashlib
from pathlib import Path
from typing import Any

import httpx
import pytest

from tasks.backends import model_download
from tasks.backends.known_models import KnownModel
from tasks.backends.model_download import download
from tasks.records.errors import ModelUnavailable
from tests.serving.fake_hub import COMMIT, FakeHub

FOLDER = {
    "model.safetensors": b"tensors",
    "config.json": b"{}",
    "tokenizer.json": b"{}",
    "pytorch_model.bin": b"a copy",
    "README.md": b"words",
}


def model(**changes: Any) -> KnownModel:
    return KnownModel(**{"name": "model", "what": "a model", "license": "MIT", "hub": "lab/model", **changes})


@pytest.fixture(autouse=True)
def _online(monkeypatch: pytest.MonkeyPatch) -> None:
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)


def test_a_folder_gets_what_can_change_an_answer_at_the_commit_of_the_branch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "weights" / "model"
    with FakeHub({"lab/model": {**FOLDER, "original/model.pth": b"theirs"}}) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        assert download(model(), folder) == COMMIT
        got = {path.name for path in folder.iterdir() if path.is_file()}
        assert got == {"model.safetensors", "config.json", "tokenizer.json"}
        assert (folder / "model.safetensors").read_bytes() == b"tensors"
        assert download(model(), folder, COMMIT) == COMMIT
        assert hub.sent["model.safetensors"] == 1, "what is there is not sent again"


def test_a_model_that_is_one_file_comes_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "weights" / "ram.pth"
    with FakeHub({"lab/model": {"ram.pth": b"ram", "other.pth": b"other"}}) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        assert download(model(name="ram.pth"), path) == COMMIT
    assert path.read_bytes() == b"ram"
    assert [p.name for p in path.parent.iterdir() if p.is_file()] == ["ram.pth"]


@pytest.mark.parametrize(
    ("repository", "files", "gated", "told"),
    [
        ("lab/other", FOLDER, False, "lab/model: .*404.*fetch on a machine with a connection"),
        ("lab/model", FOLDER, True, r"accept the license of lab/model on the hub \(MIT\) and set HF_TOKEN"),
        ("lab/model", {"README.md": b"words"}, False, "lab/model: holds no safetensors"),
    ],
)
def test_what_the_hub_does_not_hand_out_is_told_by_its_repository(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    repository: str,
    files: dict[str, bytes],
    gated: bool,
    told: str,
) -> None:
    with FakeHub({repository: files}, frozenset({repository} if gated else ())) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        with pytest.raises(ModelUnavailable, match=told):
            download(model(), tmp_path / "model")


def test_without_a_connection_it_says_what_to_do_instead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FakeHub({}) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
    with pytest.raises(ModelUnavailable, match=r"lab/model: .*copy the files and the lock files"):
        download(model(), tmp_path / "model")


def test_without_the_hubs_client_it_names_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def absent(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "huggingface_hub":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(ModelUnavailable, match=r"needs the package huggingface_hub \(make setup-torch\)"):
        download(model(), tmp_path / "model")


def served_by_address(monkeypatch: pytest.MonkeyPatch, data: bytes, status: int = 200) -> None:
    """Every address answers the same."""

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, content=data)

    def stream(method: str, url: str, **kwargs: Any) -> Any:
        return httpx.Client(transport=httpx.MockTransport(answer)).stream(method, url)

    monkeypatch.setattr(model_download.httpx, "stream", stream)


def test_a_file_from_an_address_is_compared_with_what_is_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, md5 = tmp_path / "lama.pt", hashlib.md5(b"lama").hexdigest()
    known = model(name="lama.pt", hub="", url="https://example.org/lama.pt", md5=md5)
    served_by_address(monkeypatch, b"another")
    with pytest.raises(ModelUnavailable, match=f"published is {md5}"):
        download(known, path)
    assert list(tmp_path.iterdir()) == [], "nothing half there"
    served_by_address(monkeypatch, b"lama")
    assert download(known, path) == f"md5 {md5}"
    served_by_address(monkeypatch, b"", status=500)
    assert download(known, path) == f"md5 {md5}", "what is there and right is not fetched"
    path.unlink()
    with pytest.raises(ModelUnavailable, match=r"https://example\.org/lama\.pt: .*500"):
        download(known, path)
