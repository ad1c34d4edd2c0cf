"""The detector on tiny checkpoints: equal to the model called plainly, whatever it is batched with; faults by name."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

import PIL.Image  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402
from transformers import (  # noqa: E402
    AutoModelForZeroShotObjectDetection,
    AutoTokenizer,
    GroundingDinoImageProcessorPil,
    GroundingDinoProcessor,
)

from tasks.backends.torch.grounding_dino.detector import (  # noqa: E402
    GroundingDinoDetector,
    GroundingDinoOptions,
)
from tasks.backends.torch.grounding_dino.network import _PhrasePositions, phrase_positions  # noqa: E402
from tasks.backends.torch.grounding_dino.scores import span_scores  # noqa: E402
from tasks.backends.weights import write_lock  # noqa: E402
from tasks.records.errors import ModelUnavailable, Reason, SampleError  # noqa: E402
from tasks.roles.picture import Picture  # noqa: E402
from tasks.roles.questions import Detection, DetectQuestion  # noqa: E402
from tests.tasks.backends.torch.in_a_pool import NotedBackend, ask_in_a_pool  # noqa: E402
from tests.tasks.backends.torch.tiny_perception import (  # noqa: E402
    tiny_grounding_dino,
    tiny_mm_grounding_dino,
)
from tests.tasks.roles.role_questions import damaged, grain  # noqa: E402

LOW = {"device": "cpu", "box_threshold": 0.0, "nms_iou": 1.0, "drop_groups": False, "max_box_share": 1.0}
"""All queries come back."""


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory):
    patch = pytest.MonkeyPatch()
    patch.setenv("GROUNDEDIT_CACHE", str(tmp_path_factory.mktemp("cache")))
    yield
    patch.undo()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_grounding_dino(tmp_path_factory.mktemp("weights") / "tiny")


@pytest.fixture(scope="module")
def mm_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_mm_grounding_dino(tmp_path_factory.mktemp("weights") / "mm")


def detector(folder: Path, **options: Any) -> GroundingDinoDetector:
    return GroundingDinoDetector(GroundingDinoOptions(weights=str(folder), **{"device": "cpu", **options}))


def question(seed: int, *names: str, size: tuple[int, int] = (90, 120)) -> DetectQuestion:
    return DetectQuestion(subject=f"q{seed}", picture=Picture.of_pixels(grain(seed, size)), names=names)


class Wrapped:
    """Takes the place of a backend's network and puts something around its forward pass."""

    def __init__(self, backend: GroundingDinoDetector, around: Callable[..., Any]) -> None:
        self.network, self.around = backend._network, around
        backend._network = self

    def __getattr__(self, name: str) -> Any:
        return getattr(self.network, name)

    def __call__(self, *arguments: Any) -> Any:
        return self.around(self.network, *arguments)


def close(a: tuple[Detection, ...], b: tuple[Detection, ...]) -> None:
    """Equal up to the last digits of float32; queries of nearly equal score may change places."""

    def order(d: Detection) -> tuple[Any, ...]:
        return d.label, d.box.x0, d.box.y0, d.box.x1, d.box.y1

    first, second = sorted(a, key=order), sorted(b, key=order)
    assert [order(d) for d in first] == [order(d) for d in second]
    assert np.allclose([d.score for d in first], [d.score for d in second], atol=1e-5)


@pytest.mark.parametrize("kind", ["folder", "mm_folder"])
def test_it_answers_as_the_model_called_plainly(kind: str, request: pytest.FixtureRequest) -> None:
    folder: Path = request.getfixturevalue(kind)
    asked = question(1, "cup", "traffic light", "dog", "car", "wall", "apple", "red hat")
    (found,) = detector(folder, **LOW).answer([asked])
    model = AutoModelForZeroShotObjectDetection.from_pretrained(folder).eval()
    _PhrasePositions(model.model)
    pictures = GroundingDinoImageProcessorPil.from_pretrained(folder)
    processor = GroundingDinoProcessor(pictures, AutoTokenizer.from_pretrained(folder))
    # As long as the caption, one picture, no padding: nothing of what the detector does beside the model.
    inputs = processor(
        images=PIL.Image.fromarray(asked.picture.rgb), text=[list(asked.names)], return_tensors="pt"
    )
    with torch.inference_mode():
        outputs = model(**inputs)
    tokens = inputs["input_ids"][0].tolist()
    stops = [index for index, token in enumerate(tokens) if token in (101, 1012)]
    spans = [(before + 1, after) for before, after in pairwise(stops)]
    scores, best = span_scores(outputs.logits[0], spans).max(dim=1)
    labels = [asked.names[index] for index in best.tolist()]
    assert len(set(labels)) > 1
    height, width = asked.picture.rgb.shape[:2]
    x, y, w, h = (outputs.pred_boxes[0] * torch.tensor([width, height, width, height])).T
    corners = torch.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], dim=1).round()
    corners[:, 0::2] = corners[:, 0::2].clip(0, width)
    corners[:, 1::2] = corners[:, 1::2].clip(0, height)
    expected = sorted(zip(labels, corners.int().tolist(), scores.tolist(), strict=True))
    got = sorted((d.label, [d.box.x0, d.box.y0, d.box.x1, d.box.y1], d.score) for d in found)
    assert len(got) == len(expected) == 20
    assert [(label, box) for label, box, _ in got] == [(label, box) for label, box, _ in expected]
    assert np.allclose([s for *_, s in got], [s for *_, s in expected], atol=1e-5)


