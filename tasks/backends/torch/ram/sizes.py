"""Sizes of RAM and RAM++: as published, and as the tensors of a checkpoint have them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import isqrt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

BACKBONE = "visual_encoder"
DECODER = "tagging_head.encoder.layer"
BIAS_TABLE = "relative_position_bias_table"


@dataclass(frozen=True, slots=True, kw_only=True)
class SwinSizes:
    """A Swin backbone for square pictures of one size.

    Attributes:
        image: side of the picture, pixels; patch: side of a patch, pixels.
        window: side of an attention window, tokens; a smaller stage is one window.
        width: channels of the first stage; each next one has twice as many, on half as many tokens a side.
        depths, heads: blocks, and attention heads of each block, per stage.
        mlp_ratio: hidden channels of the feed-forward networks as a multiple of the stage's channels.
        norm_eps: of all layer norms.

    Raises:
        ValueError: stages cannot be halved or are not tiled by windows.
    """

    image: int
    patch: int
    window: int
    width: int
    depths: tuple[int, ...]
    heads: tuple[int, ...]
    mlp_ratio: float = 4.0
    norm_eps: float = 1e-5

    def __post_init__(self) -> None:
        if min(self.patch, self.window, self.width) < 1 or not self.depths:
            msg = f"patch {self.patch}, window {self.window}, width {self.width}, depths {self.depths}: all at least 1"
            raise ValueError(msg)
        halvings = 2 ** (len(self.depths) - 1)
        if self.image < self.patch * halvings or self.image % (self.patch * halvings):
            msg = f"pictures of {self.image} pixels a side: not a multiple of patch x stages, {self.patch * halvings}"
            raise ValueError(msg)
        for stage in range(len(self.depths)):
            side, window = self.side(stage), self.window_of(stage)
            if side % window:
                msg = (
                    f"pictures of {self.image} pixels a side: stage {stage} has {side} x {side} tokens, "
                    f"which windows of {window} x {window} do not tile"
                )
                raise ValueError(msg)

    @property
    def out_channels(self) -> int:
        """Channels of the last stage."""
        return self.channels(len(self.depths) - 1)

    def side(self, stage: int) -> int:
        """Tokens a side in a stage."""
        return self.image // self.patch >> stage

    def window_of(self, stage: int) -> int:
        """Tokens a side of a stage's windows."""
        return min(self.window, self.side(stage))

    def channels(self, stage: int) -> int:
        """Channels of a stage."""
        return self.width << stage


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoderSizes:
    """The tagging head: layers of cross-attention from tags to image tokens.

    Attributes:
        width, feed_forward: channels of a tag, and hidden ones of its feed-forward network.
        heads: attention heads; 4 in both published models, and not to be seen in a checkpoint.
        embedding: channels of the image tokens and of the label embeddings.
        norm_eps: of the layer norms.
    """

    width: int
    feed_forward: int
    layers: int
    embedding: int
    heads: int = 4
    norm_eps: float = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class RamSizes:
    """RAM or RAM++.

    Attributes:
        tags: number of tags.
        descriptions: of each tag, re-weighted by the picture (RAM++); None: one embedding per tag, used as it is (RAM).
    """

    swin: SwinSizes
    decoder: DecoderSizes
    tags: int
    descriptions: int | None

    @property
    def label_rows(self) -> int:
        """Rows of the label embeddings: class-major, one per tag and description."""
        return self.tags * (self.descriptions or 1)


RAM_PLUS = RamSizes(
    swin=SwinSizes(image=384, patch=4, window=12, width=192, depths=(2, 2, 18, 2), heads=(6, 12, 24, 48)),
    decoder=DecoderSizes(width=768, feed_forward=3072, layers=2, embedding=512),
    tags=4585,
    descriptions=51,
)
"""``ram_plus_swin_large_14m.pth``."""

RAM = replace(RAM_PLUS, descriptions=None)
"""``ram_swin_large_14m.pth``."""


def read_sizes(
    tensors: Mapping[str, torch.Tensor],
    *,
    image: int,
    tags: int,
    reweighted: bool,
    decoder_heads: int = 4,
    swin_eps: float = 1e-5,
    decoder_eps: float = 1e-12,
) -> RamSizes:
    """The sizes that fit a checkpoint under the published names.

    What no tensor shows has to be said: the side of the picture, the number of tags (for RAM++ the label embeddings
    only have tags times descriptions), attention heads of the head, epsilons.

    Raises:
        KeyError: a tensor that the sizes are read from is missing.
        ValueError: the tensors cannot belong to such a network.
    """
    stages = _count(tensors, rf"{re.escape(BACKBONE)}\.layers\.(\d+)\.")
    depths = tuple(
        _count(tensors, rf"{re.escape(BACKBONE)}\.layers\.{stage}\.blocks\.(\d+)\.")
        for stage in range(stages)
    )
    first = [f"{BACKBONE}.layers.{stage}.blocks.0" for stage in range(stages)]
    tables = [tensors[f"{block}.attn.{BIAS_TABLE}"] for block in first]
    patches = tensors[f"{BACKBONE}.patch_embed.proj.weight"]
    hidden, width = tensors[f"{first[0]}.mlp.fc1.weight"].shape
    swin = SwinSizes(
        image=image,
        patch=patches.shape[-1],
        # A table has (2 w - 1)² rows; stages that are smaller than a window have smaller ones.
        window=max((isqrt(len(table)) + 1) // 2 for table in tables),
        width=patches.shape[0],
        depths=depths,
        heads=tuple(table.shape[1] for table in tables),
        mlp_ratio=hidden / width,
        norm_eps=swin_eps,
    )
    labels = tensors["label_embed"]
    decoder = DecoderSizes(
        width=tensors["fc.weight"].shape[1],
        feed_forward=tensors[f"{DECODER}.0.intermediate.dense.weight"].shape[0],
        layers=_count(tensors, rf"{re.escape(DECODER)}\.(\d+)\."),
        embedding=labels.shape[1],
        heads=decoder_heads,
        norm_eps=decoder_eps,
    )
    return RamSizes(
        swin=swin, decoder=decoder, tags=tags, descriptions=_descriptions(len(labels), tags, reweighted)
    )


def _descriptions(rows: int, tags: int, reweighted: bool) -> int | None:
    """Rows per tag.

    Raises:
        ValueError: the rows are not those of so many tags.
    """
    if tags < 1 or (rows % tags if reweighted else rows != tags):
        each = "a whole number of descriptions" if reweighted else "one embedding"
        raise ValueError(f"{rows} label embeddings are not {each} for each of {tags} tags")
    return rows // tags if reweighted else None


def _count(names: Iterable[str], pattern: str) -> int:
    """One more than the largest number that the pattern finds; gaps show as missing tensors when they are assigned."""
    found = [int(match[1]) for name in names if (match := re.match(pattern, name))]
    if not found:
        raise KeyError(pattern.replace("\\", "").replace("(d+)", "0"))
    return max(found) + 1
