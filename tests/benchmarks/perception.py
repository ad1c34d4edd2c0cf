"""Questions per second of the batched detector and segmenter against the same models, one thing at a time.

    python -m tests.benchmarks.perception                  tiny random models on the CPU, half a minute
    python -m tests.benchmarks.perception --device cuda    the same on a GPU
    python -m tests.benchmarks.perception --detector FOLDER --segmenter FOLDER   your checkpoints

"One at a time" is the loop of the public auto-label scripts: one caption of one picture per forward pass, each with its
own pass of the backbone; one picture per pass of the segmenter's encoder, its boxes decoded one after the other.
"Batched" is what a pool asks of a backend: eight questions per call. Both answer the same questions with the same
weights in one process; the order alternates and the best of three rounds counts.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tasks.backends.torch.grounding_dino.detector import GroundingDinoDetector, GroundingDinoOptions
from tasks.backends.torch.sam.segmenter import SamOptions, SamSegmenter
from tasks.records.records import Box
from tasks.roles.picture import Picture
from tasks.roles.questions import Detection, DetectQuestion, SegmentQuestion
from tests.tasks.backends.torch.tiny_perception import NOUNS, tiny_grounding_dino, tiny_sam
from tests.tasks.roles.role_questions import grain

BATCH = 8
ROUNDS = 3
NAMES_PER_PICTURE = 24
BOXES_PER_PICTURE = 12
SIZE = (300, 400)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--questions", type=int, default=32, help="per role")
    parser.add_argument("--device", default="cpu", help="as PyTorch names it")
    parser.add_argument("--detector", type=Path, help="folder of a GroundingDINO; its lock file beside it")
    parser.add_argument("--segmenter", type=Path, help="folder of a SAM; its lock file beside it")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        os.environ["GROUNDEDIT_CACHE"] = str(Path(root) / "cache")
        detector = arguments.detector or tiny_grounding_dino(Path(root) / "detector")
        segmenter = arguments.segmenter or tiny_sam(Path(root) / "segmenter")
        rows = [
            ("detector", *_detector(detector, arguments.device, arguments.questions)),
            ("segmenter", *_segmenter(segmenter, arguments.device, arguments.questions)),
        ]
    print(f"{'':<12}{'one at a time':>16}{'batched':>12}{'times':>8}")
    for role, plain, batched in rows:
        print(f"{role:<12}{plain:>14.1f}/s{batched:>10.1f}/s{batched / plain:>8.1f}")


def _detector(folder: Path, device: str, count: int) -> tuple[float, float]:
    questions = [
        DetectQuestion(
            subject=str(seed),
            picture=Picture.of_pixels(grain(seed, SIZE)),
            names=tuple(NOUNS[(seed + index) % len(NOUNS)] for index in range(NAMES_PER_PICTURE)),
        )
        for seed in range(count)
    ]
    options = GroundingDinoOptions(weights=str(folder), device=device)
    plain = GroundingDinoDetector(options.model_copy(update={"pairs_per_forward": 1}))
    return _compare(plain, GroundingDinoDetector(options), questions)


def _segmenter(folder: Path, device: str, count: int) -> tuple[float, float]:
    boxes = [(20 * n, 15 * n, 20 * n + 120, 15 * n + 90) for n in range(BOXES_PER_PICTURE)]
    detections = tuple(
        Detection(label="cup", score=0.9, box=Box(x0=x0, y0=y0, x1=x1, y1=y1)) for x0, y0, x1, y1 in boxes
    )
    questions = [
        SegmentQuestion(
            subject=str(seed), picture=Picture.of_pixels(grain(seed, SIZE)), detections=detections
        )
        for seed in range(count)
    ]
    options = SamOptions(weights=str(folder), device=device, pictures_per_forward=BATCH)
    plain = SamSegmenter(options.model_copy(update={"pictures_per_forward": 1, "boxes_per_chunk": 1}))
    return _compare(plain, SamSegmenter(options), questions)


def _compare(plain: Any, batched: Any, questions: Sequence[Any]) -> tuple[float, float]:
    """Questions per second, one at a time and in batches."""

    def one_by_one() -> None:
        for question in questions:
            plain.answer([question])

    def together() -> None:
        for start in range(0, len(questions), BATCH):
            batched.answer(questions[start : start + BATCH])

    for warm in (plain, batched):
        warm.answer(questions[:BATCH])
    rates = [(_rate(one_by_one, len(questions)), _rate(together, len(questions))) for _ in range(ROUNDS)]
    return max(rate for rate, _ in rates), max(rate for _, rate in rates)


def _rate(run: Callable[[], None], count: int) -> float:
    begun = time.perf_counter()
    run()
    return count / (time.perf_counter() - begun)


if __name__ == "__main__":
    main()
