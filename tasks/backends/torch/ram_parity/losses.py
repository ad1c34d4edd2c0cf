"""The three training losses of RAM++ (arXiv 2310.15200), in evaluation mode.

The project trains no tagger: they are here because their gradients reach every parameter, which no output does.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from tasks.backends.torch.ram.network import RamNetwork

RAISED = 0.05
"""Added to the probability of absence, so that easy negatives cost nothing."""

FLOOR = 1e-8
"""Least argument of a logarithm."""

TAGGING_FOCUS = 7
ALIGNMENT_FOCUS = 4
"""Exponents of the focusing weight of negatives; positives have none."""


def asymmetric_loss(logits: Tensor, targets: Tensor, focus: float) -> Tensor:
    """The asymmetric loss (arXiv 2009.14119), summed over pictures and classes.

    Args:
        logits: (B, classes).
        targets: (B, classes), 0 or 1.
        focus: exponent for negatives.
    """
    present = logits.sigmoid()
    absent = (1 - present + RAISED).clamp(max=1)
    likelihood = targets * present.clamp(min=FLOOR).log() + (1 - targets) * absent.clamp(min=FLOOR).log()
    with torch.no_grad():
        weight = torch.where(targets > 0, 1.0, (1 - absent) ** focus)
    return -(weight * likelihood).sum()


def training_losses(
    network: RamNetwork, pixels: Tensor, image_tag: Tensor, clip_feature: Tensor, batch_text_embed: Tensor
) -> dict[str, Tensor]:
    """All losses of a batch, by golden name.

    Args:
        network: with gradients.
        pixels: (B, 3, image, image), normalized.
        image_tag: (B, tags), which tags each picture has.
        clip_feature: (B, embedding), what the mean token shall be.
        batch_text_embed: (B, embedding), one text per picture.
    """
    tokens = network.image_tokens(pixels)
    logits = network.decide(network.tag_queries(network.labels_for(tokens)), tokens)
    # Every picture is asked for the texts of all pictures, and only its own fits.
    texts = network.tag_queries(batch_text_embed).expand(len(tokens), -1, -1)
    own = torch.eye(len(tokens), len(batch_text_embed))
    return {
        "out.loss_tag": asymmetric_loss(logits, image_tag, TAGGING_FOCUS),
        "out.loss_dis": functional.l1_loss(tokens[:, 0], clip_feature),
        "out.loss_alignment": asymmetric_loss(network.decide(texts, tokens), own, ALIGNMENT_FOCUS),
    }