def test_positions_count_within_a_phrase_up_to_the_separator_that_ends_it() -> None:
    rows = [
        [101, 50, 1012, 60, 61, 1012, 102, 0, 0],  # [CLS] cat . red car . [SEP]
        [101, 50, 51, 52, 53, 54, 1012, 102, 0],
        [101, 50, 1029, 60, 1012, 102, 0, 0, 0],
    ]
    expected = []
    for row in rows:
        counted, position = [], 0
        for token in row:
            counted.append(0 if token == 0 else position)
            position = 0 if token in (101, 102, 1012, 1029) else position + 1
        expected.append(counted)
    assert phrase_positions(torch.tensor(rows)).tolist() == expected


def test_neighbors_and_their_longer_captions_change_nothing(folder: Path) -> None:
    asked = question(1, "cup", "dog")
    others = [
        question(2, *("umbrella", "wall clock", "traffic light")),
        question(3, "x" * 50, size=(120, 90)),
    ]
    backend = detector(folder, **LOW)
    (alone,) = backend.answer([asked])
    close(alone, backend.answer([*others, asked, *others])[2])
    close(alone, detector(folder, **LOW, pairs_per_forward=1).answer([others[0], asked])[1])


def test_answers_depend_on_picture_and_names(folder: Path) -> None:
    backend = detector(folder)
    first, other_names, other_picture = backend.answer(
        [question(1, "cup", "dog"), question(1, "car", "tree"), question(2, "cup", "dog")]
    )
    assert {d.label for d in first} <= {"cup", "dog"}
    assert {d.label for d in other_names} <= {"car", "tree"}
    assert first != other_picture
    for found in (first, other_names, other_picture):
        assert found
        assert [d.score for d in found] == sorted((d.score for d in found), reverse=True)


def test_the_captions_of_a_picture_share_one_pass_of_the_backbone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = detector(folder, tags_per_caption=1)
    seen: list[tuple[int, ...]] = []
    inner = backend._network._backbone.backbone  # type: ignore[attr-defined]
    original = inner.forward

    def noted(pixel_values: Any, pixel_mask: Any) -> Any:
        seen.append(tuple(pixel_values.shape[:1]))
        return original(pixel_values, pixel_mask)

    monkeypatch.setattr(inner, "forward", noted)
    backend.answer([question(1, "cup", "dog", "car"), question(2, "cup")])
    assert seen == [(2,)]


def test_pictures_of_other_shapes_share_a_pass_on_a_larger_canvas(folder: Path) -> None:
    asked = [question(1, "cup", size=(90, 120)), question(2, "cup", size=(90, 110))]
    passes: list[int] = []

    def noted(network: Any, pictures: Any, *others: Any) -> Any:
        passes.append(len(pictures))
        return network(pictures, *others)

    for canvas_px, expected in ((1, [1, 1]), (64, [2])):
        passes.clear()
        backend = detector(folder, canvas_px=canvas_px)
        Wrapped(backend, noted)
        assert all(backend.answer(asked))
        assert passes == expected


def test_without_names_there_are_no_boxes(folder: Path) -> None:
    assert detector(folder).answer([question(1), question(2, "cup")])[0] == ()


def test_quarters_find_more_and_their_boxes_lie_in_the_picture(folder: Path) -> None:
    asked = question(1, "cup", "dog")
    (whole,) = detector(folder, **LOW).answer([asked])
    (found,) = detector(folder, **LOW, tiles=True).answer([asked])
    assert len(whole) < len(found) <= 5 * len(whole)
    assert {(d.label, d.box) for d in whole} <= {(d.label, d.box) for d in found}
    assert max(d.box.x1 for d in found) <= 120
    assert max(d.box.y1 for d in found) <= 90


