"""Rectified flow over latent tokens: time shift, noising, the token layout and the time embedder."""

import torch
from torch import Tensor, nn

from intercog_model.backbone.position_tables import timestep_sinusoid


def shift_time(t: Tensor, shift: float) -> Tensor:
    """S * t / (1 + (s - 1) * t): maps [0, 1] onto itself, toward 1 (noise) for shift > 1."""
    return shift * t / (1 + (shift - 1) * t)


def training_time(raw: Tensor, shift: float) -> Tensor:
    """Flow time in [0, 1] of a raw normal draw; minus infinity (a clean image) gives exactly 0."""
    return shift_time(torch.sigmoid(raw.float()), shift)


def add_noise(clean_ND: Tensor, noise_ND: Tensor, t_N: Tensor) -> Tensor:
    """(1 - t) * clean + t * noise in float32; the target velocity is noise - clean."""
    t = t_N.float()[:, None]
    return (1 - t) * clean_ND.float() + t * noise_ND.float()


def sampler_times(points: int, shift: float) -> Tensor:
    """Shifted times from 1 to 0, float32 [points]: points - 1 Euler steps."""
    if points < 2:
        raise ValueError(f"at least 2 time points are needed, got {points}")
    return shift_time(torch.linspace(1, 0, points), shift)


def patchify_latent(latent_CHW: Tensor, patch: int) -> Tensor:
    """Tokens [h * w, patch * patch * C], rows first; inside a token the order is row, column, channel."""
    channels, height, width = latent_CHW.shape
    if height % patch or width % patch:
        raise ValueError(f"latent of {height} x {width} cells is not a multiple of patch {patch}")
    grid = latent_CHW.reshape(channels, height // patch, patch, width // patch, patch)
    return grid.permute(1, 3, 2, 4, 0).reshape(-1, patch * patch * channels)


def unpatchify_latent(tokens: Tensor, rows: int, columns: int, patch: int) -> Tensor:
    """Latent [C, rows * patch, columns * patch]; the inverse of `patchify_latent`."""
    grid = tokens.reshape(rows, columns, patch, patch, -1)
    return grid.permute(4, 0, 2, 1, 3).reshape(-1, rows * patch, columns * patch)


class TimeEmbedder(nn.Module):
    """Sinusoid of t, then Linear, SiLU, Linear."""

    def __init__(self, features: int, width: int) -> None:
        super().__init__()
        self.features = features
        self.mlp = nn.Sequential(nn.Linear(features, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, t_N: Tensor) -> Tensor:
        """[N, width] for flow times in [0, 1]; the sinusoid itself stays in float32."""
        sinusoid = timestep_sinusoid(t_N, self.features)
        embedded: Tensor = self.mlp(sinusoid.to(next(self.mlp.parameters()).dtype))
        return embedded


class Connector(nn.Module):
    """ViT width to language-model width: Linear, tanh-GELU, Linear."""

    def __init__(self, in_width: int, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(in_width, width)
        self.fc2 = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """[P, width]."""
        out: Tensor = self.fc2(nn.functional.gelu(self.fc1(x), approximate="tanh"))
        return out
