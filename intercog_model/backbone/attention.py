"""Rotary positions, RMS norm, and the ways to attend: dense per-sample masks or FlexAttention.

Shape suffixes: L packed tokens, H query heads, K key heads, d head width.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention.flex_attention import BlockMask, flex_attention


class Attend(Protocol):
    """Joint attention of one layer; which keys are visible is the object's business."""

    def __call__(self, layer: int, q_LHd: Tensor, k_LKd: Tensor, v_LKd: Tensor) -> Tensor:
        """Attention output [L, H, d] for rotated and normed q, k and plain v."""
        ...


class RMSNorm(nn.Module):
    """x / rms(x) * weight; statistics in float32, cast back before the weight."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Same shape and dtype as x."""
        x32 = x.float()
        normed = x32 * torch.rsqrt(x32.square().mean(-1, keepdim=True) + self.eps)
        return self.weight * normed.to(x.dtype)


def rope_table(position_ids: Tensor, head_dim: int, theta: float) -> tuple[Tensor, Tensor]:
    """Cosines and sines, float32 [L, 1, head_dim], for positions [L] (rotate-half layout)."""
    half = torch.arange(0, head_dim, 2, dtype=torch.float32, device=position_ids.device) / head_dim
    angle = position_ids.float()[:, None] / theta**half
    angle = torch.cat([angle, angle], dim=1)[:, None, :]
    return angle.cos(), angle.sin()


def rotate(x_LHd: Tensor, rope: tuple[Tensor, Tensor]) -> Tensor:
    """Rotary embedding: channel i is paired with i + d / 2; computed in float32."""
    cos, sin = rope
    first, second = x_LHd.float().chunk(2, dim=-1)
    turned = torch.cat([-second, first], dim=-1)
    return (x_LHd.float() * cos + turned * sin).to(x_LHd.dtype)


def attend_rows(q_LHd: Tensor, k_MKd: Tensor, v_MKd: Tensor, mask_LM: Tensor | None) -> Tensor:
    """Softmax attention of L query rows over M keys, [L, H, d]; `mask_LM` is True where visible."""
    out = F.scaled_dot_product_attention(
        q_LHd.transpose(0, 1)[None],
        k_MKd.transpose(0, 1)[None],
        v_MKd.transpose(0, 1)[None],
        attn_mask=mask_LM,
        enable_gqa=q_LHd.shape[1] != k_MKd.shape[1],
    )
    return out[0].transpose(0, 1)


class DenseAttend:
    """Sample by sample with a boolean mask each; the reference route, and the only one that trains on a CPU."""

    def __init__(self, masks: Sequence[Tensor]) -> None:
        self.masks = list(masks)
        self.lengths = [mask.shape[0] for mask in self.masks]

    def __call__(self, layer: int, q_LHd: Tensor, k_LKd: Tensor, v_LKd: Tensor) -> Tensor:
        """See `Attend`."""
        parts = zip(
            q_LHd.split(self.lengths),
            k_LKd.split(self.lengths),
            v_LKd.split(self.lengths),
            self.masks,
            strict=True,
        )
        return torch.cat([attend_rows(q, k, v, mask) for q, k, v, mask in parts])


@cache
def compiled_flex(backend: str = "inductor") -> Callable[..., Any]:
    """`flex_attention`, compiled once per process; every pack of one padded length uses the same kernels."""
    return torch.compile(flex_attention, dynamic=False, backend=backend)


class FlexAttend:
    """The whole pack at once under a block mask; rows are padded to the mask's length and cut off again.

    FlexAttention refuses its backward on a CPU (torch 2.13), so training there needs `DenseAttend`.
    """

    def __init__(self, block_mask: BlockMask, *, compiled: bool) -> None:
        self.block_mask = block_mask
        self.padded_length = block_mask.seq_lengths[0]
        plain: Callable[..., Any] = flex_attention
        self.attend = compiled_flex() if compiled else plain

    def __call__(self, layer: int, q_LHd: Tensor, k_LKd: Tensor, v_LKd: Tensor) -> Tensor:
        """See `Attend`."""
        length = q_LHd.shape[0]
        pad = (0, 0, 0, 0, 0, self.padded_length - length)
        q, k, v = (F.pad(x, pad).transpose(0, 1)[None] for x in (q_LHd, k_LKd, v_LKd))
        gqa = q.shape[1] != k.shape[1]
        out: Tensor = self.attend(q, k, v, block_mask=self.block_mask, enable_gqa=gqa)
        return out[0].transpose(0, 1)[:length]
