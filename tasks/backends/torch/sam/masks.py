"""From a decoder's logits to masks of the picture's size with their scores, a chunk of boxes at a time.

At full size the masks of a hundred boxes are gigabytes as floats, so that only one chunk is ever enlarged, thresholded
and brought home as bytes. Shapes: B boxes of a chunk, M candidates of a box, h x w the decoder's frame.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from tasks.backends.torch.checkpoints import require_finite
from tasks.imaging.arrays import Mask

STABILITY_OFFSET = 1.0
"""Logits by which the threshold is raised and lowered for the stability score (SAM's automatic mask generator)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FinishedMask:
    """A mask (H, W) with the network's estimate of its IoU, 0..1, and its stability, 0..1."""

    mask: Mask
    quality: float
    stability: float


def best_candidates(logits: Tensor, quality: Tensor) -> tuple[Tensor, Tensor]:
    """The candidate of each box with the highest estimated IoU.

    Args:
        logits: (B, M, h, w).
        quality: (B, M).

    Returns:
        Logits (B, h, w) and estimates (B,), both float32.

    Raises:
        SampleError: ``backend_error`` when a value is not finite.
    """
    require_finite(quality, "an estimated IoU of the segmenter")
    require_finite(logits, "a mask logit of the segmenter")
    best, index = quality.float().max(dim=1)
    rows = index.new_tensor(range(len(index)))
    return logits[rows, index].float(), best


def finish(logits: Tensor, quality: Tensor, enlarge: Callable[[Tensor], Tensor]) -> list[FinishedMask]:
    """Masks of one chunk.

    Args:
        logits: (B, h, w) float32.
        quality: (B,) float32.
        enlarge: from (B, h, w) to logits of the picture's size, (B, H, W).
    """
    full = enlarge(logits)
    inner = (full > STABILITY_OFFSET).sum(dim=(1, 2))
    outer = (full > -STABILITY_OFFSET).sum(dim=(1, 2))
    # Both regions empty: nothing was found, which is no stable mask.
    stability = inner / outer.clamp(min=1)
    masks = (full > 0).cpu().numpy().astype(np.bool_)
    return [
        FinishedMask(mask=mask, quality=min(max(own, 0.0), 1.0), stability=firm)
        for mask, own, firm in zip(masks, quality.tolist(), stability.tolist(), strict=True)
    ]
