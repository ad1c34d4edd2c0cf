"""The packed batch: every index list, position and label that the model and its losses read."""

from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Where an item lies in the pack: rows start..stop of the sequence, frame tokens left out."""

    sample: int
    name: str
    start: int
    stop: int
    rows: int = 0  # grid of an image item, 0 for texts
    columns: int = 0
    first: int = 0  # of its patches or latents among all patches or latents of the pack


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedBatch:
    """Several samples in one sequence of `length` rows; all indexes are rows of that sequence."""

    keys: tuple[str, ...]
    length: int
    sample_lengths: list[int]
    split_lengths: list[int]
    split_modes: list[str]  # "causal", "full" or "noise"
    spans: tuple[Span, ...]
    position_ids: Tensor  # int64 [L], rotary positions
    text_ids: Tensor  # int64 [T], texts and all frame tokens
    text_indexes: Tensor
    vit_patches: Tensor  # float32 [P, 3 * patch ** 2]
    vit_ids: Tensor  # int64 [P], flat grid ids
    vit_indexes: Tensor
    vit_lengths: list[int]  # patches of each image
    vae_images: list[Tensor]  # float32 [3, H, W] each; one that is noised and clean in a sample is here once
    vae_pictures: list[int]  # which of them each VAE item is
    vae_noise: list[Tensor]  # of each VAE item
    latent_grids: list[tuple[int, int]]  # rows and columns of tokens of each VAE item
    latent_ids: Tensor  # int64 [N]
    vae_indexes: Tensor
    raw_timesteps: Tensor  # float32 [N], minus infinity for clean images
    flow_noise: Tensor  # float32 [N, C]
    ce_indexes: Tensor
    ce_labels: Tensor
    ce_weights: Tensor  # float32: 1 / sqrt(loss rows of the text), 1 for a closing label
    ce_weight: float  # their sum
    mse_indexes: Tensor
    mse_latents: Tensor  # which of the N latents those rows are

    @property
    def und_indexes(self) -> Tensor:
        """Rows of the understanding expert: text and ViT."""
        return torch.cat([self.text_indexes, self.vit_indexes]).sort().values

    def span(self, sample: int, name: str) -> Span | None:
        """The item called `name` of a sample; None when it was dropped or is not part of the plan."""
        return next((s for s in self.spans if s.sample == sample and s.name == name), None)

    def to(self, device: torch.device | str) -> "PackedBatch":
        """A copy with every tensor on `device`."""

        def move(value: Any) -> Any:
            if isinstance(value, Tensor):
                return value.to(device)
            if isinstance(value, list) and value and isinstance(value[0], Tensor):
                return [item.to(device) for item in value]
            return value

        return replace(self, **{f.name: move(getattr(self, f.name)) for f in fields(self)})
