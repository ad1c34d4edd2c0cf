"""The Swin backbone of RAM and RAM++ for square pictures, under the published tensor names.

Source: arXiv 2103.14030. Tokens are rows of a map that is read line by line: (B, side², C).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from tasks.backends.torch.ram.sizes import SwinSizes

FAR = -100.0
"""Added to the attention score of two tokens that a shift brought together although they are no neighbors."""


class Swin(nn.Module):
    """Four stages (in the published models) of windowed attention, each on half as many tokens a side.

    Args:
        sizes: of the network.
    """

    def __init__(self, sizes: SwinSizes) -> None:
        super().__init__()
        self.patch_embed = PatchEmbedding(sizes)
        self.layers = nn.ModuleList(Stage(sizes, stage) for stage in range(len(sizes.depths)))
        self.norm = nn.LayerNorm(sizes.out_channels, eps=sizes.norm_eps)

    def forward(self, pixels: Tensor) -> Tensor:
        """Tokens of normalized pictures.

        Args:
            pixels: (B, 3, image, image).

        Returns:
            (B, 1 + side², C) of the last stage: the mean of the normed tokens, then the normed tokens.
        """
        tokens = self.patch_embed(pixels)
        for stage in self.layers:
            tokens = stage(tokens)
        tokens = self.norm(tokens)
        return torch.cat([tokens.mean(dim=1, keepdim=True), tokens], dim=1)


class PatchEmbedding(nn.Module):
    """Patches to tokens, with a norm of their own and no positions."""

    def __init__(self, sizes: SwinSizes) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, sizes.width, kernel_size=sizes.patch, stride=sizes.patch)
        self.norm = nn.LayerNorm(sizes.width, eps=sizes.norm_eps)

    def forward(self, pixels: Tensor) -> Tensor:
        """(B, 3, image, image) to (B, side², C)."""
        tokens: Tensor = self.norm(self.proj(pixels).flatten(2).transpose(1, 2))
        return tokens


class Stage(nn.Module):
    """Blocks on one map, and the merging that leads to the next one; the last stage has none."""

    def __init__(self, sizes: SwinSizes, stage: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            Block(sizes, stage, shifted=number % 2 == 1) for number in range(sizes.depths[stage])
        )
        last = stage == len(sizes.depths) - 1
        self.downsample = None if last else PatchMerging(sizes, stage)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, side², C) to (B, side²/4, 2C), or to the same shape in the last stage."""
        for block in self.blocks:
            tokens = block(tokens)
        return tokens if self.downsample is None else self.downsample(tokens)


class Block(nn.Module):
    """Attention inside windows, then a feed-forward network; norms come first, residuals are added.

    Args:
        sizes: of the network.
        stage: whose map it works on.
        shifted: windows lie half a window down and to the right; of no effect where one window is the whole map.
    """

    attn_mask: Tensor | None

    def __init__(self, sizes: SwinSizes, stage: int, *, shifted: bool) -> None:
        super().__init__()
        channels = sizes.channels(stage)
        self.side = sizes.side(stage)
        self.window = sizes.window_of(stage)
        self.shift = self.window // 2 if shifted and self.window < self.side else 0
        self.norm1 = nn.LayerNorm(channels, eps=sizes.norm_eps)
        self.attn = WindowAttention(channels, sizes.heads[stage], self.window)
        self.norm2 = nn.LayerNorm(channels, eps=sizes.norm_eps)
        self.mlp = FeedForward(channels, round(channels * sizes.mlp_ratio))
        mask = shift_mask(self.side, self.window, self.shift) if self.shift else None
        self.register_buffer("attn_mask", mask, persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, side², C) to the same."""
        grid = self.norm1(tokens).unflatten(1, (self.side, self.side))
        if self.shift:
            grid = grid.roll((-self.shift, -self.shift), (1, 2))
        grid = join_windows(self.attn(cut_windows(grid, self.window), self.attn_mask), self.window, self.side)
        if self.shift:
            grid = grid.roll((self.shift, self.shift), (1, 2))
        tokens = tokens + grid.flatten(1, 2)
        attended: Tensor = tokens + self.mlp(self.norm2(tokens))
        return attended


class WindowAttention(nn.Module):
    """Self-attention of the tokens of a window, with a learned bias per head and relative position."""

    relative_position_index: Tensor

    def __init__(self, channels: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads = heads
        self.relative_position_bias_table = nn.Parameter(torch.empty((2 * window - 1) ** 2, heads))
        self.register_buffer("relative_position_index", relative_positions(window), persistent=False)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)

    def forward(self, windows: Tensor, mask: Tensor | None = None) -> Tensor:
        """Attended windows.

        Args:
            windows: (B · W, N, C), the W windows of a picture one after the other.
            mask: (W, N, N), added to the scores of each picture's windows; None: nothing is added.

        Returns:
            (B · W, N, C).
        """
        total, length, channels = windows.shape
        count = 1 if mask is None else len(mask)
        # Windows of a picture stand beside its heads, so that bias and mask are shared by all pictures of the batch.
        heads = self.qkv(windows).view(total // count, count, length, 3, self.heads, channels // self.heads)
        query, key, value = heads.permute(3, 0, 1, 4, 2, 5).flatten(2, 3)
        bias = self.relative_position_bias_table[self.relative_position_index.flatten()]
        bias = bias.view(length, length, self.heads).permute(2, 0, 1)[None]
        if mask is not None:
            bias = bias + mask[:, None]
        attended = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=bias.flatten(0, 1).contiguous()[None]
        )
        attended = attended.unflatten(1, (count, self.heads)).transpose(2, 3)
        projected: Tensor = self.proj(attended.reshape(total, length, channels))
        return projected


class FeedForward(nn.Module):
    """Two layers with the exact GELU between them."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, hidden)
        self.fc2 = nn.Linear(hidden, channels)

    def forward(self, tokens: Tensor) -> Tensor:
        """(…, C) to the same."""
        mixed: Tensor = self.fc2(functional.gelu(self.fc1(tokens)))
        return mixed


