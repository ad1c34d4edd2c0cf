"""Filling a sharded network from a published file: each process reads its own rows alone."""

from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from intercog_model.backbone.bagel import Bagel
from intercog_model.checkpoint import checked_tables, require_same_shapes
from intercog_model.training.lora import is_adapter
from intercog_model.training.sharding import local, shard_place


@torch.no_grad()
def load_shards(model: Bagel, path: Path, device: torch.device | str) -> None:
    """Give a network that was built on the meta device and then sharded its weights, in float32.

    Whole, it would take 58 GB in float32 on every process before a byte of it is shared out. Strict as
    `load_strictly` is; the position tables, its only buffers, are recomputed. Adapters, which no file has, are left
    without values.
    """
    require_same_shapes(model, path, besides=is_adapter)
    tables = checked_tables(model, path)
    model.to_empty(device=device)
    for name, buffer in model.named_buffers():
        buffer.copy_(tables[name])
    with safe_open(path, framework="pt") as file:
        for name, parameter in model.named_parameters():
            mine = local(parameter.detach())
            if mine.numel() and not is_adapter(name):
                mine.copy_(own_rows(file.get_slice(name), parameter.shape[0], *shard_place(parameter)))


def own_rows(stored: Any, rows: int, rank: int, ranks: int) -> Tensor:
    """The rows of a stored tensor that one of `ranks` shards holds: equal runs, the last ones shorter or empty."""
    run = -(-rows // ranks)
    part: Tensor = stored[rank * run : min((rank + 1) * run, rows)]
    return part
