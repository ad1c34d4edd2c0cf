"""The perception bench at debug size: every part is measured by every way, and both ways see the same."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from transformers import GroundingDinoForObjectDetection, SamConfig, SamModel  # noqa: E402

from tasks.backends.torch.grounding_dino.detector import GroundingDinoDetector  # noqa: E402
from tasks.backends.torch.ram.loading import empty_network  # noqa: E402
from tasks.backends.torch.ram.tagger import RamPlusTagger  # noqa: E402
from tasks.backends.torch.sam.segmenter import SamSegmenter  # noqa: E402
from tasks.imaging.geometry import clip, iou  # noqa: E402
from tasks.roles.picture import Picture  # noqa: E402
from tasks.roles.questions import Detection, DetectQuestion, SegmentQuestion, TagQuestion  # noqa: E402
from tests.gpu import checkpoints, plain_loops  # noqa: E402
from tests.gpu.checkpoints import DEBUG, FULL  # noqa: E402
from tests.gpu.perception import Bench, main, perception_rates  # noqa: E402

WAYS = {"plain", "float32", "bfloat16"}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROUNDEDIT_CACHE", str(tmp_path / "cache"))


def test_every_part_is_measured_by_every_way(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "figures.json"
    assert main(["--debug", "--device", "cpu", "--out", str(out)]) == 0
    figures = json.loads(out.read_text(encoding="utf-8"))
    parts = {part["model"]: part["runs"] for part in figures["parts"]}
    assert list(parts) == ["RAM++", "GroundingDINO-T", "GroundingDINO-B", "SAM-H", "LaMa", "BAGEL"]
    for name, runs in parts.items():
        ways = WAYS - {"LaMa": {"bfloat16"}, "BAGEL": {"bfloat16"}}.get(name, set())
        assert {run["way"] for run in runs} == ways
        assert all(run["rate"] > 0 and run["peak"] > 0 and run["count"] > 0 for run in runs)
    assert set(figures["machine"]) == {"device", "torch", "transformers", "python"}
    for way, rate in figures["perception"].items():
        seconds = [
            1 / next(run["rate"] for run in parts[name] if run["way"] == way)
            for name in ("RAM++", "GroundingDINO-T", "SAM-H")
        ]
        assert rate == pytest.approx(1 / sum(seconds))
    shown = capsys.readouterr().out
    assert all(name in shown for name in parts)


def test_parts_that_the_time_does_not_allow_are_named(tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    assert main(["--debug", "--device", "cpu", "--limit-s", "0", "--parts", "LaMa", "--out", str(out)]) == 1
    figures = json.loads(out.read_text(encoding="utf-8"))
    assert (figures["skipped"], figures["parts"], figures["perception"]) == (["LaMa"], [], {})


def test_a_cpu_is_refused_at_full_size(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--device", "cpu"]) == 2
    assert "add --debug" in capsys.readouterr().err


def test_without_one_of_the_three_there_is_no_rate_of_perception() -> None:
    assert perception_rates({}) == {}


def test_the_plain_tagger_gives_the_tags_of_the_backend(tmp_path: Path) -> None:
    files = checkpoints.write_ram(tmp_path, DEBUG)
    bench = Bench(DEBUG, "cpu", tmp_path)
    plain = plain_loops.PlainTagger(files, DEBUG, "cpu")
    options = RamPlusTagger.Options(
        **files, device="cpu", image_size=DEBUG.ram.swin.image, max_tags=DEBUG.ram.tags
    )
    questions = [TagQuestion(subject="t", picture=Picture.of_pixels(image)) for image in bench.images]
    for image, tags in zip(bench.images, RamPlusTagger(options).answer(questions), strict=True):
        expected = {f"tag {n}": float(p) for n, p in enumerate(plain(image)) if p > 0.5}
        assert {tag.name: tag.score for tag in tags} == pytest.approx(expected, abs=1e-3)
        assert tags


def test_the_plain_detector_finds_the_boxes_of_the_backend_asked_its_way(tmp_path: Path) -> None:
    files = checkpoints.write_dino(tmp_path, DEBUG, "T")
    bench = Bench(DEBUG, "cpu", tmp_path)
    plain = plain_loops.PlainDetector(files, DEBUG, "cpu")
    plain.threshold = plain.score_of_rank(bench.images[0], bench.names, 8)
    given = {"labels": "classical", "text_threshold": 0.2, "separator": "comma", "tags_per_caption": 99}
    kept = {"drop_groups": False, "max_box_share": 1.0, "box_threshold": plain.threshold}
    options = GroundingDinoDetector.Options(**files, **given, **kept, device="cpu")
    questions = [
        DetectQuestion(subject="d", picture=Picture.of_pixels(image), names=bench.names)
        for image in bench.images
    ]
    found = GroundingDinoDetector(options).answer(questions)
    for image, answer in zip(bench.images, found, strict=True):
        height, width = image.shape[:2]
        expected = [(clip(box, width, height), score) for box, score, _ in plain(image, bench.names)]
        assert len(expected) == len(answer)
        for (box, score), detection in zip(expected, answer, strict=True):
            assert iou(box, detection.box) > 0.9
            assert detection.score == pytest.approx(score, abs=1e-3)
    assert sum(map(len, found)) > 0


def test_the_plain_segmenter_draws_the_masks_of_the_backend(tmp_path: Path) -> None:
    files = checkpoints.write_sam(tmp_path, DEBUG)
    bench = Bench(DEBUG, "cpu", tmp_path)
    plain = plain_loops.PlainSegmenter(files, DEBUG, "cpu")
    found = tuple(Detection(label="thing", box=box, score=0.5) for box in bench.boxes)
    questions = [
        SegmentQuestion(subject="s", picture=Picture.of_pixels(image), detections=found)
        for image in bench.images
    ]
    backend = SamSegmenter(SamSegmenter.Options(**files, device="cpu"))
    for image, answer in zip(bench.images, backend.answer(questions), strict=True):
        for mask, drawn in zip(plain(image, bench.boxes), answer, strict=True):
            assert np.mean(mask == drawn.mask) > 0.99


def test_the_full_sizes_have_the_published_numbers_of_parameters() -> None:
    with torch.device("meta"):
        networks = {
            "RAM++": empty_network(FULL.ram),
            **{x: GroundingDinoForObjectDetection(checkpoints.dino_config(FULL, x)) for x in ("T", "B")},
            "SAM-H": SamModel(SamConfig(**FULL.sam)),
        }
    millions = {name: sum(p.numel() for p in each.parameters()) / 1e6 for name, each in networks.items()}
    assert millions == pytest.approx({"RAM++": 329.5, "T": 172, "B": 233, "SAM-H": 641}, rel=0.01)


def test_suppression_keeps_the_best_of_boxes_that_overlap() -> None:
    corners = np.array([[0, 0, 10, 10], [1, 1, 11, 11], [20, 0, 30, 10], [0, 0, 4, 10]], np.float64)
    assert plain_loops.suppressed(corners, np.array([0.5, 0.9, 0.1, 0.8])) == [1, 3, 2]
