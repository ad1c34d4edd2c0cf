"""SAM, HQ-SAM and SAM 2.1 of transformers behind one interface: embed pictures, decode boxes, enlarge masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from tasks.backends.torch.checkpoints import load_pretrained
from tasks.backends.torch.model_types import model_type, transformers_class
from tasks.backends.torch.picture_input import (
    Size,
    longest_edge_size,
    read_preprocessing,
    resized,
    stacked,
)
from tasks.imaging.arrays import Image

CLASSES = {
    "sam": "SamModel",
    "sam_hq": "SamHQModel",
    "sam2": "Sam2Model",
    "sam2_video": "Sam2Model",
}
"""``model_type`` of a folder to the class of transformers; the video checkpoints hold the picture model."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Embedding:
    """A picture as the encoder left it.

    Attributes:
        size: of the picture.
        inner: of the picture within the network's frame.
        features: what the decoder takes, as keyword arguments, with a batch dimension of 1.
    """

    size: Size
    inner: Size
    features: dict[str, Any]


class SamNetwork(Protocol):
    """A loaded segmenter."""

    def embed(self, images: Sequence[Image]) -> list[Embedding]:
        """One forward pass of the encoder over pictures (H, W, 3) uint8 of any size."""
        ...

    def decode(self, embedding: Embedding, boxes: Tensor, *, multimask: bool) -> tuple[Tensor, Tensor]:
        """Logits (B, M, h, w) and estimated IoU (B, M) for boxes (B, 4), corners in pixels of the picture."""
        ...

    def enlarge(self, embedding: Embedding, logits: Tensor) -> Tensor:
        """Logits (B, h, w) at the size of the picture, (B, H, W)."""
        ...


class TransformersSam:
    """A model folder.

    SAM and HQ-SAM keep a picture's shape and pad it to a square; SAM 2 stretches it.

    Args:
        folder: in the layout of transformers, with safetensors.
        device: where it runs.
        dtype: of the weights in use.

    Raises:
        ModelUnavailable: it cannot be loaded.
    """

    def __init__(self, folder: Path, *, device: str, dtype: str) -> None:
        kind = model_type(folder, CLASSES)
        self._stretched = CLASSES[kind] == "Sam2Model"
        keys = ("height", "width") if self._stretched else ("longest_edge",)
        self._given = read_preprocessing(folder, keys)
        self._model = load_pretrained(transformers_class(CLASSES[kind], "sam"), folder, dtype).to(device)
        self._device, self._dtype = device, getattr(torch, dtype)

    @property
    def _frame(self) -> Size:
        size = self._given.size
        return (size["height"], size["width"]) if self._stretched else (size["longest_edge"],) * 2

    @torch.inference_mode()
    def embed(self, images: Sequence[Image]) -> list[Embedding]:
        """See `SamNetwork`."""
        sizes = [(image.shape[0], image.shape[1]) for image in images]
        inner = [self._inner(size) for size in sizes]
        seen = [resized(image, size) for image, size in zip(images, inner, strict=True)]
        pictures = stacked(seen, self._frame, self._given, self._device).to(self._dtype)
        found: Any = self._model.get_image_embeddings(pictures)
        return [
            Embedding(size=size, inner=own, features=_features(found, index))
            for index, (size, own) in enumerate(zip(sizes, inner, strict=True))
        ]

    @torch.inference_mode()
    def decode(self, embedding: Embedding, boxes: Tensor, *, multimask: bool) -> tuple[Tensor, Tensor]:
        """See `SamNetwork`."""
        (height, width), (own_height, own_width) = embedding.size, embedding.inner
        scale = torch.tensor([own_width / width, own_height / height] * 2, dtype=boxes.dtype)
        # Rounded once, in the type of the weights, as the model's own processor hands them over.
        prompts = (boxes * scale)[None].to(self._device, self._dtype)
        found: Any = self._model(**embedding.features, input_boxes=prompts, multimask_output=multimask)
        return found.pred_masks[0], found.iou_scores[0]

    @torch.inference_mode()
    def enlarge(self, embedding: Embedding, logits: Tensor) -> Tensor:
        """See `SamNetwork`."""
        if self._stretched:
            return _bilinear(logits, embedding.size)
        return enlarge_padded(logits, self._frame, embedding)

    def _inner(self, size: Size) -> Size:
        return self._frame if self._stretched else longest_edge_size(size, self._frame[0])


def enlarge_padded(logits: Tensor, frame: Size, embedding: Embedding) -> Tensor:
    """Logits (B, h, w) over a padded frame at the size of the picture, (B, H, W)."""
    height, width = embedding.inner
    return _bilinear(_bilinear(logits, frame)[:, :height, :width], embedding.size)


def _bilinear(logits: Tensor, size: Size) -> Tensor:
    return interpolate(logits[:, None], size, mode="bilinear", align_corners=False)[:, 0]


def _features(found: Any, index: int) -> dict[str, Any]:
    """One picture's part of what `get_image_embeddings` returned."""
    one = slice(index, index + 1)
    if isinstance(found, torch.Tensor):
        return {"image_embeddings": found[one]}
    if isinstance(found, list):  # SAM 2: one map per level
        return {"image_embeddings": [level[one] for level in found]}
    embeddings, intermediate = found  # HQ-SAM: the last map, and those of its global blocks
    return {
        "image_embeddings": embeddings[one],
        "intermediate_embeddings": [level[one] for level in intermediate],
    }
