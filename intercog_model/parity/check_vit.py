"""The vision encoder on two images: packing, every layer, connector and position table."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from intercog_model.backbone.navit import patchify_pixels
from intercog_model.backbone.position_tables import grid_ids
from intercog_model.parity.golden import Golden

FILE = "vit.safetensors"


@torch.no_grad()
def check(golden: Golden) -> None:
    """Compute the file from its images."""
    file, model, vit = golden.open(FILE), golden.model, golden.config.vit
    names = [name for name in file.names("in.image") if file.cases[name]["role"] == "input"]
    images = [file.take(name) for name in names]
    patches = torch.cat([patchify_pixels(image, vit.patch_size) for image in images])
    grids = [(i.shape[1] // vit.patch_size, i.shape[2] // vit.patch_size) for i in images]
    interpolate = golden.config.interpolate_positions
    ids = torch.cat([grid_ids(*grid, vit.side, interpolate=interpolate) for grid in grids])
    lengths = [rows * columns for rows, columns in grids]
    file.check("in.packed_patches", patches)
    file.check("in.position_ids", ids)
    file.check("in.cu_seqlens", torch.cumsum(torch.tensor([0, *lengths]), 0))

    parts: dict[str, nn.Module] = {"embeddings": model.vit_model.vision_model.embeddings}
    parts |= {f"layer{i}": layer for i, layer in enumerate(model.vit_model.vision_model.encoder.layers)}
    kept: dict[str, Tensor] = {}
    handles = [part.register_forward_hook(_keep(kept, name)) for name, part in parts.items()]
    vit_PC, connected_PD, rows_PD = model.embed_patches(patches, ids, lengths)
    for handle in handles:
        handle.remove()
    for name, value in kept.items():
        file.check(f"mid.{name}", value)
    file.check("out.vit", vit_PC)
    file.check("out.connector", connected_PD)
    file.check("out.connector_plus_pos", rows_PD)
    file.close()


def _keep(kept: dict[str, Tensor], name: str) -> Callable[[nn.Module, object, Tensor], None]:
    def hook(_module: nn.Module, _inputs: object, output: Tensor) -> None:
        kept[name] = output

    return hook
