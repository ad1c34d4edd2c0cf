"""Detector ``sam3``: boxes of all instances of each noun phrase."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from tasks.backends.torch.checkpoints import checked_path, identity_of_weights, require_finite
from tasks.backends.torch.sam3.options import BATCHING, VERSION, Sam3Options
from tasks.imaging.geometry import clip, iou
from tasks.records.errors import ModelUnavailable, SampleError
from tasks.records.records import Box, ModelIdentity
from tasks.records.settings_base import Settings
from tasks.roles.backend import LocalBackend
from tasks.roles.questions import Detection, DetectQuestion

if TYPE_CHECKING:
    import torch

    from tasks.backends.torch.sam3.instances import Found


class Sam3DetectorOptions(Sam3Options):
    """Which boxes are given, and how many phrases are looked for together."""

    low_score: float = Field(
        default=0.2,
        ge=0,
        le=1,
        description="boxes below are dropped; a score is P(instance) x P(phrase is in the picture)",
    )
    same_iou: float = Field(
        default=0.7, gt=0, le=1, description="IoU from which two boxes of one phrase are one instance"
    )
    phrases_per_forward: int = Field(default=16, ge=1, description="(picture, phrase) pairs in one forward")
    phrases_kept: int = Field(default=4096, ge=0, description="phrases whose text features are remembered")


class Sam3Detector(LocalBackend[DetectQuestion, tuple[Detection, ...]]):
    """Looks for each name by itself; names of one picture share its features, pictures with one name its text's."""

    Options: ClassVar[type[Settings]] = Sam3DetectorOptions
    answering = frozenset({"dtype", "low_score", "same_iou"})
    idle = BATCHING | {"phrases_per_forward", "phrases_kept"}
    reproducible = False
    wire = 1

    def __init__(self, options: Sam3DetectorOptions) -> None:
        self._options = options
        folder = checked_path(options, self.identity_of(options).digest)
        try:
            from tasks.backends.torch.sam3.instances import InstanceFinder  # noqa: PLC0415 - heavy
        except ImportError as error:
            msg = f"the detector sam3 needs PyTorch and transformers (make setup-torch): {error}"
            raise ModelUnavailable(msg) from error
        self._finder = InstanceFinder(folder, options, self.identity_of(options).digest)

    @classmethod
    def identity_of(cls, options: Sam3DetectorOptions) -> ModelIdentity:
        """The folder's name, with revision and digest as stated by the options or by the lock file beside the folder.

        Raises:
            ConfigurationError: no digest is stated, or option and lock file state different ones.
        """
        model = f"SAM 3 ({Path(options.weights).name})"
        return identity_of_weights(options, role="detector", backend="sam3", model=model, version=VERSION)

    def answer(self, questions: Sequence[DetectQuestion]) -> list[Any]:
        """Detections of each question, best first, in pixels of its picture; no names give none.

        A question that fails has its `SampleError`: a picture that cannot be opened, a name that is empty or too
        long, an output that is not finite.
        """
        answers: list[Any] = [()] * len(questions)
        ready: list[int] = []
        for index, question in enumerate(questions):
            try:
                if question.names:
                    self._finder.check(question.names)
                    _ = question.picture.rgb
                    ready.append(index)
            except SampleError as error:
                answers[index] = error.with_traceback(None)
        found = self._finder(
            [(questions[i].picture, tuple(dict.fromkeys(questions[i].names))) for i in ready]
        )
        for index, instances in zip(ready, found, strict=True):
            try:
                answers[index] = self._detections(questions[index], instances)
            except SampleError as error:
                answers[index] = error.with_traceback(None)
        return answers

    def _detections(self, question: DetectQuestion, found: Sequence[Found]) -> tuple[Detection, ...]:
        height, width = question.picture.rgb.shape[:2]
        kept: list[Detection] = []
        for of_phrase in found:
            require_finite(of_phrase.scores, "a score")
            require_finite(of_phrase.boxes, "a box")
            own: list[Detection] = []
            for score, corners in _best_first(of_phrase.scores, of_phrase.boxes, self._options.low_score):
                box = _pixels(corners, width, height)
                if box.area and all(iou(box, other.box) <= self._options.same_iou for other in own):
                    own.append(Detection(label=of_phrase.phrase, box=box, score=score))
            kept += own
        return tuple(sorted(kept, key=lambda d: (-d.score, d.label, d.box.x0, d.box.y0)))


def _best_first(scores: torch.Tensor, boxes: torch.Tensor, low: float) -> list[tuple[float, list[float]]]:
    """Pairs of score (4 decimals) and corners as shares of the picture, of at least ``low``."""
    pairs = [(round(s, 4), b) for s, b in zip(scores.tolist(), boxes.tolist(), strict=True)]
    return sorted((pair for pair in pairs if pair[0] >= max(low, 1e-4)), key=lambda pair: -pair[0])


def _pixels(corners: Sequence[float], width: int, height: int) -> Box:
    """The box in whole pixels, clipped to the picture (may be empty)."""
    x0, y0, x1, y1 = corners
    box = Box(x0=round(x0 * width), y0=round(y0 * height), x1=round(x1 * width), y1=round(y1 * height))
    return clip(box, width, height)
