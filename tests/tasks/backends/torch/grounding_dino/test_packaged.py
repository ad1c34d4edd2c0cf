"""The package groundingdino-py beside transformers on equal weights, and as a backend, in an environment of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from tasks.backends.torch.grounding_dino.captions import write_captions  # noqa: E402
from tasks.backends.torch.grounding_dino.network import GroundingNetwork  # noqa: E402
from tasks.backends.torch.grounding_dino.packaged import PackagedDetector, PackagedOptions  # noqa: E402
from tasks.backends.weights import write_lock  # noqa: E402
from tasks.records.errors import ModelUnavailable  # noqa: E402
from tests.environments import groundingdino_python, run_in  # noqa: E402
from tests.tasks.backends.torch.grounding_dino.converted import Files, converted_files  # noqa: E402

HERE = "tests.tasks.backends.torch.grounding_dino"
CASE = "GROUNDEDIT_TEST_GROUNDINGDINO"


@pytest.fixture(scope="module")
def python() -> Path:
    return groundingdino_python()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Files]:
    patch = pytest.MonkeyPatch()
    root = tmp_path_factory.mktemp("weights")
    patch.setenv("GROUNDEDIT_CACHE", str(root / "cache"))
    yield converted_files(root)
    patch.undo()


@pytest.mark.slow
def test_both_implementations_agree_on_equal_weights(python: Path, files: Files, tmp_path: Path) -> None:
    network = GroundingNetwork(files.folder, device="cpu", dtype="float32", length=64)
    names = ["cup", "traffic light", "dog", "red car"]
    captions = write_captions(names, network.encode, most_names=3, most_tokens=64)
    pictures = torch.randn((2, 3, 256, 288), generator=torch.Generator().manual_seed(0))
    owners, asked = [0, 0, 1], [captions[0], captions[1], captions[0]]
    inputs, outputs = tmp_path / "inputs.pt", tmp_path / "outputs.pt"
    torch.save(
        {
            "file": str(files.file),
            "text_encoder": str(files.text_encoder),
            "pictures": pictures,
            "owners": owners,
            "texts": [caption.text for caption in asked],
        },
        inputs,
    )
    run_in(python, "-m", f"{HERE}.packaged_forward", str(inputs), str(outputs))
    theirs = torch.load(outputs, weights_only=True)
    logits, boxes = network(pictures, [(256, 288)] * 2, owners, asked)
    largest = {"logits": 0.0, "boxes": float((boxes - theirs["boxes"]).abs().max())}
    for own, other, caption in zip(logits, theirs["logits"], asked, strict=True):
        told = len(caption.ids)
        assert torch.isfinite(own[:, :told]).all()
        assert not torch.isfinite(other[:, told:]).any()
        difference = float((own[:, :told] - other[:, :told]).abs().max())
        largest["logits"] = max(largest["logits"], difference)
    print(f"largest differences: {largest}")
    assert max(largest.values()) < 1e-4


@pytest.mark.slow
@pytest.mark.assets
def test_the_backend_keeps_the_contract_in_its_own_environment(python: Path, files: Files) -> None:
    words = [
        "-m",
        "pytest",
        "tests/tasks/backends/contract",
        "-k",
        "groundingdino-py",
        "-p",
        "no:warnings",
        "-v",
    ]
    output = run_in(python, *words, **{CASE: str(files.file.parent)})
    assert " passed" in output
    assert "skipped" not in output


def test_without_the_package_the_message_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GROUNDEDIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(sys.modules, "groundingdino", None)
    path = tmp_path / "groundingdino_swint_ogc.pth"
    torch.save({"model": {}}, path)
    write_lock(path, "none")
    with pytest.raises(ModelUnavailable, match=r"groundedit\[groundingdino-py\].*pools\.NAME\.python"):
        PackagedDetector(PackagedOptions(weights=str(path), device="cpu"))
