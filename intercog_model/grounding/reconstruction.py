"""Mask reconstruction, equations 1 and 2: target masks and binary cross-entropy over the valid part."""

import torch
from torch import Tensor
from torch.nn import functional as F

from intercog_model.grounding.placement import coverage, valid_size


def mask_target(mask_HW: Tensor, side: int, image_size: tuple[int, int] | None = None) -> Tensor:
    """The target mask at the logits' resolution, float32 [valid rows, valid columns] of 0 and 1.

    `image_size`: (height, width) of the picture that the features were made of, where it is not the mask's.
    """
    height, width = image_size or (mask_HW.shape[0], mask_HW.shape[1])
    rows, columns = valid_size(height, width, side)
    return (coverage(mask_HW, rows, columns) >= 0.5).float()


def mask_loss(logits_SS: Tensor, target_hw: Tensor) -> Tensor:
    """Binary cross-entropy in float32, mean over the valid part (top left) of the logits."""
    rows, columns = target_hw.shape
    return F.binary_cross_entropy_with_logits(logits_SS[:rows, :columns].float(), target_hw)


def mask_iou(logits_SS: Tensor, target_hw: Tensor) -> float:
    """Intersection over union of the thresholded logits and the target, in the valid part."""
    rows, columns = target_hw.shape
    ours, theirs = logits_SS[:rows, :columns] > 0, target_hw > 0.5
    union = int(torch.logical_or(ours, theirs).sum())
    return int(torch.logical_and(ours, theirs).sum()) / union if union else 1.0
