"""Providers of the image embedding E that masks are decoded from: cached, computed by SAM, or random."""

from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from intercog_model.errors import ConfigurationError
from intercog_model.grounding.segment_anything import segment_anything_module

PATCH = 16  # pixels along one side of a cell
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


class ImageFeatures(Protocol):
    """Frozen features of a source image."""

    def features(self, key: str, image: Image.Image) -> Tensor:
        """[C, g, g]; the image fills the top-left part, its long side the whole side."""
        ...


def square_pixels(image: Image.Image, side: int) -> Tensor:
    """float32 [3, side, side]: long side resized to `side`, normalized, then padded with zeros."""
    scale = side / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    resized = image.convert("RGB").resize(size, Image.Resampling.BILINEAR)
    pixels = torch.from_numpy(np.array(resized, dtype=np.float32)).permute(2, 0, 1)
    pixels = (pixels - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
    sheet = torch.zeros(3, side, side)
    sheet[:, : size[1], : size[0]] = pixels
    return sheet


class RandomPatchFeatures:
    """A fixed random projection of each cell's pixels: stands in for SAM in tests; `scale` 1 gives values near 1."""

    def __init__(self, width: int, grid: int, patch: int = 4, seed: int = 0, scale: float = 1.0) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.grid, self.patch = grid, patch
        inputs = 3 * patch * patch
        self.matrix = torch.randn(inputs, width, generator=generator) * (scale / inputs**0.5)

    def features(self, key: str, image: Image.Image) -> Tensor:
        """See `ImageFeatures`."""
        sheet = square_pixels(image, self.grid * self.patch)
        cells = nn.functional.unfold(sheet[None], self.patch, stride=self.patch)[0].T
        features_Cgg: Tensor = (cells @ self.matrix).T.unflatten(1, (self.grid, self.grid))
        return features_Cgg


class CachedFeatures:
    """Files `<key>.safetensors` with a tensor `features`, written by `intercog_model.cache_features`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def features(self, key: str, image: Image.Image) -> Tensor:
        """See `ImageFeatures`; raises ConfigurationError for a key that was not computed."""
        path = self.folder / f"{key}.safetensors"
        if not path.is_file():
            raise ConfigurationError(
                f"model.features_folder: {str(self.folder)!r}: no {path.name}; "
                "intercog_model.cache_features writes it"
            )
        return load_file(path)["features"].float()


class SamFeatures:
    """Segment Anything's image encoder, frozen, with the package's own code and of the size of its tensors."""

    def __init__(self, weights: dict[str, Tensor], device: torch.device | str, dtype: torch.dtype) -> None:
        prefix = "image_encoder."
        own = {n.removeprefix(prefix): v for n, v in weights.items() if n.startswith(prefix)}
        sizes = encoder_sizes(own)
        self.side = sizes["image_size"]
        self.encoder = build_encoder(**sizes).to(device, dtype).eval().requires_grad_(False)
        self.encoder.load_state_dict(own, strict=True)
        self.device, self.dtype = device, dtype

    @torch.no_grad()
    def features(self, key: str, image: Image.Image) -> Tensor:
        """See `ImageFeatures`."""
        sheet = square_pixels(image, self.side)
        features_Cgg: Tensor = self.encoder(sheet[None].to(self.device, self.dtype))[0].float()
        return features_Cgg


def read_sam(path: Path, label: str) -> dict[str, Tensor]:
    """Tensors of a safetensors file of SAM; ConfigurationError, beginning with `label`, if it is none."""
    try:
        weights = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ConfigurationError(f"{label}: {error}") from error
    require_sam(weights, label)
    return weights


def require_sam(weights: dict[str, Tensor], label: str) -> None:
    """Raise ConfigurationError, beginning with `label`, for tensors that are not Segment Anything's."""
    for part in ("image_encoder.", "mask_decoder."):
        if not any(name.startswith(part) for name in weights):
            raise ConfigurationError(f"{label}: no tensors {part}*, hence no file of Segment Anything")


def encoder_sizes(weights: dict[str, Tensor]) -> dict[str, Any]:
    """Arguments of `build_encoder` as an encoder's tensors show them; raises KeyError for one that is missing.

    Blocks with global attention are those whose relative positions span the whole grid.
    """
    side, width = weights["pos_embed"].shape[1], weights["pos_embed"].shape[3]
    depth = len({name.split(".")[1] for name in weights if name.startswith("blocks.")})
    spans = [weights[f"blocks.{i}.attn.rel_pos_h"] for i in range(depth)]
    whole = tuple(i for i, span in enumerate(spans) if len(span) == 2 * side - 1)
    windows = {(len(span) + 1) // 2 for i, span in enumerate(spans) if i not in whole}
    return {
        "image_size": PATCH * side,
        "depth": depth,
        "width": width,
        "heads": width // spans[0].shape[1],
        "global_blocks": whole,
        "out_width": weights["neck.0.weight"].shape[0],
        "window": windows.pop() if windows else side,
    }


def build_encoder(
    *,
    image_size: int = 1024,
    depth: int = 32,
    width: int = 1280,
    heads: int = 16,
    global_blocks: tuple[int, ...] = (7, 15, 23, 31),
    out_width: int = 256,
    window: int = 14,
) -> nn.Module:
    """The package's image encoder; the defaults are those of ViT-H."""
    package = segment_anything_module("image_encoder")
    encoder: nn.Module = package.ImageEncoderViT(
        img_size=image_size,
        depth=depth,
        embed_dim=width,
        num_heads=heads,
        mlp_ratio=4,
        patch_size=PATCH,
        out_chans=out_width,
        qkv_bias=True,
        norm_layer=lambda n: nn.LayerNorm(n, eps=1e-6),
        use_rel_pos=True,
        global_attn_indexes=global_blocks,
        window_size=window,
    )
    return encoder
