"""Classifier-free guidance over a full context, one without the last text and one without images."""

from dataclasses import dataclass

import torch
from torch import Tensor

RENORM_TYPES = ("global", "channel", "text_channel")


@dataclass(frozen=True, slots=True, kw_only=True)
class Guidance:
    """Scales and renorm; guidance acts where low < t <= high for the shifted time t."""

    text_scale: float = 4.0  # at or below 1 no guidance and no renorm at all
    image_scale: float = 2.0  # at or below 1 no image term
    interval: tuple[float, float] = (0.0, 1.0)
    renorm: str = "text_channel"
    renorm_min: float = 0.0  # floor of the shrinking factor; 1 switches it off

    def __post_init__(self) -> None:
        if self.renorm not in RENORM_TYPES:
            raise ValueError(f"renorm {self.renorm!r} is not one of {RENORM_TYPES}")
        if not 0 <= self.renorm_min <= 1:
            raise ValueError(f"renorm_min {self.renorm_min} is outside 0..1")

    def scales_at(self, t: float) -> tuple[float, float]:
        """Effective (text, image) scale at shifted time t: 1 where the term is off."""
        low, high = self.interval
        if not low < t <= high or self.text_scale <= 1:
            return 1.0, 1.0
        return self.text_scale, max(self.image_scale, 1.0)


EDIT_GUIDANCE = Guidance()
TEXT_TO_IMAGE_GUIDANCE = Guidance(image_scale=1.0, interval=(0.4, 1.0), renorm="global")
NO_GUIDANCE = Guidance(text_scale=1.0, image_scale=1.0)


def guided_velocity(
    full_NC: Tensor, text_NC: Tensor, image_NC: Tensor | None, guidance: Guidance, scales: tuple[float, float]
) -> Tensor:
    """Text guidance first, image guidance on its result, then or in between the renorm; [N, C].

    `text_NC`: velocity of the context without the last text; `image_NC`: without images, None if not needed.
    """
    text_scale, image_scale = scales
    guided = text_NC + text_scale * (full_NC - text_NC)
    if guidance.renorm == "text_channel":
        guided = _shrunk(guided, full_NC, guidance)
    if image_NC is not None and image_scale > 1:
        guided = image_NC + image_scale * (guided - image_NC)
    return guided if guidance.renorm == "text_channel" else _shrunk(guided, full_NC, guidance)


def _shrunk(guided_NC: Tensor, full_NC: Tensor, guidance: Guidance) -> Tensor:
    """guided_NC scaled down to at most the norm of full_NC, over everything or per row."""
    dim = None if guidance.renorm == "global" else -1
    norms = [torch.linalg.vector_norm(v, dim=dim, keepdim=True) for v in (full_NC, guided_NC)]
    scaled: Tensor = guided_NC * (norms[0] / (norms[1] + 1e-8)).clamp(guidance.renorm_min, 1.0)
    return scaled
