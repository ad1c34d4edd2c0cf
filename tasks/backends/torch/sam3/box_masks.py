"""Masks for boxes by SAM 3's tracker, from features that the detector may have computed before."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from tasks.backends.torch.sam.masks import FinishedMask, best_candidates, finish
from tasks.backends.torch.sam3.encoder import shared_encoder
from tasks.backends.torch.sam3.loading import load_tracker
from tasks.records.records import Box
from tasks.roles.picture import Picture


class BoxMasks:
    """A loaded tracker.

    Args:
        folder: of the checkpoint, checked.
        options: `tasks.backends.torch.sam3.segmenter.Sam3SegmenterOptions`.
        digest: of the weights; detector and segmenter of one checkpoint share their encoder.

    Raises:
        ModelUnavailable: the folder holds no such model, or names or shapes differ.
    """

    def __init__(self, folder: Path, options: Any, digest: str) -> None:
        model = load_tracker(folder)
        self._encoder = shared_encoder(model, digest, options)
        self._model = model.to(options.device).requires_grad_(False)
        self._boxes = options.boxes_per_forward

    def features(self, pictures: Sequence[Picture]) -> list[torch.Tensor]:
        """See `PictureEncoder`."""
        return self._encoder(pictures)

    @torch.inference_mode()
    def __call__(
        self, hidden: torch.Tensor, boxes: Sequence[Box], shape: tuple[int, int]
    ) -> list[FinishedMask]:
        """A mask for each box, in order.

        Args:
            hidden: features of the picture, (C, S, S).
            boxes: in pixels of the picture, at least one.
            shape: its height and width.

        Raises:
            SampleError: ``backend_error`` for an output that is not finite.
        """
        height, width = shape
        side = self._encoder.side
        scale = torch.tensor([side / width, side / height] * 2, device=hidden.device)
        corners = torch.tensor([[b.x0, b.y0, b.x1, b.y1] for b in boxes], device=hidden.device) * scale
        embeddings = self._embeddings(hidden.float())
        drawn: list[FinishedMask] = []
        # Full-size masks of all boxes at once would take a gigabyte, so each part is finished before the next.
        for part in corners.split(self._boxes):
            output = self._model(image_embeddings=embeddings, input_boxes=part[None], multimask_output=False)
            logits, quality = best_candidates(output.pred_masks[0], output.iou_scores[0])
            drawn += finish(logits, quality, lambda small: self._enlarged(small, shape))
        return drawn

    @staticmethod
    def _enlarged(logits: torch.Tensor, shape: tuple[int, int]) -> torch.Tensor:
        """(B, h, w) at the size of the picture, (B, H, W)."""
        return functional.interpolate(logits[:, None], shape, mode="bilinear", align_corners=False)[:, 0]

    def _embeddings(self, hidden: torch.Tensor) -> list[torch.Tensor]:
        """The three levels that the mask decoder reads, finest first.

        The coarsest is marked with "no memory of other frames", as the published predictor and transformers' video
        model do; `Sam3TrackerModel.get_image_embeddings` (5.19) marks a fourth level, which is not used.
        """
        decoder = self._model.mask_decoder
        fine, middle, coarse = (
            layer(hidden[None]) for layer in self._model.vision_encoder.neck.fpn_layers[:3]
        )
        no_memory = self._model.no_memory_embedding.reshape(1, -1, 1, 1)
        return [decoder.conv_s0(fine), decoder.conv_s1(middle), coarse + no_memory]
