"""RAM and RAM++ at a size that a test computes in milliseconds, with random weights, as files like the published."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from tasks.backends.torch.ram.loading import empty_network
from tasks.backends.torch.ram.sizes import DecoderSizes, RamSizes, SwinSizes
from tasks.backends.weights import write_lock

LISTS = Path(__file__).parents[4] / "data" / "ram"

TINY = RamSizes(
    swin=SwinSizes(image=32, patch=4, window=2, width=8, depths=(1, 2, 1), heads=(1, 2, 4)),
    decoder=DecoderSizes(width=16, feed_forward=24, layers=2, embedding=12),
    tags=6,
    descriptions=3,
)
TINY_RAM = replace(TINY, descriptions=None)


def random_tensors(sizes: RamSizes, seed: int = 0) -> dict[str, torch.Tensor]:
    """Parameters under the published names, scaled so that signals neither die nor explode at any size."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, parameter in empty_network(sizes).named_parameters():
        values = torch.randn(parameter.shape, generator=generator)
        if parameter.dim() > 1:
            tensors[name] = values / math.sqrt(parameter[0].numel())
        else:
            tensors[name] = 1 + 0.1 * values if name.endswith("weight") else 0.3 * values
    if sizes.descriptions is not None:
        tensors["reweight_scale"] = torch.tensor(2.0)
    return tensors


def write_model(
    folder: Path, sizes: RamSizes = TINY, tensors: Mapping[str, torch.Tensor] | None = None
) -> dict[str, Any]:
    """A checkpoint with its lock file, and the options of a tagger for it; lists of another length are made up."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / ("ram.pth" if sizes.descriptions is None else "ram_plus.pth")
    torch.save({"model": dict(tensors or random_tensors(sizes))}, path)
    write_lock(path, "random")
    lists = LISTS
    if sizes.tags != TINY.tags:
        lists = folder
        (lists / "tags.txt").write_text("\n".join(f"object {number}" for number in range(sizes.tags)))
        (lists / "thresholds.txt").write_text("\n".join(["0.5"] * sizes.tags))
    return {
        "weights": str(path),
        "tags": str(lists / "tags.txt"),
        "thresholds": str(lists / "thresholds.txt"),
        "image_size": sizes.swin.image,
        "device": "cpu",
    }