class PatchMerging(nn.Module):
    """Each square of 2 x 2 tokens becomes one with twice the channels."""

    def __init__(self, sizes: SwinSizes, stage: int) -> None:
        super().__init__()
        channels = sizes.channels(stage)
        self.side = sizes.side(stage)
        self.norm = nn.LayerNorm(4 * channels, eps=sizes.norm_eps)
        self.reduction = nn.Linear(4 * channels, 2 * channels, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, side², C) to (B, side²/4, 2C)."""
        grid = tokens.unflatten(1, (self.side, self.side))
        # The weights expect this order: down the left column of the square, then down the right one.
        quarters = [grid[:, row::2, column::2] for column in (0, 1) for row in (0, 1)]
        merged: Tensor = self.reduction(self.norm(torch.cat(quarters, dim=-1).flatten(1, 2)))
        return merged


def cut_windows(grid: Tensor, window: int) -> Tensor:
    """(B, side, side, C) to (B · W, window², C), line by line inside and outside of the windows."""
    count = grid.shape[1] // window
    parts = grid.unflatten(2, (count, window)).unflatten(1, (count, window))
    windows: Tensor = parts.transpose(2, 3).flatten(3, 4).flatten(0, 2)
    return windows


def join_windows(windows: Tensor, window: int, side: int) -> Tensor:
    """The inverse of `cut_windows`."""
    count = side // window
    parts = windows.unflatten(1, (window, window)).unflatten(0, (-1, count, count))
    grid: Tensor = parts.transpose(2, 3).flatten(3, 4).flatten(1, 2)
    return grid


def relative_positions(window: int) -> Tensor:
    """(N, N) row of the bias table for each pair of a window's N = window² tokens; on the CPU, whatever is built there.

    The row is ``(row difference + window - 1) · (2 window - 1) + column difference + window - 1``.
    """
    tokens = torch.arange(window**2, device="cpu")
    row, column = tokens // window, tokens % window
    rows = row[:, None] - row[None] + window - 1
    columns = column[:, None] - column[None] + window - 1
    return rows * (2 * window - 1) + columns


def shift_mask(side: int, window: int, shift: int) -> Tensor:
    """(W, N, N) `FAR` for tokens of a shifted window that come from different ends of the map, else 0; on the CPU."""
    part = torch.zeros(side, dtype=torch.long, device="cpu")
    part[-window:-shift] = 1
    part[-shift:] = 2
    regions = cut_windows((3 * part[:, None] + part[None])[None, :, :, None], window).squeeze(-1)
    apart = regions[:, :, None] != regions[:, None]
    return torch.where(apart, FAR, 0.0)
