"""Published checkpoint folders: sizes from their files, and strict loading."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import safe_open
from torch import nn

from intercog_model.backbone.autoencoder import AutoEncoder
from intercog_model.backbone.bagel import Bagel
from intercog_model.backbone.position_tables import sincos_table
from intercog_model.config import (
    FLUX_VAE,
    RELEASED_TOKENS,
    BagelConfig,
    LanguageConfig,
    SpecialTokens,
    VaeConfig,
    VitConfig,
)

MODEL_FILE, VAE_FILE = "ema.safetensors", "ae.safetensors"
TABLES = ("latent_pos_embed.pos_embed", "vit_pos_embed.pos_embed")
TABLE_TOLERANCE = 4e-3  # the published tables are bf16 copies
Shapes = dict[str, list[int]]
Sizes = TypeVar("Sizes", LanguageConfig, VitConfig)


class CheckpointError(ValueError):
    """Names or shapes of a file differ from the network's; the message lists them."""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """Network and autoencoder of a folder."""

    model: Bagel
    vae: AutoEncoder


def read_shapes(path: Path) -> Shapes:
    """Shape of every tensor of a safetensors file, from its header alone."""
    with safe_open(path, framework="pt") as file:
        return {name: list(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118 - not a dict


def read_config(folder: Path, tokens: SpecialTokens = RELEASED_TOKENS) -> BagelConfig:
    """Sizes of a folder: `llm_config.json`, `vit_config.json`, and what only the tensors' shapes tell.

    The published `vit_config.json` counts one layer more than is built. QK norm, untied embeddings and the
    two experts are always on: the published language configuration is that of the plain language model.
    """
    llm, vit = (_read_object(folder / name) for name in ("llm_config.json", "vit_config.json"))
    shapes = read_shapes(folder / MODEL_FILE)
    vae = vae_config_of(read_shapes(folder / VAE_FILE))
    theta = llm["rope_theta"] if "rope_theta" in llm else llm["rope_parameters"]["rope_theta"]
    listed = vit["num_hidden_layers"]
    built = (
        listed - 1 if type(listed) is int else listed
    )  # what is no number is refused by its own name and value
    vit = {"layer_norm_eps": 1e-6} | vit | {"num_hidden_layers": built}
    return BagelConfig(
        llm=_sized(LanguageConfig, llm | {"rope_theta": theta}, "llm_config.json"),
        vit=_sized(VitConfig, vit, "vit_config.json"),
        vae=vae,
        tokens=tokens,
        latent_patch_size=_side(shapes, "vae2llm.weight", 1, vae.z_channels, default=2),
        max_latent_size=_side(shapes, TABLES[0], 0, 1, default=64),
    )


def _read_object(path: Path) -> dict[str, Any]:
    value = json.loads(path.read_text())
    if not isinstance(value, dict):
        raise ValueError(f"{path.name}: {value!r:.40} is no object")  # noqa: TRY004 - data, not code
    return value


def _sized(kind: type[Sizes], values: dict[str, Any], file: str) -> Sizes:
    try:
        return kind(**{field.name: values[field.name] for field in fields(kind)})
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error


def _side(shapes: Shapes, name: str, axis: int, unit: int, default: int) -> int:
    shape = shapes.get(name)
    return round((shape[axis] / unit) ** 0.5) if shape and len(shape) > axis else default


def vae_config_of(shapes: Shapes) -> VaeConfig:
    """Sizes of an autoencoder file: of the candidates its two halves suggest, the one with the fewest faults."""
    candidates = [FLUX_VAE, *(c for c in (_vae_from(shapes, half) for half in ("encoder", "decoder")) if c)]

    def faults(config: VaeConfig) -> int:
        with torch.device("meta"):
            return len(differences(shapes_of(AutoEncoder(config)), shapes))

    return min(candidates, key=faults)


def _vae_from(shapes: Shapes, half: str) -> VaeConfig | None:
    """Sizes as one half alone shows them, so that a fault in the other cannot spoil them; None if it cannot."""
    branch = "down" if half == "encoder" else "up"
    blocks = [re.match(rf"{half}\.{branch}\.(\d+)\.block\.(\d+)\.conv1\.", name) for name in shapes]
    found = [(int(m[1]), int(m[2])) for m in blocks if m]
    finest = shapes.get("encoder.down.0.block.0.norm1.bias" if half == "encoder" else "decoder.norm_out.bias")
    latent = shapes.get("encoder.conv_out.bias" if half == "encoder" else "decoder.conv_in.weight")
    if not found or not finest or not latent:
        return None
    ch, levels, last = finest[0], max(level for level, _ in found) + 1, max(block for _, block in found)
    widths = [shapes.get(f"{half}.{branch}.{i}.block.{last}.norm2.bias", [0])[0] for i in range(levels)]
    if ch < 32 or ch % 32 or any(width < ch or width % ch for width in widths):
        return None
    return replace(
        FLUX_VAE,
        ch=ch,
        ch_mult=tuple(width // ch for width in widths),
        num_res_blocks=last + (1 if half == "encoder" else 0),
        z_channels=latent[0] // 2 if half == "encoder" else latent[1],
    )


def differences(expected: Shapes, found: Shapes) -> list[str]:
    """One line per name that is missing, unexpected or of another shape."""
    lines = [f"missing: {name}" for name in expected.keys() - found.keys()]
    lines += [f"unexpected: {name}" for name in found.keys() - expected.keys()]
    for name in expected.keys() & found.keys():
        if expected[name] != found[name]:
            lines.append(f"shape of {name}: {found[name]} in the file, {expected[name]} expected")
    return sorted(lines)


def shapes_of(module: nn.Module) -> Shapes:
    """Shape of every parameter and buffer of a module."""
    return {name: list(value.shape) for name, value in module.state_dict().items()}


def load_strictly(module: nn.Module, path: Path, device: torch.device | str, dtype: torch.dtype) -> None:
    """Fill a module built on the meta device, tensor by tensor; raises CheckpointError on any difference.

    The fixed position tables are compared with the file's and recomputed, never taken from it.
    """
    require_same_shapes(module, path)
    weights = {name: table.to(device) for name, table in checked_tables(module, path).items()}
    with safe_open(path, framework="pt", device=str(device)) as file:
        for name in file.keys():  # noqa: SIM118 - not a dict
            if name not in TABLES:
                weights[name] = file.get_tensor(name).to(dtype)
    module.load_state_dict(weights, strict=True, assign=True)


def require_same_shapes(
    module: nn.Module, path: Path, besides: Callable[[str], bool] = lambda _name: False
) -> None:
    """Raise CheckpointError with every difference between a module's names and shapes and a file's.

    `besides` says which of the module's tensors no file has.
    """
    ours = {name: shape for name, shape in shapes_of(module).items() if not besides(name)}
    faults = differences(ours, read_shapes(path))
    if faults:
        raise CheckpointError(f"{path.name}: {len(faults)} differences: " + "; ".join(faults))


def checked_tables(module: nn.Module, path: Path) -> dict[str, torch.Tensor]:
    """The module's fixed position tables by name, recomputed in float32; the file's must be near them."""
    tables = {}
    with safe_open(path, framework="pt") as file:
        for name, value in module.state_dict().items():
            if name in TABLES:
                rows, width = value.shape
                tables[name] = sincos_table(round(rows**0.5), width)
                gap = float((file.get_tensor(name).float() - tables[name]).abs().max())
                if not gap <= TABLE_TOLERANCE:
                    raise CheckpointError(f"{path.name}: {name} differs from its formula by {gap:.2e}")
    return tables


def load_folder(
    folder: Path,
    *,
    tokens: SpecialTokens = RELEASED_TOKENS,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.bfloat16,
    vae_dtype: torch.dtype = torch.float32,
    empty: bool = False,
) -> LoadedModel:
    """Network and autoencoder of a folder in the published format; nothing is loaded twice or non-strictly.

    `empty` leaves the network on the meta device, to be filled when it is sharded.
    """
    config = read_config(folder, tokens)
    with torch.device("meta"):
        model, vae = Bagel(config), AutoEncoder(config.vae)
    if not empty:
        load_strictly(model, folder / MODEL_FILE, device, dtype)
    load_strictly(vae, folder / VAE_FILE, device, vae_dtype)
    return LoadedModel(model.eval(), vae.eval().requires_grad_(False))
