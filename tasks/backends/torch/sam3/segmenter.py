"""Segmenter ``sam3``: a mask for each box, by the tracker of SAM 3 as SAM draws one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from tasks.backends.torch.checkpoints import checked_path, identity_of_weights
from tasks.backends.torch.sam3.options import BATCHING, VERSION, Sam3Options
from tasks.records.errors import ModelUnavailable, SampleError
from tasks.records.measuring import measure
from tasks.records.records import ModelIdentity
from tasks.records.settings_base import Settings
from tasks.roles.backend import LocalBackend
from tasks.roles.questions import Segmentation, SegmentQuestion

METHOD = "sam3-box"
"""``mask_method`` of its masks."""


class Sam3SegmenterOptions(Sam3Options):
    """The bound of the check, and how many boxes are drawn together."""

    min_stability: float = Field(
        default=0.9,
        ge=0,
        le=1,
        description="minimum IoU of a mask's versions at raised and lowered threshold; a check of each mask",
    )
    boxes_per_forward: int = Field(default=32, ge=1, description="boxes of one picture decoded together")


class Sam3Segmenter(LocalBackend[SegmentQuestion, tuple[Segmentation, ...]]):
    """One mask per box, its score the network's estimate of its IoU, its stability a check.

    What the detector of the same checkpoint has encoded in this process is not encoded again.
    """

    Options: ClassVar[type[Settings]] = Sam3SegmenterOptions
    answering = frozenset({"dtype", "min_stability"})
    idle = BATCHING | {"boxes_per_forward"}
    reproducible = False
    wire = 1

    def __init__(self, options: Sam3SegmenterOptions) -> None:
        self._options = options
        folder = checked_path(options, self.identity_of(options).digest)
        try:
            from tasks.backends.torch.sam3.box_masks import BoxMasks  # noqa: PLC0415 - heavy
        except ImportError as error:
            msg = f"the segmenter sam3 needs PyTorch and transformers (make setup-torch): {error}"
            raise ModelUnavailable(msg) from error
        self._masks = BoxMasks(folder, options, self.identity_of(options).digest)

    @classmethod
    def identity_of(cls, options: Sam3SegmenterOptions) -> ModelIdentity:
        """The folder's name, with revision and digest as stated by the options or by the lock file beside the folder.

        Raises:
            ConfigurationError: no digest is stated, or option and lock file state different ones.
        """
        model = f"SAM 3 ({Path(options.weights).name})"
        return identity_of_weights(options, role="segmenter", backend="sam3", model=model, version=VERSION)

    @classmethod
    def sent(cls, options: Any, question: SegmentQuestion) -> Mapping[str, Any]:
        """Picture and boxes; labels and shipped masks are not looked at."""
        del options
        boxes = [[d.box.x0, d.box.y0, d.box.x1, d.box.y1] for d in question.detections]
        return {"picture": question.picture.recipe, "boxes": boxes}

    def answer(self, questions: Sequence[SegmentQuestion]) -> list[Any]:
        """One `Segmentation` per box of each question, in order; a picture without boxes is not encoded.

        A question that fails has its `SampleError`: a picture that cannot be opened, an output that is not finite.
        """
        answers: list[Any] = [()] * len(questions)
        ready: list[int] = []
        for index, question in enumerate(questions):
            try:
                if question.detections:
                    _ = question.picture.rgb
                    ready.append(index)
            except SampleError as error:
                answers[index] = error.with_traceback(None)
        features = self._masks.features([questions[index].picture for index in ready])
        for index, hidden in zip(ready, features, strict=True):
            try:
                answers[index] = self._segmentations(questions[index], hidden)
            except SampleError as error:
                answers[index] = error.with_traceback(None)
        return answers

    def _segmentations(self, question: SegmentQuestion, hidden: Any) -> tuple[Segmentation, ...]:
        boxes = [detection.box for detection in question.detections]
        return tuple(
            Segmentation(
                mask=drawn.mask,
                score=round(drawn.quality, 4),
                method=METHOD,
                checks=(measure("mask_stability", drawn.stability, low=self._options.min_stability),),
            )
            for drawn in self._masks(hidden, boxes, question.picture.rgb.shape[:2])
        )
