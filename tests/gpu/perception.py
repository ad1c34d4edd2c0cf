"""`python -m tests.gpu.perception`: batched backends against the plain one-picture loop, with the same random weights.

The networks are of full size with random weights, written as checkpoints and loaded by the backends as published ones
are; speed does not depend on the values. Every role is asked with batches as a pool asks, then the plain way of the
public auto-label demos answers the same questions one by one in float32. Decoding of files is left out on both sides.
A table and, with ``--out``, a JSON file give pictures per second and peak memory. ``--debug`` is for a CPU.
"""

from __future__ import annotations

import gc
import json
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from intercog_model.bench import peak_memory, random_pipeline
from intercog_model.config import FLAVORS
from intercog_model.inference.plain_modes import edit_crop
from intercog_model.inference.sampler import SamplerSettings, separate_velocities
from tasks.backends.torch.bagel_editor import BagelEditor, BagelEditorOptions
from tasks.backends.torch.grounding_dino.detector import GroundingDinoDetector
from tasks.backends.torch.lama.inpainter import LamaInpainter
from tasks.backends.torch.ram.tagger import RamPlusTagger
from tasks.backends.torch.sam.segmenter import SamSegmenter
from tasks.imaging.arrays import Image
from tasks.records.errors import SampleError
from tasks.records.records import Box, EditType
from tasks.roles.picture import Picture
from tasks.roles.questions import (
    Detection,
    DetectQuestion,
    EditQuestion,
    InpaintQuestion,
    SegmentQuestion,
    TagQuestion,
)
from tests.gpu import checkpoints, plain_loops
from tests.gpu.checkpoints import DEBUG, FULL, Sizes
from tests.gpu.device_arguments import measuring_parser, usable_device
from tests.tasks.backends.torch.tiny_perception import NOUNS
from tests.tasks.stages.instruction.example_scenes import cups, target

Answers = Callable[[int], object]
"""Answers the first so many questions of a part."""

BATCH = {"tagger": 16, "detector": 8, "segmenter": 8, "inpainter": 8, "editor": 4}
"""Questions in a batch, as ``max_batch`` of a pool has them."""

MODELS = ("RAM++", "GroundingDINO-T", "GroundingDINO-B", "SAM-H", "LaMa", "BAGEL")
"""All parts, in order."""

PERCEPTION = ("RAM++", "GroundingDINO-T", "SAM-H")
"""Parts whose seconds per picture make up the auto-label demo's."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One way through a part: which way, how many answers in how many seconds, and the peak of memory in bytes."""

    way: str
    count: int
    seconds: float
    peak: int

    @property
    def rate(self) -> float:
        """Answers per second."""
        return self.count / self.seconds


@dataclass(frozen=True, kw_only=True)
class Part:
    """A model in its role.

    Attributes:
        ways: name -> function that loads the model and gives a function that answers.
    """

    name: str
    unit: str
    count: int
    ways: dict[str, Callable[[], Answers]]