def test_classical_labels_come_from_the_tokens(folder: Path) -> None:
    options = {"labels": "classical", "separator": "comma", "text_threshold": 0.2, "caption_tokens": 250}
    (found,) = detector(folder, **options).answer([question(1, "cup", "traffic light", "dog")])
    assert found
    words = {"cup", "dog", "light"}
    assert {word for d in found for word in d.label.split()} & words
    assert not any({".", ",", "[CLS]", "[SEP]"} & set(d.label.split()) for d in found)


def test_a_bad_question_costs_no_neighbor_its_answer(folder: Path) -> None:
    good = question(1, "cup")
    closed, too_long = replace(good, picture=damaged()), replace(good, names=("cup", "x" * 90))
    backend = detector(folder)
    first, second, third, fourth = backend.answer([closed, good, too_long, good])
    assert isinstance(first, SampleError)
    assert first.reason is Reason.SOURCE_CHANGED
    assert isinstance(third, SampleError)
    assert third.reason is Reason.BACKEND_ERROR
    assert first.__traceback__ is third.__traceback__ is None
    close(second, backend.answer([good])[0])
    close(fourth, second)


def test_output_that_is_not_finite_is_an_error_of_its_question(folder: Path) -> None:
    backend = detector(folder)

    def broken(network: Any, *arguments: Any) -> Any:
        logits, boxes = network(*arguments)
        logits = logits.clone()
        logits[1, 3, 1] = float("nan")
        return logits, boxes

    Wrapped(backend, broken)
    first, second = backend.answer([question(1, "cup"), question(2, "cup")])
    assert isinstance(second, SampleError)
    assert (second.reason, second.detail) == (Reason.BACKEND_ERROR, "a logit of the detector is not finite")
    assert not isinstance(first, SampleError)


def test_a_batch_that_does_not_fit_is_halved_by_the_pool(folder: Path) -> None:
    backend = detector(folder)

    def small(network: Any, pictures: Any, sizes: Any, owners: Any, captions: Any) -> Any:
        if len(captions) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return network(pictures, sizes, owners, captions)

    questions = [question(seed, "cup", "dog") for seed in range(8)]
    expected = [backend.answer([each])[0] for each in questions]
    Wrapped(backend, small)
    noted = NotedBackend(backend)
    for before, after in zip(expected, ask_in_a_pool(noted, questions, max_batch=8), strict=True):
        close(before, after)
    assert sorted(noted.sizes) == [2, 2, 2, 2, 4, 4, 8]


def changed(folder: Path, target: Path, change: Any) -> Path:
    """A copy of a folder with other tensors."""
    shutil.copytree(folder, target)
    tensors = load_file(target / "model.safetensors")
    change(tensors)
    save_file(tensors, target / "model.safetensors", metadata={"format": "pt"})
    write_lock(target, "changed")
    return target


NAME = "model.encoder.layers.0.fusion_layer.vision_param"


def test_weights_that_lack_a_tensor_or_have_another_size_are_no_model(folder: Path, tmp_path: Path) -> None:
    for case, change, words in (
        ("missing", lambda t: t.pop(NAME), f"missing {NAME}"),
        ("more", lambda t: t.update(more=torch.zeros(2)), "unexpected more"),
        ("size", lambda t: t.update({NAME: torch.zeros(7)}), f"{NAME} has shape"),
    ):
        with pytest.raises(ModelUnavailable, match=words):
            detector(changed(folder, tmp_path / case, change))


def test_a_pickled_checkpoint_is_not_opened(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "pickled"
    shutil.copytree(folder, copy)
    (copy / "model.safetensors").unlink()
    torch.save({"evil": print}, copy / "pytorch_model.bin")
    write_lock(copy, "pickled")
    with pytest.raises(ModelUnavailable, match="safetensors"):
        detector(copy)


def test_a_folder_of_another_model_is_refused_by_its_type(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "other"
    shutil.copytree(folder, copy)
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "model_type": "owlv2"}))
    write_lock(copy, "other")
    with pytest.raises(ModelUnavailable, match=r"'owlv2' \(available: grounding-dino, mm-grounding-dino\)"):
        detector(copy)


def test_a_folder_without_preprocessing_or_with_another_tokenizer_is_refused(
    folder: Path, tmp_path: Path
) -> None:
    bare = tmp_path / "bare"
    shutil.copytree(folder, bare)
    (bare / "preprocessor_config.json").unlink()
    write_lock(bare, "bare")
    with pytest.raises(ModelUnavailable, match="preprocessor_config"):
        detector(bare)
    other = tmp_path / "tokenizer"
    shutil.copytree(folder, other)
    path = other / "tokenizer.json"
    path.write_text(path.read_text().replace('".":1012', '"!":1012').replace('".": 1012', '"!": 1012'))
    write_lock(other, "tokenizer")
    with pytest.raises(ModelUnavailable, match="tokenizer"):
        detector(other)
