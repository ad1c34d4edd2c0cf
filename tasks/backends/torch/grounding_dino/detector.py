"""Open-vocabulary boxes by GroundingDINO, MM-GroundingDINO or LLMDet, from a folder as transformers writes it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

import numpy as np
from pydantic import Field

from tasks.backends.torch.checkpoints import (
    IDLE,
    TorchOptions,
    checked_path,
    identity_of_weights,
    require_finite,
)
from tasks.backends.torch.grounding_dino.batches import Batch, View, batches, views_of
from tasks.backends.torch.grounding_dino.boxes import Corners, Suppression, in_view, suppress
from tasks.backends.torch.grounding_dino.captions import Caption, write_captions
from tasks.backends.torch.grounding_dino.scores import LabeledBoxes, label_by_span, label_by_tokens
from tasks.backends.torch.picture_input import Preprocessing, stacked
from tasks.records.errors import ModelUnavailable, SampleError
from tasks.records.records import ModelIdentity
from tasks.roles.backend import LocalBackend
from tasks.roles.questions import Detection, DetectQuestion

if TYPE_CHECKING:
    import torch

VERSION = 1
"""Raised when the code around the model changes its output."""


class GroundingOptions(TorchOptions):
    """How names become captions and how boxes are chosen."""

    box_threshold: float = Field(default=0.25, ge=0, le=1, description="minimum score of a box")
    labels: Literal["span", "classical"] = Field(
        default="span",
        description="label of a box: the name with the best score over its own tokens, or the text of all tokens "
        "above text_threshold as Grounded-SAM has it",
    )
    text_threshold: float = Field(
        default=0.25, ge=0, le=1, description="minimum of a token in a classical label"
    )
    tags_per_caption: int = Field(
        default=10, ge=1, description="names in one caption; fewer are slower and found more surely"
    )
    caption_tokens: int = Field(
        default=64, ge=8, le=250, description="tokens of a caption at most; all captions are padded to it"
    )
    separator: Literal["dot", "comma"] = Field(
        default="dot", description="between names; behind a comma names of one caption influence each other"
    )
    tiles: bool = Field(default=False, description="look at four overlapping quarters too, for small objects")
    tile_share: float = Field(
        default=0.6, gt=0.5, lt=1, description="side of a quarter as a share of the picture's"
    )
    canvas_px: int = Field(
        default=1,
        ge=1,
        le=1024,
        description="sides of the network's input are padded to multiples of this; larger lets pictures of more "
        "shapes share a forward pass",
    )
    nms_iou: float = Field(
        default=0.5, gt=0, le=1, description="overlap above which the weaker box is dropped"
    )
    suppress: Literal["all_labels", "same_label"] = Field(
        default="all_labels",
        description="which boxes suppress each other; with same_label grounding sees a box's rivals and refuses "
        "contested targets, synonyms included",
    )
    drop_groups: bool = Field(default=True, description="drop a box around two or more boxes of its label")
    max_box_share: float = Field(default=0.9, gt=0, le=1, description="largest box as a share of the picture")
    pairs_per_forward: int = Field(
        default=8, ge=1, description="pairs of a picture (or quarter) and a caption in one forward pass"
    )


ANSWERING = frozenset(GroundingOptions.model_fields) - {
    "weights",
    "revision",
    "digest",
    "device",
    "pairs_per_forward",
}
"""Options that change an answer; revision and digest reach its key as the model's identity."""


class Network(Protocol):
    """A loaded detector."""

    preprocessing: Preprocessing

    def encode(self, text: str) -> Sequence[int]:
        """Token ids of a text, without special tokens."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """The text of token ids."""
        ...

    def __call__(
        self,
        pictures: torch.Tensor,
        sizes: Sequence[tuple[int, int]],
        owners: Sequence[int],
        captions: Sequence[Caption],
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits (P, Q, T) and boxes (P, Q, 4) of P pairs (`GroundingNetwork`)."""
        ...