class Bench:
    """All parts of a run.

    Args:
        sizes: of networks and questions.
        device: as PyTorch names it.
        folder: for the checkpoints.
    """

    def __init__(self, sizes: Sizes, device: str, folder: Path) -> None:
        self.sizes, self.device, self.folder = sizes, device, folder
        draws = np.random.default_rng(0)
        self.images = [_texture(draws, sizes.picture) for _ in range(sizes.pictures)]
        self.names = NOUNS[: sizes.names]
        height, width = sizes.picture
        self.boxes = tuple(_some_box(draws, width, height) for _ in range(sizes.boxes))

    def parts(self) -> Iterator[Part]:
        """Each with its checkpoint written when it is due."""
        yield self._tagger()
        for letter in self.sizes.swins:
            yield self._detector(letter)
        yield self._segmenter()
        yield self._inpainter()
        yield self._editor()

    def _tagger(self) -> Part:
        files = checkpoints.write_ram(self.folder, self.sizes)
        questions = [TagQuestion(subject=f"t{n}", picture=p) for n, p in self._pictures()]
        options = {**files, "image_size": self.sizes.ram.swin.image}

        def plain() -> Answers:
            tag = plain_loops.PlainTagger(files, self.sizes, self.device)
            return lambda count: [tag(image) for image in self.images[:count]]

        return self._part("RAM++", "pictures", RamPlusTagger, options, questions, "tagger", plain)

    def _detector(self, letter: str) -> Part:
        files = checkpoints.write_dino(self.folder, self.sizes, letter)
        detector = plain_loops.PlainDetector(files, self.sizes, self.device)
        threshold = detector.score_of_rank(self.images[0], self.names, 30)
        del detector
        questions = [
            DetectQuestion(subject=f"d{n}", picture=p, names=self.names) for n, p in self._pictures()
        ]

        def plain() -> Answers:
            detect = plain_loops.PlainDetector(files, self.sizes, self.device, threshold)
            return lambda count: [detect(image, self.names) for image in self.images[:count]]

        options = {**files, "box_threshold": threshold}
        name = f"GroundingDINO-{letter}"
        return self._part(name, "pictures", GroundingDinoDetector, options, questions, "detector", plain)

    def _segmenter(self) -> Part:
        files = checkpoints.write_sam(self.folder, self.sizes)
        found = tuple(Detection(label="thing", box=box, score=0.5) for box in self.boxes)
        questions = [
            SegmentQuestion(subject=f"s{n}", picture=p, detections=found) for n, p in self._pictures()
        ]

        def plain() -> Answers:
            segment = plain_loops.PlainSegmenter(files, self.sizes, self.device)
            return lambda count: [segment(image, self.boxes) for image in self.images[:count]]

        return self._part("SAM-H", "pictures", SamSegmenter, dict(files), questions, "segmenter", plain)

    def _inpainter(self) -> Part:
        files = checkpoints.write_lama(self.folder, self.sizes)
        side = self.sizes.window
        hole = np.zeros((side, side), np.bool_)
        hole[side // 3 : 2 * side // 3, side // 4 : side // 2] = True
        windows = [
            np.ascontiguousarray(np.resize(image, (side, side, 3)))
            for image in self.images[: 2 * self.sizes.crops]
        ]
        questions = [
            InpaintQuestion(subject=f"i{n}", picture=Picture.of_pixels(window), hole=hole)
            for n, window in enumerate(windows)
        ]

        def plain() -> Answers:
            fill = plain_loops.PlainInpainter(files, self.device)
            return lambda count: [fill(window, hole) for window in windows[:count]]

        options = dict(files)
        return self._part(
            "LaMa", "windows", LamaInpainter, options, questions, "inpainter", plain, ("float32",)
        )

    def _editor(self) -> Part:
        side = self.sizes.crop
        crops = [np.ascontiguousarray(np.resize(i, (side, side, 3))) for i in self.images[: self.sizes.crops]]
        inside = np.ones((side, side), np.bool_)
        questions = [
            EditQuestion(
                subject=f"e{n}",
                seed=n,
                picture=Picture.of_pixels(crop),
                mask=inside,
                label="thing",
                edit_type=EditType.COLOR,
                argument="blue",
                instruction="Make the thing blue.",
                source=Picture.of_pixels(crop),
                crop=Box(x0=0, y0=0, x1=side, y1=side),
                target=target(cups(), 1),
            )
            for n, crop in enumerate(crops)
        ]
        full = self.sizes is FULL
        dtype = torch.bfloat16 if full else torch.float32
        settings = SamplerSettings(points=self.sizes.points)

        def pipeline() -> Any:
            config = FLAVORS["released" if full else "debug"]()
            return random_pipeline(config, torch.device(self.device), dtype, released=full)

        def ours() -> Answers:
            # 29 GB of random weights are not worth a file: the loaded backend is put together from its parts.
            editor = object.__new__(BagelEditor)
            vars(editor).update(_options=BagelEditorOptions(points=self.sizes.points), _pipeline=pipeline())
            return partial(_ask, editor, questions, BATCH["editor"])

        def plain() -> Answers:
            one_by_one = replace(pipeline(), velocities=separate_velocities)
            return lambda count: [
                edit_crop(one_by_one, crop, "Make the thing blue.", number, settings)
                for number, crop in enumerate(crops[:count])
            ]

        name = str(dtype).removeprefix("torch.")
        ways = {"plain": plain, name: ours}
        unit = f"crops of {self.sizes.points - 1} steps"
        return Part(name="BAGEL", unit=unit, count=len(crops), ways=ways)

    def _part(
        self,
        name: str,
        unit: str,
        backend: Any,
        options: dict[str, Any],
        questions: Sequence[Any],
        role: str,
        plain: Callable[[], Answers],
        types: Sequence[str] = ("float32", "bfloat16"),
    ) -> Part:
        def ours(dtype: str) -> Answers:
            given = backend.Options(**options, device=self.device, dtype=dtype)
            return partial(_ask, backend(given), questions, BATCH[role])

        ways = {"plain": plain, **{dtype: partial(ours, dtype) for dtype in types}}
        return Part(name=name, unit=unit, count=len(questions), ways=ways)

    def _pictures(self) -> Iterator[tuple[int, Picture]]:
        return enumerate(Picture.of_pixels(image) for image in self.images)


def measured(part: Part, device: torch.device) -> list[Run]:
    """Every way of a part, each with a model of its own, after a short run that warms up."""
    runs = []
    for way, load in part.ways.items():
        with _clean(device):
            run = load()
            run(min(2, part.count))
            _wait(device)
            begun = time.perf_counter()
            run(part.count)
            _wait(device)
            seconds = time.perf_counter() - begun
            runs.append(Run(way=way, count=part.count, seconds=seconds, peak=peak_memory(device)))
            del run
    return runs


def report(found: dict[str, tuple[str, list[Run]]], skipped: Sequence[str]) -> str:
    """The figures as a table."""
    lines = [f"{'model':<18}{'way':<11}{'per second':>11}{'times plain':>13}{'peak GB':>9}  unit"]
    for name, (unit, runs) in found.items():
        plain = next(run for run in runs if run.way == "plain")
        for run in runs:
            times = run.rate / plain.rate
            lines.append(
                f"{name:<18}{run.way:<11}{run.rate:>11.2f}{times:>13.2f}{run.peak / 1e9:>9.2f}  {unit}"
            )
    for way, rate in perception_rates(found).items():
        lines.append(f"{'perception':<18}{way:<11}{rate:>11.2f}{'':>13}{'':>9}  pictures, sum of three")
    return "\n".join([*lines, *(f"{name:<18}skipped: out of time" for name in skipped)])


def perception_rates(found: dict[str, tuple[str, list[Run]]]) -> dict[str, float]:
    """Pictures per second through tagger, detector (T) and segmenter, one after the other, by way."""
    if not all(name in found for name in PERCEPTION):
        return {}
    ways = [{run.way: run for run in found[name][1]} for name in PERCEPTION]
    return {way: 1 / sum(1 / runs[way].rate for runs in ways) for way in ("plain", "float32", "bfloat16")}


def main(arguments: list[str] | None = None) -> int:
    """Measures all parts that the time allows; 1 when some were skipped, 2 for a device that is not there."""
    parser = measuring_parser("perception", __doc__, limit_s=400)
    parser.add_argument("--parts", nargs="+", help="only models whose names begin so")
    given = parser.parse_args(arguments)
    for start in given.parts or ():
        if not any(name.startswith(start) for name in MODELS):
            parser.error(f"--parts {start}: no model begins so (available: {', '.join(MODELS)})")
    device = usable_device(parser, given)
    if device is None:
        return 2
    begun = time.monotonic()
    found: dict[str, tuple[str, list[Run]]] = {}
    skipped: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(DEBUG if given.debug else FULL, given.device, Path(folder))
        for part in bench.parts():
            if given.parts and not part.name.startswith(tuple(given.parts)):
                continue
            if time.monotonic() - begun > given.limit_s:
                skipped.append(part.name)
                continue
            found[part.name] = (part.unit, measured(part, device))
            print(report({part.name: found[part.name]}, ()), flush=True)
    print(f"\n{machine(device)}\n{report(found, skipped)}")
    if given.out:
        parts = [
            {"model": name, "unit": unit, "runs": [{**asdict(r), "rate": r.rate} for r in runs]}
            for name, (unit, runs) in found.items()
        ]
        figures = {
            "machine": machine(device),
            "parts": parts,
            "perception": perception_rates(found),
            "skipped": skipped,
        }
        given.out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return 1 if skipped else 0


def machine(device: torch.device) -> dict[str, str]:
    """Device and versions, to stand beside the figures."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    return {
        "device": name,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "python": platform.python_version(),
    }


def _ask(backend: Any, questions: Sequence[Any], batch: int, count: int) -> None:
    """Puts the first ``count`` questions in batches; every one must have an answer."""
    for start in range(0, count, batch):
        for answer in backend.answer(questions[start : min(start + batch, count)]):
            if isinstance(answer, SampleError):
                raise answer


@contextmanager
def _clean(device: torch.device) -> Iterator[None]:
    """A way begins and ends with the device's memory given back, so that its peak is its own."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    yield
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _texture(draws: np.random.Generator, size: tuple[int, int]) -> Image:
    return draws.integers(0, 256, (*size, 3), dtype=np.uint8)


def _some_box(draws: np.random.Generator, width: int, height: int) -> Box:
    x0, y0 = int(draws.integers(0, width // 2)), int(draws.integers(0, height // 2))
    return Box(x0=x0, y0=y0, x1=x0 + width // 4, y1=y0 + height // 4)


if __name__ == "__main__":
    sys.exit(main())
