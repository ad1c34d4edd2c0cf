"""Packing: samples to one sequence, with positions, labels and index lists."""

from collections.abc import Sequence

import torch
from torch import Tensor

from intercog_model.backbone.navit import patchify_pixels
from intercog_model.backbone.position_tables import grid_ids
from intercog_model.config import BagelConfig
from intercog_model.packing.batch import PackedBatch, Span
from intercog_model.packing.plan import PlanItem, Sample, TextItem, VaeItem, VitItem


def item_length(item: PlanItem, config: BagelConfig) -> int:
    """Rows that an item takes in the sequence, its two frame tokens included."""
    if item.dropped:
        return 0
    if isinstance(item, TextItem):
        return len(item.ids) + 2
    side = config.vit.patch_size if isinstance(item, VitItem) else config.pixels_per_latent_token
    return (item.pixels.shape[1] // side) * (item.pixels.shape[2] // side) + 2


def sample_length(sample: Sample, config: BagelConfig) -> int:
    """Rows of the whole sample."""
    return sum(item_length(item, config) for item in sample.items)


def pack(samples: Sequence[Sample], config: BagelConfig) -> PackedBatch:
    """One batch of all samples, in order; raises ValueError for a sample that leaves no rows."""
    packer = _Packer(config)
    for index, sample in enumerate(samples):
        before = packer.length
        packer.position = 0  # rotary positions restart with each sample
        for item in sample.items:
            packer.add(index, item)
        if packer.length == before:
            raise ValueError(f"sample {sample.key} leaves no rows")
        packer.sample_lengths.append(packer.length - before)
    return packer.finish(tuple(sample.key for sample in samples))


class _Packer:
    """Growing lists of a pack; one method per kind of item."""

    def __init__(self, config: BagelConfig) -> None:
        self.config = config
        self.length = 0
        self.position = 0
        self.sample_lengths: list[int] = []
        self.split_lengths: list[int] = []
        self.split_modes: list[str] = []
        self.spans: list[Span] = []
        self.position_ids: list[int] = []
        self.text: list[tuple[int, int]] = []  # (row, id)
        self.ce: list[tuple[int, int, float]] = []  # (row, label, weight)
        self.vit: list[tuple[Tensor, Tensor]] = []  # (patches, ids)
        self.vae: list[VaeItem] = []
        self.pictures: dict[int, int] = {}  # by identity of their pixels
        self.latent_grids: list[tuple[int, int]] = []
        self.rows: dict[str, list[int]] = {"vit": [], "vae": [], "mse": []}
        self.noised: list[int] = []  # latents with a velocity to learn

    def add(self, sample: int, item: PlanItem) -> None:
        """Append one item as a split of its own."""
        if item.dropped:
            # a dropped image keeps its place among the positions, a dropped text leaves no trace
            self.position += 0 if isinstance(item, TextItem) else 1
            return
        start, first = self.length, 0
        if isinstance(item, TextItem):
            self._add_text(item)
            grid, mode = (0, 0), "causal"
        else:
            first = len(self.rows["vit" if isinstance(item, VitItem) else "vae"])
            grid = self._add_image(item)
            mode = "noise" if isinstance(item, VaeItem) and item.noised else "full"
        if item.closing_label is not None:
            self.ce.append((self.length - 1, item.closing_label, 1.0))
        self.split_lengths.append(self.length - start)
        self.split_modes.append(mode)
        self.spans.append(
            Span(
                sample=sample,
                name=item.name,
                start=start + 1,
                stop=self.length - 1,
                rows=grid[0],
                columns=grid[1],
                first=first,
            )
        )

    def _add_text(self, item: TextItem) -> None:
        tokens = self.config.tokens
        ids = [tokens.text_start, *item.ids, tokens.text_end]
        self.text += [(self.length + offset, token) for offset, token in enumerate(ids)]
        if item.loss:
            weight = (len(item.ids) + 1) ** -0.5
            self.ce += [(self.length + offset, label, weight) for offset, label in enumerate(ids[1:])]
        self.position_ids += range(self.position, self.position + len(ids))
        self.position += len(ids)
        self.length += len(ids)

    def _add_image(self, item: VitItem | VaeItem) -> tuple[int, int]:
        config, tokens = self.config, self.config.tokens
        kind = "vit" if isinstance(item, VitItem) else "vae"
        side = config.vit.patch_size if kind == "vit" else config.pixels_per_latent_token
        if item.pixels.shape[1] % side or item.pixels.shape[2] % side:
            raise ValueError(f"{kind} image {tuple(item.pixels.shape)} is not a multiple of {side} pixels")
        grid = (item.pixels.shape[1] // side, item.pixels.shape[2] // side)
        count = grid[0] * grid[1]
        self.text.append((self.length, tokens.image_start))
        self.text.append((self.length + count + 1, tokens.image_end))
        rows = range(self.length + 1, self.length + count + 1)
        first = len(self.rows[kind])
        self.rows[kind] += rows
        if isinstance(item, VitItem):
            ids = grid_ids(*grid, config.vit.side, interpolate=config.interpolate_positions)
            self.vit.append((patchify_pixels(item.pixels, side), ids))
        else:
            self.vae.append(item)
            self.pictures.setdefault(id(item.pixels), len(self.pictures))
            self.latent_grids.append(grid)
            if item.noised:
                self.rows["mse"] += rows
                self.noised += range(first, first + count)
        self.position_ids += [self.position] * (count + 2)
        # what follows a noised image shares its position, so that the clean copy takes its place
        self.position += 0 if isinstance(item, VaeItem) and item.noised else 1
        self.length += count + 2
        return grid

    def finish(self, keys: tuple[str, ...]) -> PackedBatch:
        """Lists to tensors."""
        config = self.config
        raw = [
            torch.full((r * c,), _raw(item)) for item, (r, c) in zip(self.vae, self.latent_grids, strict=True)
        ]
        ids = [
            grid_ids(r, c, config.max_latent_size, interpolate=config.interpolate_positions)
            for r, c in self.latent_grids
        ]
        noise = [item.flow_noise for item in self.vae]
        no_ids = torch.zeros(0, dtype=torch.int64)
        return PackedBatch(
            keys=keys,
            length=self.length,
            sample_lengths=self.sample_lengths,
            split_lengths=self.split_lengths,
            split_modes=self.split_modes,
            spans=tuple(self.spans),
            position_ids=_ints(self.position_ids),
            text_ids=_ints([token for _, token in self.text]),
            text_indexes=_ints([row for row, _ in self.text]),
            vit_patches=torch.cat([torch.zeros(0, 3 * config.vit.patch_size**2), *(p for p, _ in self.vit)]),
            vit_ids=torch.cat([no_ids, *(i for _, i in self.vit)]),
            vit_indexes=_ints(self.rows["vit"]),
            vit_lengths=[len(i) for _, i in self.vit],
            vae_images=list({id(item.pixels): item.pixels for item in self.vae}.values()),
            vae_pictures=[self.pictures[id(item.pixels)] for item in self.vae],
            vae_noise=[item.vae_noise for item in self.vae],
            latent_grids=self.latent_grids,
            latent_ids=torch.cat([no_ids, *ids]),
            vae_indexes=_ints(self.rows["vae"]),
            raw_timesteps=torch.cat([torch.zeros(0), *raw]),
            flow_noise=torch.cat([torch.zeros(0, config.latent_width), *noise]),
            ce_indexes=_ints([row for row, _, _ in self.ce]),
            ce_labels=_ints([label for _, label, _ in self.ce]),
            ce_weights=torch.tensor([weight for _, _, weight in self.ce]),
            ce_weight=sum(weight for _, _, weight in self.ce),
            mse_indexes=_ints(self.rows["mse"]),
            mse_latents=_ints(self.noised),
        )


def _raw(item: VaeItem) -> float:
    return -torch.inf if item.raw_timestep is None else item.raw_timestep


def _ints(values: list[int]) -> Tensor:
    return torch.tensor(values, dtype=torch.int64)