class GroundingDetector(LocalBackend[DetectQuestion, tuple[Detection, ...]]):
    """What detectors of this family share: captions, views, batches, scores and suppression."""

    answering = ANSWERING
    idle = IDLE | {"pairs_per_forward"}
    reproducible = False
    wire = 1

    def __init__(self, options: Any) -> None:
        self._options: GroundingOptions = options
        self._network = self._load(options)

    @classmethod
    @abstractmethod
    def _load(cls, options: Any) -> Network:
        """The network, loaded from the options' checkpoint.

        Raises:
            ModelUnavailable: it cannot be loaded.
        """

    def answer(self, questions: Sequence[DetectQuestion]) -> list[tuple[Detection, ...] | SampleError]:
        """All boxes above the threshold after suppression, best first, in pixels of the picture.

        A question has an error of its own when its picture cannot be opened, a name does not fit a caption, or the
        network's output for it is not finite.
        """
        errors: dict[int, SampleError] = {}
        asked: list[tuple[View, Sequence[Caption]]] = []
        for index, question in enumerate(questions):
            try:
                asked += self._pairs(index, question)
            except SampleError as error:
                errors[index] = error.with_traceback(None)
        found: dict[int, list[tuple[View, LabeledBoxes]]] = {}
        for batch in batches(asked, self._options.pairs_per_forward):
            for view, boxes in self._look(batch):
                if isinstance(boxes, SampleError):
                    errors.setdefault(view.question, boxes)
                else:
                    found.setdefault(view.question, []).append((view, boxes))
        return [
            errors.get(index) or self._choose(question, found.get(index, ()))
            for index, question in enumerate(questions)
        ]

    def _pairs(self, index: int, question: DetectQuestion) -> list[tuple[View, Sequence[Caption]]]:
        options = self._options
        captions = write_captions(
            question.names,
            self._network.encode,
            most_names=options.tags_per_caption,
            most_tokens=options.caption_tokens,
            separator="." if options.separator == "dot" else ",",
        )
        views = views_of(
            index,
            question.picture.rgb,
            self._network.preprocessing,
            tile_share=options.tile_share if options.tiles else 0,
            canvas_px=options.canvas_px,
        )
        return [(view, captions) for view in views] if captions else []

    def _look(self, batch: Batch) -> list[tuple[View, LabeledBoxes | SampleError]]:
        """Labeled boxes of each pair of one forward pass."""
        given = self._network.preprocessing
        images = [view.image for view in batch.views]
        pictures = stacked(images, batch.views[0].canvas, given, self._options.device)
        sizes = [(image.shape[0], image.shape[1]) for image in images]
        logits, boxes = self._network(pictures, sizes, batch.owners, batch.captions)
        found: list[tuple[View, LabeledBoxes | SampleError]] = []
        for pair, (owner, caption) in enumerate(zip(batch.owners, batch.captions, strict=True)):
            # Beyond the caption's tokens logits are -inf by construction.
            said = logits[pair, :, : len(caption.ids)]
            try:
                require_finite(boxes[pair], "a box of the detector")
                require_finite(said, "a logit of the detector")
            except SampleError as error:
                found.append((batch.views[owner], error.with_traceback(None)))
            else:
                found.append((batch.views[owner], self._label(said, boxes[pair], caption)))
        return found

    def _label(self, logits: torch.Tensor, boxes: torch.Tensor, caption: Caption) -> LabeledBoxes:
        options = self._options
        if options.labels == "span":
            return label_by_span(logits, boxes, caption, options.box_threshold)
        return label_by_tokens(
            logits, boxes, caption, options.box_threshold, options.text_threshold, self._network.decode
        )

    def _choose(
        self, question: DetectQuestion, found: Sequence[tuple[View, LabeledBoxes]]
    ) -> tuple[Detection, ...]:
        if not found:
            return ()
        height, width = question.picture.rgb.shape[:2]
        placed = [in_view(boxes, view.box, width, height) for view, boxes in found]
        corners: Corners = np.concatenate([pixels for _, pixels in placed])
        options = self._options
        limits = Suppression(
            iou=options.nms_iou,
            across_labels=options.suppress == "all_labels",
            groups=options.drop_groups,
            max_share=options.max_box_share,
        )
        return suppress(
            corners,
            np.concatenate([boxes.scores for boxes, _ in placed]),
            tuple(label for boxes, _ in placed for label in boxes.labels),
            width=width,
            height=height,
            limits=limits,
        )


class GroundingDinoOptions(GroundingOptions):
    """A model folder; its ``config.json`` says which of the models it is."""

    weights: str = Field(
        default="weights/grounding-dino-tiny",
        description="a folder with config.json, safetensors, tokenizer and preprocessor_config.json",
    )


class GroundingDinoDetector(GroundingDetector):
    """The models as transformers has them; no torchvision, no compiled extension."""

    Options: ClassVar[type[GroundingDinoOptions]] = GroundingDinoOptions

    @classmethod
    def identity_of(cls, options: GroundingDinoOptions) -> ModelIdentity:
        """The folder's name, with revision and digest as stated by the options or the lock file beside the folder.

        Raises:
            ConfigurationError: no digest is stated, or option and lock file state different ones.
        """
        model = f"GroundingDINO ({Path(options.weights).name})"
        return identity_of_weights(
            options, role="detector", backend="grounding-dino", model=model, version=VERSION
        )

    @classmethod
    def _load(cls, options: GroundingDinoOptions) -> Network:
        folder = checked_path(options, cls.identity_of(options).digest)
        try:
            from tasks.backends.torch.grounding_dino.network import GroundingNetwork  # noqa: PLC0415
        except ImportError as error:
            msg = f"the backend grounding-dino needs PyTorch and transformers (make setup-torch): {error}"
            raise ModelUnavailable(msg) from error
        return GroundingNetwork(
            folder, device=options.device, dtype=options.dtype, length=options.caption_tokens
        )
