"""Instances of phrases in pictures by SAM 3's detector: one pass per picture, one per (picture, phrase) pair."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.models.sam3.modeling_sam3 import Sam3MaskDecoderOutput, Sam3VisionEncoderOutput

from tasks.backends.torch.sam3.encoder import shared_encoder
from tasks.backends.torch.sam3.loading import load_detector, load_tokenizer
from tasks.backends.torch.sam3.phrases import PhraseFeatures
from tasks.roles.picture import Picture

DETR_LEVEL = -2
"""Level of the feature pyramid that detection works on; the last one is not used by the network."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """All Q queries of one phrase, on the CPU.

    Attributes:
        scores: (Q,) float32, 0..1.
        boxes: (Q, 4) float32, corners x0, y0, x1, y1 as shares of the picture's width and height.
    """

    phrase: str
    scores: torch.Tensor
    boxes: torch.Tensor


class _NoMasks(nn.Module):
    """In place of the mask decoder: a detector answers boxes, and masks would cost most of its memory."""

    def forward(self, **_: Any) -> Sam3MaskDecoderOutput:
        return Sam3MaskDecoderOutput()


class InstanceFinder:
    """A loaded detector.

    Args:
        folder: of the checkpoint, checked.
        options: `tasks.backends.torch.sam3.detector.Sam3DetectorOptions`.
        digest: of the weights; detector and segmenter of one checkpoint share their encoder.

    Raises:
        ModelUnavailable: the folder holds no such model or tokenizer, or names or shapes differ.
    """

    def __init__(self, folder: Path, options: Any, digest: str) -> None:
        model = load_detector(folder)
        model.mask_decoder = _NoMasks()
        self._encoder = shared_encoder(model, digest, options)
        dtype = getattr(torch, options.dtype)
        model.text_encoder.to(dtype)
        self._model = model.to(options.device).requires_grad_(False)
        self._half = dtype if dtype != torch.float32 else None
        self._device_type = torch.device(options.device).type
        self._phrases = PhraseFeatures(
            self._model,
            load_tokenizer(folder, model.config.text_config.vocab_size),
            options.phrases_per_forward,
            options.phrases_kept,
        )
        self._pairs = options.phrases_per_forward

    def check(self, phrases: Sequence[str]) -> None:
        """See `PhraseFeatures.check`."""
        self._phrases.check(phrases)

    @torch.inference_mode()
    def __call__(self, asked: Sequence[tuple[Picture, Sequence[str]]]) -> list[list[Found]]:
        """What is found, for each picture a `Found` per phrase in order.

        Args:
            asked: pictures with phrases that `check` has passed.
        """
        if not asked:
            return []
        hidden = self._encoder([picture for picture, _ in asked])
        pairs = [(index, phrase) for index, (_, phrases) in enumerate(asked) for phrase in phrases]
        found: list[list[Found]] = [[] for _ in asked]
        with self._precision():
            features = self._detr_level(torch.stack(hidden))
            for start in range(0, len(pairs), self._pairs):
                part = pairs[start : start + self._pairs]
                scores, boxes = self._scored(features[[index for index, _ in part]], [p for _, p in part])
                for row, (index, phrase) in enumerate(part):
                    found[index].append(Found(phrase=phrase, scores=scores[row], boxes=boxes[row]))
        return found

    def _precision(self) -> AbstractContextManager[Any]:
        """Products in half precision where the towers are, and weights and coordinates in float32."""
        return torch.autocast(self._device_type, self._half) if self._half is not None else nullcontext()

    def _detr_level(self, hidden: torch.Tensor) -> torch.Tensor:
        """The one level of the pyramid that is needed, (N, 256, S, S)."""
        level: torch.Tensor = self._model.vision_encoder.neck.fpn_layers[DETR_LEVEL](hidden)
        return level

    def _scored(self, features: Any, phrases: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
        text: Any
        text, mask = self._phrases(phrases)
        encoding = self._model.vision_encoder.neck.position_encoding(
            features.shape, features.device, features.dtype
        )
        # The model drops the last level, which is never used, and with masks out of the way reads one other.
        vision = Sam3VisionEncoderOutput(
            fpn_hidden_states=(features, features), fpn_position_encoding=(encoding, encoding)
        )
        output = self._model(
            vision_embeds=vision,
            text_embeds=BaseModelOutputWithPooling(pooler_output=text),
            attention_mask=mask,
        )
        scores = output.pred_logits.float().sigmoid() * output.presence_logits.float().sigmoid()
        return scores.cpu(), output.pred_boxes.float().cpu()
