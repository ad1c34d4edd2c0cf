"""The steps of docs/models.md on an empty machine: fetch, check, plan; nothing is loaded and no GPU is needed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from flows.build import fetch_models
from flows.cli.main import main
from tasks.backends import model_download
from tasks.backends.weights import read_lock
from tests.serving.fake_hub import COMMIT, FakeHub
from tests.tasks.sources.source_pictures import draw, save

FOLDER = {"model.safetensors": b"tensors", "config.json": b"{}"}

HUB = {
    "xinyu1205/recognize-anything-plus-model": {"ram_plus_swin_large_14m.pth": b"ram"},
    "IDEA-Research/grounding-dino-base": FOLDER,
    "facebook/sam-vit-huge": FOLDER,
    "ByteDance-Seed/BAGEL-7B-MoT": {"ema.safetensors": b"ema", "ae.safetensors": b"ae"},
    "Qwen/Qwen2.5-VL-7B-Instruct": FOLDER,
    "Qwen/Qwen3-8B": FOLDER,
}

ADDRESSES = {
    "ram_tag_list.txt": b"car\ndog\nchair",
    "ram_tag_list_threshold.txt": b"0.6\n0.7\n0.8",
    "big-lama.pt": b"lama",
}

PROFILE = ("--profile", "single-gpu")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a photograph, and a network with what is published."""
    constants = pytest.importorskip("huggingface_hub.constants")

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=ADDRESSES[request.url.path.rpartition("/")[2]])

    def stream(method: str, url: str, **kwargs: Any) -> Any:
        return httpx.Client(transport=httpx.MockTransport(answer)).stream(method, url)

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(model_download.httpx, "stream", stream)
    monkeypatch.setattr(model_download, "_md5", lambda path: "e3aa4aaa15225a33ec84f9f4bc47e500")
    monkeypatch.setattr(fetch_models, "_check_room", lambda missing: None)
    monkeypatch.setenv("GROUNDEDIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photographs").mkdir()
    (tmp_path / "photographs" / "one.jpg").write_bytes(save(draw()))
    return tmp_path


def test_a_new_user_comes_as_far_as_the_command_that_starts_the_build(
    machine: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "check", "--json", *PROFILE]) == 1
    named = {file["path"] for one in json.loads(capsys.readouterr().out)["roles"] for file in one["files"]}
    assert named == {
        *(f"weights/{name}" for name in ("grounding-dino-base", "sam-vit-huge", "BAGEL-7B-MoT", *ADDRESSES)),
        "weights/ram_plus_swin_large_14m.pth",
    }

    with FakeHub(HUB) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        assert main(["models", "fetch", *PROFILE]) == 0
    assert "weights/sam-vit-huge" in capsys.readouterr().out
    lock = read_lock(machine / "weights" / "sam-vit-huge")
    assert lock is not None
    assert lock.revision == COMMIT

    assert main(["models", "check", *PROFILE]) == 1
    out = capsys.readouterr().out
    missing = out.partition("missing:\n")[2].split("\n")
    assert [line.strip() for line in missing if line.strip()] == [
        f"servers.{name}.serve.python: .venv-vllm/bin/python is not there" for name in ("vlm", "text")
    ]
    (machine / ".venv-vllm" / "bin").mkdir(parents=True)
    (machine / ".venv-vllm" / "bin" / "python").touch()
    assert main(["models", "check", *PROFILE]) == 0
    assert "all there and fits" in capsys.readouterr().out

    arguments = ["--source", "photographs", "--out", "out/mine"]
    assert main(["plan", *PROFILE, *arguments, "--set", "rates.gpu_hour_price=2"]) == 0
    out = capsys.readouterr().out
    editor = next(line for line in out.splitlines() if line.split()[:2] == ["editor", "painting"])
    assert "63" in editor
    assert "stated: planning figures for an A100" in editor
    assert "GPU-hours, about" in out
    assert "USD" in out
