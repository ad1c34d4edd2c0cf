"""Cross-entropy of text rows and mean squared error of velocities, per row and reduced."""

from torch import Tensor
from torch.nn import functional as F


def cross_entropy_rows(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy per row, float32 [n], of logits [n, vocabulary] and labels [n]."""
    return F.cross_entropy(logits.float(), labels, reduction="none")


def velocity_errors(velocity: Tensor, target: Tensor) -> Tensor:
    """Squared error per row and channel, float32 [n, C]."""
    return (velocity.float() - target.float()).square()


def mean_rows(rows: Tensor, count: Tensor | int | None = None) -> Tensor:
    """Sum over rows divided by `count` (own rows by default); channels are averaged first; 0 for no rows."""
    per_row = rows.mean(dim=1) if rows.dim() == 2 else rows
    return per_row.sum() / max(int(rows.shape[0] if count is None else count), 1)


def weighted_mean_rows(rows: Tensor, weights: Tensor) -> Tensor:
    """Weighted sum over the sum of weights; 0 for no rows."""
    return (rows * weights).sum() / weights.sum().clamp_min(1e-12)
