"""Where an image lies in the square grid of the image features, and masks at the grids that losses use."""

import torch
from torch import Tensor
from torch.nn import functional as F


def valid_size(height: int, width: int, side: int) -> tuple[int, int]:
    """Rows and columns of a square of `side` cells that an image covers, top left; its long side fills it."""
    longest = max(height, width)
    return max(1, round(side * height / longest)), max(1, round(side * width / longest))


def place(cells_Chw: Tensor, side: int) -> Tensor:
    """Cells pasted into the valid part of [C, side, side], zero elsewhere; resized bilinearly if they do not fit."""
    channels, rows, columns = cells_Chw.shape
    valid = valid_size(rows, columns, side)
    if valid != (rows, columns):
        cells_Chw = F.interpolate(cells_Chw[None], valid, mode="bilinear", align_corners=False)[0]
    sheet = cells_Chw.new_zeros(channels, side, side)
    sheet[:, : valid[0], : valid[1]] = cells_Chw
    return sheet


def coverage(mask_HW: Tensor, rows: int, columns: int) -> Tensor:
    """Share of each cell that the mask covers, float32 [rows, columns], by exact area average."""
    across = _overlaps(mask_HW.shape[1], columns)
    down = _overlaps(mask_HW.shape[0], rows)
    return down @ mask_HW.float() @ across.T


def _overlaps(pixels: int, cells: int) -> Tensor:
    """Weights [cells, pixels]: the part of each cell that each pixel fills; rows sum to 1."""
    edges = torch.arange(cells + 1, dtype=torch.float64) * pixels / cells
    pixel = torch.arange(pixels, dtype=torch.float64)
    shared = torch.minimum(edges[1:, None], pixel + 1) - torch.maximum(edges[:-1, None], pixel)
    return (shared.clamp_min(0) * cells / pixels).float()


def region(mask_HW: Tensor, rows: int, columns: int, threshold: float) -> Tensor:
    """Cells of the target, bool [rows, columns]: covered by at least `threshold`, else by anything at all."""
    share = coverage(mask_HW, rows, columns)
    covered = share >= threshold
    return torch.where(covered.any(), covered, share > 0)
