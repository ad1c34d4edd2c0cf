"""From a detector's logits to labeled boxes: by the token spans of the names, or classically by decoded tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tasks.backends.torch.grounding_dino.captions import SEPARATORS, SPECIAL_TOKENS, Caption

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabeledBoxes:
    """Boxes of one picture (or a part of it) that passed the threshold.

    Attributes:
        boxes: (N, 4) float64, corners x0, y0, x1, y1 as shares 0..1 of the picture, not clipped.
        scores: (N,) 0..1.
        labels: N names.
    """

    boxes: NDArray[np.float64]
    scores: NDArray[np.float64]
    labels: tuple[str, ...]


def span_scores(logits: torch.Tensor, spans: Sequence[tuple[int, int]]) -> torch.Tensor:
    """Scores of all queries for all names: the highest probability among a name's own tokens.

    Nothing is decoded, so names cannot merge ("cat dog"), lose words ("light" of "traffic light") or come in pieces.

    Args:
        logits: (Q, T), -inf at padding.
        spans: of L names, as `Caption.spans`.

    Returns:
        (Q, L) in 0..1.
    """
    import torch  # noqa: PLC0415 - heavy, and only these backends need it

    positions = torch.arange(logits.shape[1], device=logits.device)
    first, end = (torch.tensor(side, device=logits.device)[:, None] for side in zip(*spans, strict=True))
    inside = (positions >= first) & (positions < end)
    return logits.sigmoid()[:, None, :].masked_fill(~inside, 0).amax(dim=2)


def label_by_span(
    logits: torch.Tensor, boxes: torch.Tensor, caption: Caption, threshold: float
) -> LabeledBoxes:
    """The best name of each query whose score reaches the threshold.

    Args:
        logits: (Q, T).
        boxes: (Q, 4), center x and y, width, height as shares of the picture.
        caption: what was asked.
        threshold: 0..1.
    """
    scores, best = span_scores(logits, caption.spans).max(dim=1)
    keep = scores >= threshold
    labels = tuple(caption.names[index] for index in best[keep].tolist())
    return LabeledBoxes(boxes=corners(boxes[keep]), scores=_numbers(scores[keep]), labels=labels)


def label_by_tokens(
    logits: torch.Tensor,
    boxes: torch.Tensor,
    caption: Caption,
    threshold: float,
    text_threshold: float,
    decode: Callable[[Sequence[int]], str],
) -> LabeledBoxes:
    """The way of Grounded-SAM: the highest probability of any token, and the text of all tokens above a threshold.

    A box whose tokens all stay below ``text_threshold`` has no name and is dropped.

    Args:
        logits: (Q, T).
        boxes: (Q, 4), center x and y, width, height as shares of the picture.
        caption: what was asked.
        threshold: of a box, 0..1; the score must exceed it.
        text_threshold: of a token, 0..1.
        decode: token ids to text.
    """
    chances = logits.sigmoid()
    scores = chances.amax(dim=1)
    keep = scores > threshold
    silent = {*SPECIAL_TOKENS.values(), *SEPARATORS.values()}
    labels: list[str] = []
    for row in (chances[keep][:, : len(caption.ids)] > text_threshold).tolist():
        said = [token for token, on in zip(caption.ids, row, strict=True) if on and token not in silent]
        labels.append(decode(said) if said else "")
    named = np.array([bool(label) for label in labels], np.bool_)
    return LabeledBoxes(
        boxes=corners(boxes[keep])[named],
        scores=_numbers(scores[keep])[named],
        labels=tuple(label for label in labels if label),
    )


def corners(boxes: torch.Tensor) -> NDArray[np.float64]:
    """(N, 4) center x, center y, width, height to (N, 4) x0, y0, x1, y1."""
    values = _numbers(boxes).reshape(-1, 4)
    center, half = values[:, :2], values[:, 2:] / 2
    return np.concatenate([center - half, center + half], axis=1)


def _numbers(values: torch.Tensor) -> NDArray[np.float64]:
    return np.asarray(values.double().cpu().numpy(), np.float64)
