"""The segmenter on tiny checkpoints of each kind, beside the models called plainly; faults by name."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

import PIL.Image  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402
from transformers import AutoModel, SamImageProcessorPil  # noqa: E402

from tasks.backends.torch.sam.segmenter import SamOptions, SamSegmenter  # noqa: E402
from tasks.backends.weights import write_lock  # noqa: E402
from tasks.imaging.geometry import to_rle  # noqa: E402
from tasks.records.errors import ModelUnavailable, Reason, SampleError  # noqa: E402
from tasks.records.records import Box, MaskHint  # noqa: E402
from tasks.roles.picture import Picture  # noqa: E402
from tasks.roles.questions import Detection, Segmentation, SegmentQuestion  # noqa: E402
from tests.tasks.backends.torch import tiny_perception as tiny  # noqa: E402
from tests.tasks.backends.torch.in_a_pool import NotedBackend, ask_in_a_pool  # noqa: E402
from tests.tasks.roles.role_questions import block, damaged, grain  # noqa: E402

KINDS: dict[str, Callable[[Path], Path]] = {
    "sam": tiny.tiny_sam,
    "sam_hq": tiny.tiny_sam_hq,
    "sam2": tiny.tiny_sam2,
}

BOXES = ((10, 10, 60, 50), (30, 20, 110, 80), (0, 0, 120, 90), (5, 60, 40, 89), (70, 5, 119, 45))


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory):
    patch = pytest.MonkeyPatch()
    patch.setenv("GROUNDEDIT_CACHE", str(tmp_path_factory.mktemp("cache")))
    yield
    patch.undo()


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("weights")
    return {kind: make(root / kind) for kind, make in KINDS.items()}


@pytest.fixture
def folder(folders: dict[str, Path]) -> Path:
    return folders["sam"]


def segmenter(folder: Path, **options: Any) -> SamSegmenter:
    return SamSegmenter(SamOptions(weights=str(folder), device="cpu", **options))


def question(seed: int, boxes: int = 3, size: tuple[int, int] = (90, 120)) -> SegmentQuestion:
    detections = tuple(
        Detection(label="cup", score=0.9, box=Box(x0=x0, y0=y0, x1=x1, y1=y1))
        for x0, y0, x1, y1 in BOXES[:boxes]
    )
    return SegmentQuestion(
        subject=f"q{seed}", picture=Picture.of_pixels(grain(seed, size)), detections=detections
    )


def same(a: tuple[Segmentation, ...], b: tuple[Segmentation, ...]) -> None:
    """Equal up to pixels whose logit is nearly 0."""
    assert len(a) == len(b)
    for first, second in zip(a, b, strict=True):
        assert np.count_nonzero(first.mask != second.mask) <= 2
        assert first.score == pytest.approx(second.score, abs=1e-4)
        assert first.checks[0].value == pytest.approx(second.checks[0].value, abs=2e-3)


def test_sam_answers_as_the_model_and_its_processor_called_plainly(folder: Path) -> None:
    asked = question(1, boxes=5)
    (found,) = segmenter(folder).answer([asked])
    model = AutoModel.from_pretrained(folder).eval()
    processor = SamImageProcessorPil.from_pretrained(folder)
    image = PIL.Image.fromarray(asked.picture.rgb)
    inputs = processor(image, return_tensors="pt")
    scale = inputs["reshaped_input_sizes"][0].flip(0) / inputs["original_sizes"][0].flip(0)
    boxes = (torch.tensor(BOXES, dtype=torch.float32).reshape(-1, 2, 2) * scale).reshape(1, -1, 4)
    with torch.inference_mode():
        outputs = model(pixel_values=inputs["pixel_values"], input_boxes=boxes, multimask_output=False)
        masks = processor.post_process_masks(
            [outputs.pred_masks[0]], inputs["original_sizes"], inputs["reshaped_input_sizes"]
        )[0][:, 0]
    for own, mask, score in zip(found, masks.numpy(), outputs.iou_scores[0, :, 0].tolist(), strict=True):
        assert 0 < np.count_nonzero(mask) < mask.size
        assert np.array_equal(own.mask, mask)
        assert own.score == pytest.approx(min(max(score, 0), 1), abs=1e-4)


def test_sam2_answers_as_the_model_called_plainly_with_the_picture_stretched(
    folders: dict[str, Path],
) -> None:
    asked = question(1)
    (found,) = segmenter(folders["sam2"]).answer([asked])
    model = AutoModel.from_pretrained(folders["sam2"]).eval()
    image = PIL.Image.fromarray(asked.picture.rgb).resize((128, 128), PIL.Image.Resampling.BILINEAR)
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1) / 255
    mean, std = (torch.tensor(tiny.IMAGENET[name]).view(3, 1, 1) for name in ("image_mean", "image_std"))
    boxes = torch.tensor(BOXES[:3]) * torch.tensor([128 / 120, 128 / 90] * 2)
    with torch.inference_mode():
        outputs = model(
            pixel_values=((pixels - mean) / std)[None], input_boxes=boxes[None], multimask_output=False
        )
    logits = torch.nn.functional.interpolate(outputs.pred_masks[0], (90, 120), mode="bilinear")
    for own, mask in zip(found, (logits[:, 0] > 0).numpy(), strict=True):
        assert np.count_nonzero(own.mask != mask) <= 2


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_gives_a_mask_per_box_whatever_it_is_batched_with(
    kind: str, folders: dict[str, Path]
) -> None:
    questions = [
        question(1),
        question(2, boxes=0),
        question(3, boxes=5, size=(120, 90)),
        question(4, boxes=1),
    ]
    one_by_one = segmenter(folders[kind], pictures_per_forward=1, boxes_per_chunk=1)
    alone = [one_by_one.answer([each])[0] for each in questions]
    together = segmenter(folders[kind], pictures_per_forward=3, boxes_per_chunk=2).answer(questions)
    assert [len(masks) for masks in together] == [3, 0, 5, 1]
    for before, after, asked in zip(alone, together, questions, strict=True):
        same(before, after)
        for each in after:
            assert each.mask.shape == asked.picture.rgb.shape[:2]
            assert each.mask.dtype == np.bool_
            assert 0 <= each.score <= 1
    assert not np.array_equal(together[0][0].mask, together[0][1].mask)


@pytest.mark.parametrize("kind", KINDS)
def test_of_three_candidates_the_best_by_estimate_is_taken(kind: str, folders: dict[str, Path]) -> None:
    backend = segmenter(folders[kind], multimask=True)
    network, asked = backend._network, question(1)
    (embedding,) = network.embed([asked.picture.rgb])
    boxes = torch.tensor(BOXES[:3], dtype=torch.float32)
    _, estimates = network.decode(embedding, boxes, multimask=True)
    (found,) = backend.answer([asked])
    best = estimates.max(dim=1).values.clip(0, 1)
    assert [each.score for each in found] == pytest.approx(best.tolist(), abs=1e-4)


def test_without_boxes_nothing_is_embedded(folder: Path) -> None:
    backend = segmenter(folder)
    backend._network.embed = None  # type: ignore[assignment]
    assert backend.answer([question(1, boxes=0)]) == [()]


def test_stability_is_the_iou_of_masks_at_raised_and_lowered_thresholds(folder: Path) -> None:
    backend = segmenter(folder, min_stability=0.5)
    network, asked = backend._network, question(1)
    (embedding,) = network.embed([asked.picture.rgb])
    logits, _ = network.decode(embedding, torch.tensor(BOXES[:3], dtype=torch.float32), multimask=False)
    full = network.enlarge(embedding, logits[:, 0]).numpy()
    (found,) = backend.answer([asked])
    for own, values in zip(found, full, strict=True):
        (check,) = own.checks
        expected = np.count_nonzero(values > 1) / np.count_nonzero(values > -1)
        assert (check.name, check.low) == ("mask_stability", 0.5)
        assert check.value == pytest.approx(expected, abs=1e-4)


def test_labels_and_shipped_masks_are_not_sent(folder: Path) -> None:
    asked = question(1, boxes=1)
    hint = MaskHint(
        box=Box(x0=0, y0=0, x1=9, y1=9), mask=to_rle(block(0, 0, 9, 9)), predicted_iou=0.9, stability=0.9
    )
    other = replace(asked, detections=(replace(asked.detections[0], label="mug", score=0.4),), hints=(hint,))
    options = SamOptions(weights=str(folder))
    assert SamSegmenter.sent(options, asked) == SamSegmenter.sent(options, other)
    assert SamSegmenter.sent(options, asked) != SamSegmenter.sent(options, question(1, boxes=2))


def test_a_damaged_picture_costs_no_neighbor_its_masks(folder: Path) -> None:
    good = question(1)
    backend = segmenter(folder)
    first, second = backend.answer([replace(good, picture=damaged()), good])
    assert isinstance(first, SampleError)
    assert first.reason is Reason.SOURCE_CHANGED
    assert first.__traceback__ is None
    same(second, backend.answer([good])[0])


@pytest.mark.parametrize("broken", ["logits", "estimates"])
def test_output_that_is_not_finite_is_an_error_of_its_question(folder: Path, broken: str) -> None:
    backend = segmenter(folder)
    decode = backend._network.decode

    def nan(embedding: Any, boxes: Any, *, multimask: bool) -> Any:
        logits, estimates = (each.clone() for each in decode(embedding, boxes, multimask=multimask))
        if len(boxes) == 1:
            (logits if broken == "logits" else estimates)[0, 0] = float("nan")
        return logits, estimates

    backend._network.decode = nan  # type: ignore[method-assign]
    first, second = backend.answer([question(1, boxes=1), question(2, boxes=2)])
    assert isinstance(first, SampleError)
    assert first.reason is Reason.BACKEND_ERROR
    assert "is not finite" in first.detail
    assert len(second) == 2


def test_a_batch_that_does_not_fit_is_halved_by_the_pool(folder: Path) -> None:
    questions = [question(seed) for seed in range(4)]
    backend = segmenter(folder, pictures_per_forward=4)
    expected = [backend.answer([each])[0] for each in questions]
    embed = backend._network.embed

    def small(images: Any) -> Any:
        if len(images) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return embed(images)

    backend._network.embed = small  # type: ignore[method-assign]
    noted = NotedBackend(backend)
    for before, after in zip(expected, ask_in_a_pool(noted, questions, max_batch=4), strict=True):
        same(before, after)
    assert sorted(noted.sizes) == [1, 1, 1, 1, 2, 2, 4]


def changed(folder: Path, target: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    shutil.copytree(folder, target)
    tensors = load_file(target / "model.safetensors")
    change(tensors)
    save_file(tensors, target / "model.safetensors", metadata={"format": "pt"})
    write_lock(target, "changed")
    return target


NAME = "vision_encoder.pos_embed"


def test_weights_that_lack_a_tensor_or_have_another_size_are_no_model(folder: Path, tmp_path: Path) -> None:
    for case, change, words in (
        ("missing", lambda t: t.pop(NAME), f"missing {NAME}"),
        ("more", lambda t: t.update(more=torch.zeros(2)), "unexpected more"),
        ("size", lambda t: t.update({NAME: torch.zeros(1, 4, 4, 32)}), f"{NAME} has shape"),
    ):
        with pytest.raises(ModelUnavailable, match=words):
            segmenter(changed(folder, tmp_path / case, change))


def test_a_folder_of_another_model_is_refused_by_its_type(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "other"
    shutil.copytree(folder, copy)
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "model_type": "sam3"}))
    write_lock(copy, "other")
    with pytest.raises(ModelUnavailable, match=r"'sam3' \(available: sam, sam2, sam2_video, sam_hq\)"):
        segmenter(copy)
