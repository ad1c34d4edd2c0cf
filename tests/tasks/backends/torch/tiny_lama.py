"""A TorchScript file that is called as big-lama.pt is, with small random weights; and files with planted faults.

    path = write_tiny_lama(folder / "big-lama.pt")       # with its lock file beside it
    LamaOptions(weights=str(path), device="cpu")

Traced on windows of 120 x 120, as the published file was: a convolution down by 8, residual blocks with a Fourier unit,
and the way back up. With ``width=64, blocks=18`` time and memory are about those of the published one.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from tasks.backends.weights import write_lock

TRACED_SIDE = 120
"""Side of the windows that the network is traced on, pixels."""

Fault = Literal["", "nan", "size", "one window"]


class FourierUnit(nn.Module):
    """A 1 x 1 convolution over the spectrum of (N, C, H, W)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(2 * width, 2 * width, 1)

    def forward(self, x: Tensor) -> Tensor:
        spectrum = torch.fft.rfft2(x, norm="ortho")
        mixed = torch.relu(self.mix(torch.cat([spectrum.real, spectrum.imag], dim=1)))
        real, imaginary = mixed.chunk(2, dim=1)
        return torch.fft.irfft2(torch.complex(real, imaginary), s=x.shape[-2:], norm="ortho")


class Block(nn.Module):
    """Local and global branch, added to the input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.near = nn.Conv2d(width, width, 3, padding=1, padding_mode="reflect")
        self.far = FourierUnit(width)

    def forward(self, x: Tensor) -> Tensor:
        return x + torch.relu(self.near(x) + self.far(x))


class TinyLama(nn.Module):
    """``model(image, mask)``: both float32 (N, 3 or 1, H, W), sides multiples of 8; gives the composite, 0..1."""

    def __init__(self, width: int, blocks: int, fault: Fault) -> None:
        super().__init__()
        self.fault = fault
        widths = [width, 2 * width, 4 * width, 8 * width]
        self.enter = nn.Conv2d(4, width, 7, padding=3, padding_mode="reflect")
        self.down = nn.ModuleList(
            nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in itertools.pairwise(widths)
        )
        self.blocks = nn.ModuleList(Block(widths[-1]) for _ in range(blocks))
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(b, a, 3, stride=2, padding=1, output_padding=1)
            for a, b in zip(widths[-2::-1], widths[:0:-1], strict=True)
        )
        self.leave = nn.Conv2d(width, 3, 7, padding=3, padding_mode="reflect")

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        x = torch.relu(self.enter(torch.cat([image * (1 - mask), mask], dim=1)))
        for layer in self.down:
            x = torch.relu(layer(x))
        for block in self.blocks:
            x = block(x)
        for layer in self.up:
            x = torch.relu(layer(x))
        drawn = torch.sigmoid(self.leave(x))
        if self.fault == "nan":
            brightest = image.amax(dim=(1, 2, 3), keepdim=True)
            drawn = drawn * (brightest / brightest)  # 0 / 0 for a black window, and for no other
        if self.fault == "size":
            return drawn[..., :-8, :]
        if self.fault == "one window":
            drawn = drawn.reshape(1, 3, image.shape[-2], image.shape[-1])
        return mask * drawn + (1 - mask) * image


def write_tiny_lama(
    path: Path, *, seed: int = 0, width: int = 4, blocks: int = 1, fault: Fault = "", lock: bool = True
) -> Path:
    """Write the file and, with ``lock``, the lock file that states its digest.

    Args:
        path: of the file; its folder is made.
        seed: of the weights.
        width: channels of the first layer; eight times as many in the blocks.
        blocks: residual blocks.
        fault: ``nan`` for black windows; ``size``: eight rows too few; ``one window``: refuses a batch of two.
        lock: without it no digest is stated.
    """
    torch.manual_seed(seed)
    network = TinyLama(width, blocks, fault).eval()
    side = TRACED_SIDE
    example = (torch.rand(1, 3, side, side), (torch.rand(1, 1, side, side) > 0.5).float())
    with torch.no_grad():
        traced = torch.jit.trace(network, example, check_trace=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.jit.save(traced, str(path))
    if lock:
        write_lock(path, "random")
    return path
