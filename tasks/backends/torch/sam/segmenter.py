"""Masks for boxes by SAM, HQ-SAM or SAM 2.1, from a folder as transformers writes it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field

from tasks.backends.torch.checkpoints import IDLE, TorchOptions, checked_path, identity_of_weights
from tasks.imaging.arrays import Image
from tasks.records.errors import ModelUnavailable, SampleError
from tasks.records.measuring import measure
from tasks.records.records import ModelIdentity
from tasks.roles.backend import LocalBackend
from tasks.roles.questions import Detection, Segmentation, SegmentQuestion

if TYPE_CHECKING:
    from tasks.backends.torch.sam.masks import FinishedMask
    from tasks.backends.torch.sam.network import Embedding, SamNetwork

VERSION = 1
"""Raised when the code around the model changes its output."""


class SegmentOptions(TorchOptions):
    """How boxes become masks, and how much is computed at once."""

    multimask: bool = Field(
        default=False,
        description="three candidates per box, of which the best by estimated IoU is taken; for loose boxes",
    )
    min_stability: float = Field(
        default=0.9,
        ge=0,
        le=1,
        description="minimum IoU of a mask's versions at raised and lowered threshold; a check of each mask",
    )
    pictures_per_forward: int = Field(
        default=2, ge=1, description="pictures in one forward pass of the encoder"
    )
    boxes_per_chunk: int = Field(
        default=32, ge=1, description="boxes decoded and enlarged together; bounds the memory of full masks"
    )


class BoxSegmenter(LocalBackend[SegmentQuestion, tuple[Segmentation, ...]]):
    """What segmenters of this family share.

    A mask's score is the network's estimate of its IoU; its stability is a check.
    """

    answering = frozenset({"dtype", "multimask", "min_stability"})
    idle = IDLE | {"pictures_per_forward", "boxes_per_chunk"}
    reproducible = False
    wire = 1
    method: ClassVar[str]
    """`Segmentation.method` of its masks."""

    def __init__(self, options: Any) -> None:
        self._options: SegmentOptions = options
        self._network = self._load(options)

    @classmethod
    @abstractmethod
    def _load(cls, options: Any) -> SamNetwork:
        """The network, loaded from the options' checkpoint.

        Raises:
            ModelUnavailable: it cannot be loaded.
        """

    @classmethod
    def sent(cls, options: Any, question: SegmentQuestion) -> Mapping[str, Any]:
        """Picture and boxes; labels and shipped masks are not looked at."""
        del options
        boxes = [[d.box.x0, d.box.y0, d.box.x1, d.box.y1] for d in question.detections]
        return {"picture": question.picture.recipe, "boxes": boxes}

    def answer(self, questions: Sequence[SegmentQuestion]) -> list[tuple[Segmentation, ...] | SampleError]:
        """A mask for each box, in order; each picture is embedded once, and not at all without boxes.

        A question has an error of its own when its picture cannot be opened or an output for it is not finite.
        """
        answers: dict[int, tuple[Segmentation, ...] | SampleError] = {}
        pictures: dict[int, Image] = {}
        for index, question in enumerate(questions):
            if not question.detections:
                answers[index] = ()
                continue
            try:
                pictures[index] = question.picture.rgb
            except SampleError as error:
                answers[index] = error.with_traceback(None)
        step = self._options.pictures_per_forward
        waiting = list(pictures)
        for start in range(0, len(waiting), step):
            part = waiting[start : start + step]
            embeddings = self._network.embed([pictures[index] for index in part])
            for index, embedding in zip(part, embeddings, strict=True):
                try:
                    answers[index] = self._masks(embedding, questions[index].detections)
                except SampleError as error:
                    answers[index] = error.with_traceback(None)
        return [answers[index] for index in range(len(questions))]

    def _masks(self, embedding: Embedding, detections: Sequence[Detection]) -> tuple[Segmentation, ...]:
        import torch  # noqa: PLC0415 - heavy, and only these backends need it

        from tasks.backends.torch.sam.masks import best_candidates, finish  # noqa: PLC0415

        network, options = self._network, self._options
        corners = np.array([[d.box.x0, d.box.y0, d.box.x1, d.box.y1] for d in detections], np.float32)
        boxes = torch.from_numpy(corners)
        found: list[FinishedMask] = []
        for chunk in boxes.split(options.boxes_per_chunk):
            logits, quality = best_candidates(*network.decode(embedding, chunk, multimask=options.multimask))
            found += finish(logits, quality, lambda small: network.enlarge(embedding, small))
        return tuple(self._segmentation(each) for each in found)

    def _segmentation(self, found: FinishedMask) -> Segmentation:
        stable = measure("mask_stability", found.stability, low=self._options.min_stability)
        return Segmentation(
            mask=found.mask, score=round(found.quality, 4), method=self.method, checks=(stable,)
        )


class SamOptions(SegmentOptions):
    """A model folder; its ``config.json`` says which of the models it is."""

    weights: str = Field(
        default="weights/sam-vit-huge",
        description="a folder with config.json, safetensors and preprocessor_config.json",
    )


class SamSegmenter(BoxSegmenter):
    """The models as transformers has them; no torchvision."""

    Options: ClassVar[type[SamOptions]] = SamOptions
    method = "sam"

    @classmethod
    def identity_of(cls, options: SamOptions) -> ModelIdentity:
        """The folder's name, with revision and digest as stated by the options or the lock file beside the folder.

        Raises:
            ConfigurationError: no digest is stated, or option and lock file state different ones.
        """
        model = f"Segment Anything ({Path(options.weights).name})"
        return identity_of_weights(options, role="segmenter", backend="sam", model=model, version=VERSION)

    @classmethod
    def _load(cls, options: SamOptions) -> SamNetwork:
        folder = checked_path(options, cls.identity_of(options).digest)
        try:
            from tasks.backends.torch.sam.network import TransformersSam  # noqa: PLC0415
        except ImportError as error:
            msg = f"the backend sam needs PyTorch and transformers (make setup-torch): {error}"
            raise ModelUnavailable(msg) from error
        return TransformersSam(folder, device=options.device, dtype=options.dtype)
