"""Parts of the package `segment-anything`, loaded one by one without the torchvision that its top level imports."""

import importlib
import sys
import types
from importlib.util import find_spec
from pathlib import Path

from torch import nn

from intercog_model.errors import ConfigurationError


def build_mask_decoder(width: int = 256, heads: int = 8, inner: int = 2048) -> nn.Module:
    """The package's mask decoder with random weights; the defaults are those of the published ones.

    Called as `decoder(image_embeddings, image_pe, sparse, dense, multimask_output)`: embeddings [1, C, h, w],
    prompts [B, T, C] and [B, C, h, w]; returns logits [B, masks, 4h, 4w] and its own estimates of their IoU.

    Raises:
        ConfigurationError: the package is not installed.
    """
    transformer = segment_anything_module("transformer").TwoWayTransformer(
        depth=2, embedding_dim=width, mlp_dim=inner, num_heads=heads
    )
    decoder: nn.Module = segment_anything_module("mask_decoder").MaskDecoder(
        transformer_dim=width, transformer=transformer
    )
    return decoder


def build_position_code(width: int = 256) -> nn.Module:
    """The package's random Fourier code of grid cells; called with (rows, columns), it returns [C, rows, columns]."""
    code: nn.Module = segment_anything_module("prompt_encoder").PositionEmbeddingRandom(width // 2)
    return code


def segment_anything_module(name: str) -> types.ModuleType:
    """A module of the package's `modeling` folder.

    Raises:
        ConfigurationError: the package is not installed.
    """
    spec = find_spec("segment_anything")
    if spec is None or spec.origin is None:
        raise ConfigurationError(
            "image features and mask reconstruction need segment-anything "
            "(pip install segment-anything, or make setup-torch)"
        )
    holder = types.ModuleType("segment_anything_modeling")
    holder.__path__ = [str(Path(spec.origin).parent / "modeling")]  # a package of its own: no __init__ runs
    sys.modules.setdefault(holder.__name__, holder)
    return importlib.import_module(f"{holder.__name__}.{name}")
