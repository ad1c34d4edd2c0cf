"""Random draws as functions of seed, sample key, step and purpose, and of nothing else."""

import hashlib

import torch
from torch import Tensor


class Draws:
    """Streams of one sample at one step; asking in another order, or on another rank, changes nothing."""

    def __init__(self, seed: int, key: str, step: int) -> None:
        self.prefix = f"{seed}/{key}/{step}/"

    def _generator(self, purpose: str) -> torch.Generator:
        digest = hashlib.sha256((self.prefix + purpose).encode()).digest()
        return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)

    def normal(self, purpose: str, *shape: int) -> Tensor:
        """Standard normal, float32, on the CPU."""
        return torch.randn(*shape, generator=self._generator(purpose))

    def uniform(self, purpose: str) -> float:
        """One number in [0, 1)."""
        return float(torch.rand((), generator=self._generator(purpose)))
