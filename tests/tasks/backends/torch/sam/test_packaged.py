"""The package segment-anything on the weights that transformers has: equal masks; its files are read without code."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from safetensors.torch import load_file  # noqa: E402

from tasks.backends.torch.sam.network import TransformersSam  # noqa: E402
from tasks.backends.torch.sam.packaged import SegmentAnythingOptions, SegmentAnythingSegmenter  # noqa: E402
from tasks.backends.torch.sam.packaged_network import PackagedSam, _built  # noqa: E402
from tasks.backends.torch.sam.segmenter import SamOptions, SamSegmenter  # noqa: E402
from tasks.backends.weights import write_lock  # noqa: E402
from tasks.records.errors import ModelUnavailable  # noqa: E402
from tests.tasks.backends.torch.sam.converted import converted, packaged_file  # noqa: E402
from tests.tasks.backends.torch.sam.test_segmenter import BOXES, question  # noqa: E402
from tests.tasks.backends.torch.tiny_perception import tiny_sam  # noqa: E402
from tests.tasks.roles.role_questions import grain  # noqa: E402
from tests.torchvision_stub import torchvision_for_import  # noqa: E402

with torchvision_for_import():
    segment_anything = pytest.importorskip("segment_anything")


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory):
    patch = pytest.MonkeyPatch()
    patch.setenv("GROUNDEDIT_CACHE", str(tmp_path_factory.mktemp("cache")))
    yield
    patch.undo()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_sam(tmp_path_factory.mktemp("weights") / "sam")


@pytest.fixture(scope="module")
def file(folder: Path) -> Path:
    return packaged_file(folder, folder.parent / "sam_vit_tiny.pth")


def packaged(path: Path, **options: Any) -> SegmentAnythingSegmenter:
    return SegmentAnythingSegmenter(SegmentAnythingOptions(weights=str(path), device="cpu", **options))


@pytest.mark.parametrize("multimask", [False, True])
def test_both_implementations_agree_on_equal_weights(folder: Path, file: Path, multimask: bool) -> None:
    first, second = TransformersSam(folder, device="cpu", dtype="float32"), PackagedSam(file, device="cpu")
    boxes = torch.tensor(BOXES, dtype=torch.float32)
    largest = 0.0
    for size in ((90, 120), (120, 90), (200, 200)):
        image = grain(7, size)
        (own,), (other,) = first.embed([image]), second.embed([image])
        assert (own.size, own.inner) == (other.size, other.inner)
        logits, estimates = first.decode(own, boxes, multimask=multimask)
        their_logits, their_estimates = second.decode(other, boxes, multimask=multimask)
        largest = max(largest, (logits - their_logits).abs().max(), (estimates - their_estimates).abs().max())
        masks = first.enlarge(own, logits[:, 0]) > 0
        assert torch.equal(masks, second.enlarge(other, their_logits[:, 0]) > 0)
        assert 0 < masks.sum() < masks.numel()
    assert largest < 1e-4
    print(f"largest difference of logits and estimates: {float(largest):.1e}")


def test_both_backends_give_equal_answers(folder: Path, file: Path) -> None:
    questions = [question(1, boxes=5), question(2, boxes=0), question(3, size=(120, 90))]
    first = SamSegmenter(SamOptions(weights=str(folder), device="cpu")).answer(questions)
    second = packaged(file, boxes_per_chunk=2).answer(questions)
    for own, other in zip(first, second, strict=True):
        assert len(own) == len(other)
        for a, b in zip(own, other, strict=True):
            assert np.array_equal(a.mask, b.mask)
            assert (a.score, a.checks[0].value) == pytest.approx((b.score, b.checks[0].value), abs=1e-4)
            assert (a.method, b.method) == ("sam", "segment-anything")


def test_it_answers_as_the_packages_predictor(file: Path) -> None:
    backend, asked = packaged(file), question(1, boxes=3)
    predictor = segment_anything.SamPredictor(backend._network._model)  # type: ignore[attr-defined]
    predictor.set_image(asked.picture.rgb)
    boxes = predictor.transform.apply_boxes_torch(torch.tensor(BOXES[:3]), (90, 120))
    masks, scores, _ = predictor.predict_torch(None, None, boxes=boxes, multimask_output=False)
    (found,) = backend.answer([asked])
    assert np.array_equal(np.stack([each.mask for each in found]), masks[:, 0].numpy())
    assert [each.score for each in found] == pytest.approx(scores[:, 0].clip(0, 1).tolist(), abs=1e-4)


class Code:
    """Runs when a pickle of it is opened."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("opened"),)


def test_a_file_with_code_is_refused_and_its_code_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "evil.pth"
    torch.save({"image_encoder.pos_embed": Code()}, path)
    write_lock(path, "evil")
    with pytest.raises(ModelUnavailable, match="not a checkpoint of plain tensors"):
        packaged(path)
    assert not (tmp_path / "opened").exists()


def test_files_that_lack_a_tensor_or_hold_another_model_are_refused(folder: Path, tmp_path: Path) -> None:
    tensors = converted(load_file(folder / "model.safetensors"))
    name = "mask_decoder.iou_token.weight"
    cases = {
        "missing": ({n: t for n, t in tensors.items() if n != name}, f"missing {name}"),
        "size": ({**tensors, name: torch.zeros(1, 7)}, f"{name} has shape"),
        "another": ({"conv.weight": torch.zeros(2)}, "not a checkpoint of segment-anything"),
    }
    for case, (content, words) in cases.items():
        path = tmp_path / f"{case}.pth"
        torch.save(content, path)
        write_lock(path, case)
        with pytest.raises(ModelUnavailable, match=words):
            packaged(path)


def test_without_the_package_the_message_says_how_to_get_it(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "segment_anything", None)
    with pytest.raises(ModelUnavailable, match=r"pip install 'groundedit\[segment-anything\]'"):
        packaged(file)


def test_the_published_sizes_follow_from_the_shapes() -> None:
    for kind in ("vit_h", "vit_l", "vit_b"):
        with torch.device("meta"):
            published = segment_anything.sam_model_registry[kind]()
            built = _built(segment_anything.modeling, published.state_dict())
        assert str(built) == str(published)
        shapes = {name: tensor.shape for name, tensor in published.state_dict().items()}
        assert {name: tensor.shape for name, tensor in built.state_dict().items()} == shapes
        windows = [block.window_size for block in published.image_encoder.blocks]
        assert [block.window_size for block in built.image_encoder.blocks] == windows
        heads = [block.attn.num_heads for block in published.image_encoder.blocks]
        assert [block.attn.num_heads for block in built.image_encoder.blocks] == heads
