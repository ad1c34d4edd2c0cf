"""The FLUX image autoencoder: pixels in [-1, 1] to scaled latents and back."""

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from intercog_model.config import VaeConfig

GROUPS, EPS = 32, 1e-6


def group_norm(channels: int) -> nn.GroupNorm:
    """GroupNorm with the autoencoder's 32 groups."""
    return nn.GroupNorm(GROUPS, channels, eps=EPS)


class ResBlock(nn.Module):
    """norm, swish, conv, twice, plus the input."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.norm1 = group_norm(channels)
        self.conv1 = nn.Conv2d(channels, out_channels, 3, padding=1)
        self.norm2 = group_norm(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        if channels != out_channels:
            self.nin_shortcut = nn.Conv2d(channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """[B, out_channels, h, w]."""
        branch = self.conv1(F.silu(self.norm1(x)))
        branch = self.conv2(F.silu(self.norm2(branch)))
        out: Tensor = branch + (self.nin_shortcut(x) if hasattr(self, "nin_shortcut") else x)
        return out


class AttentionBlock(nn.Module):
    """Single-head attention over all cells."""

    q: nn.Conv2d
    k: nn.Conv2d
    v: nn.Conv2d
    proj_out: nn.Conv2d

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = group_norm(channels)
        for name in ("q", "k", "v", "proj_out"):
            self.add_module(name, nn.Conv2d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as x."""
        normed = self.norm(x)
        q, k, v = (conv(normed).flatten(2).transpose(1, 2)[:, None] for conv in (self.q, self.k, self.v))
        out = F.scaled_dot_product_attention(q, k, v)[:, 0].transpose(1, 2).reshape(x.shape)
        total: Tensor = x + self.proj_out(out)
        return total


class Downsample(nn.Module):
    """Halves both sides; zero padding on the right and the bottom only."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, h / 2, w / 2]."""
        halved: Tensor = self.conv(F.pad(x, (0, 1, 0, 1)))
        return halved


class Upsample(nn.Module):
    """Doubles both sides: nearest neighbor, then a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, 2h, 2w]."""
        doubled: Tensor = self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return doubled


class Level(nn.Module):
    """The residual blocks of one resolution and the step to the next, if there is one."""

    def __init__(
        self, channels: int, out_channels: int, blocks: int, step: tuple[str, nn.Module] | None
    ) -> None:
        super().__init__()
        widths = [channels] + [out_channels] * blocks
        self.block = nn.ModuleList(ResBlock(a, b) for a, b in itertools.pairwise(widths))
        self.step_name = step[0] if step else None
        if step:
            self.add_module(*step)

    def forward(self, x: Tensor) -> Tensor:
        """[B, out_channels, ...] after the blocks and the step."""
        for block in self.block:
            x = block(x)
        return getattr(self, self.step_name)(x) if self.step_name else x


class Middle(nn.Module):
    """block, attention, block at the coarsest resolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.block_1 = ResBlock(channels, channels)
        self.attn_1 = AttentionBlock(channels)
        self.block_2 = ResBlock(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as x."""
        out: Tensor = self.block_2(self.attn_1(self.block_1(x)))
        return out


class Encoder(nn.Module):
    """Pixels [B, 3, H, W] to moments [B, 2z, h, w]."""

    def __init__(self, config: VaeConfig) -> None:
        super().__init__()
        widths = [config.ch * m for m in config.ch_mult]
        self.conv_in = nn.Conv2d(3, config.ch, 3, padding=1)
        self.down = nn.ModuleList()
        for index, width in enumerate(widths):
            below = widths[index - 1] if index else config.ch
            step = ("downsample", Downsample(width)) if index + 1 < len(widths) else None
            self.down.append(Level(below, width, config.num_res_blocks, step))
        self.mid = Middle(widths[-1])
        self.norm_out = group_norm(widths[-1])
        self.conv_out = nn.Conv2d(widths[-1], 2 * config.z_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Mean in the first half of the channels, log variance (not clamped) in the second."""
        x = self.conv_in(x)
        for level in self.down:
            x = level(x)
        moments: Tensor = self.conv_out(F.silu(self.norm_out(self.mid(x))))
        return moments


class Decoder(nn.Module):
    """Latents [B, z, h, w] to pixels [B, 3, H, W]; `up.0` is the finest level and runs last."""

    def __init__(self, config: VaeConfig) -> None:
        super().__init__()
        widths = [config.ch * m for m in config.ch_mult]
        self.conv_in = nn.Conv2d(config.z_channels, widths[-1], 3, padding=1)
        self.mid = Middle(widths[-1])
        self.up = nn.ModuleList()
        for index, width in enumerate(widths):
            above = widths[min(index + 1, len(widths) - 1)]
            step = ("upsample", Upsample(width)) if index else None
            self.up.append(Level(above, width, config.num_res_blocks + 1, step))
        self.norm_out = group_norm(widths[0])
        self.conv_out = nn.Conv2d(widths[0], 3, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        """About [-1, 1], not clamped."""
        z = self.mid(self.conv_in(z))
        for level in reversed(self.up):
            z = level(z)
        pixels: Tensor = self.conv_out(F.silu(self.norm_out(z)))
        return pixels


class AutoEncoder(nn.Module):
    """Encoder and decoder with the latent's shift and scale."""

    def __init__(self, config: VaeConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)

    def encode(self, pixels: Tensor, noise: Tensor) -> Tensor:
        """Scaled latent sample [B, z, h, w]; always sampled with the standard normal `noise` given."""
        return self.sample(self.moments(pixels), noise)

    def moments(self, pixels: Tensor) -> Tensor:
        """Mean and log variance, float32 [B, 2z, h, w], computed in the encoder's own type."""
        moments: Tensor = self.encoder(pixels.to(self.encoder.conv_in.weight))
        return moments.float()

    def sample(self, moments: Tensor, noise: Tensor) -> Tensor:
        """Scaled latent [..., z, h, w] of moments [..., 2z, h, w] and standard normal noise."""
        mean, logvar = moments.chunk(2, dim=-3)
        return self.scale(mean + torch.exp(0.5 * logvar) * noise)

    def scale(self, raw: Tensor) -> Tensor:
        """Raw latent to the range the flow works in."""
        return self.config.scale_factor * (raw - self.config.shift_factor)

    def decode(self, latent: Tensor) -> Tensor:
        """Pixels [B, 3, H, W], about [-1, 1], of a scaled latent."""
        pixels: Tensor = self.decoder(latent / self.config.scale_factor + self.config.shift_factor)
        return pixels
